//! A trace in a folder, to be asked in SQL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    missing_docs
)]

use crate::support::{START_NS, dicts, file_fault, heap_fault, meta, object, trace};
use pf_formats::{Access, Breakdown, CommId, Dict, Event, ObjectId, ObjectKind, Origin, QueryId, StackId};
use serde_json::Value;
use std::fs;
use std::process::{Command, Output};
use tempfile::TempDir;

pub const HOSTILE: &str = "a\"b,\n\x1b[2J";

/// A folder with a trace, `t.pfz`.
pub struct Place(pub TempDir);

impl Place {
    pub fn new(bytes: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("t.pfz"), bytes).unwrap();
        Self(dir)
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
            .current_dir(self.0.path())
            .args(arguments)
            .output()
            .unwrap()
    }

    pub fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// The rows of an answer.
    pub fn ask(&self, query: &str) -> Vec<Value> {
        self.ask_with(query, &[])
    }

    pub fn ask_with(&self, query: &str, options: &[&str]) -> Vec<Value> {
        let arguments = [&["sql", "t.pfz", query, "--format", "json"], options].concat();
        let text = self.text(&arguments);
        match serde_json::from_str(&text).unwrap() {
            Value::Array(rows) => rows,
            other => panic!("{other}"),
        }
    }

    /// The one line of an error; that of a wrong question is followed by where to find help.
    pub fn fails(&self, query: &str, options: &[&str]) -> String {
        let output = self.run(&[&["sql", "t.pfz", query], options].concat());
        let message = String::from_utf8(output.stderr).unwrap();
        let lines = match output.status.code() {
            Some(1) => 1,
            // With words that could forge a line there is but one.
            Some(2) if query.contains(char::is_control) => 1,
            Some(2) => 3,
            other => panic!("{other:?}, {query}: {message}"),
        };
        assert_eq!(message.lines().count(), lines, "{query}: {message}");
        assert!(output.stdout.is_empty(), "{query}");
        message
    }
}

/// Events of all kinds, with names that want to be something else; times rise.
pub fn varied() -> Vec<Event> {
    let mut state = 11u64;
    let mut random = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut all = Vec::new();
    for index in 0..70_000u64 {
        let latency_ns = 200 + random(90_000);
        let page = random(700);
        let base = if random(3) == 0 {
            heap_fault(0, latency_ns, page)
        } else {
            file_fault(0, latency_ns, page)
        };
        let failed = random(50) == 0;
        all.push(Event {
            ts_ns: START_NS + index * 1_000,
            tid: 100 + random(4) as u32,
            comm: CommId(1 + random(3) as u32),
            object: ObjectId(1 + random(4) as u32),
            major: !failed && random(3) == 0,
            failed,
            access: [None, Some(Access::Read), Some(Access::Exec)][random(3) as usize],
            origin: [Origin::User, Origin::Gup][random(2) as usize],
            cpu: random(70) as u16,
            retries: random(3) as u8,
            breakdown: Some(Breakdown {
                blocked_ns: latency_ns / 2,
                runqueue_ns: latency_ns / 4,
                reclaim_ns: 0,
                lock_ns: 1,
            }),
            query: QueryId(random(3)),
            stack: StackId(random(4) as u32),
            ..base
        });
    }
    all
}

pub fn varied_dicts() -> Vec<Dict> {
    let mut all = dicts();
    all.push(Dict::Comms {
        first_id: 3,
        entries: vec![HOSTILE.into()],
    });
    all.push(Dict::Objects {
        first_id: 3,
        entries: vec![
            object(ObjectKind::Anon, ""),
            object(
                ObjectKind::File,
                "/a/path/that/is/longer/than/twelve/bytes/\x1b]0;title\x07.bin",
            ),
        ],
    });
    all
}

pub fn varied_trace() -> Vec<u8> {
    trace(&meta(), &varied_dicts(), &varied(), &[])
}
