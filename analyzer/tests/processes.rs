//! Which process a thread belongs to, what processes ran, and how the command ended: in every verb that tells it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use pf_formats::{CommandEnd, Event, Meta, ProcessEntry};
use pfanalyze::engine::filter::Filter;
use pfanalyze::output::render::Format;
use serde_json::json;
use std::process::Command;
use support::ask::{info_json, info_text, report, threads};
use support::{MS, START_NS, dicts, events, heap_fault, meta, totals, writer};

fn entry(at_ms: u64, pid: u32, executable: &str, command: &[&str]) -> ProcessEntry {
    ProcessEntry {
        ts_ns: START_NS + at_ms * MS,
        pid,
        executable: executable.to_owned(),
        command: command.iter().map(|text| (*text).to_owned()).collect(),
    }
}

/// The small trace, with a fault of a second process.
fn two_processes(meta: &Meta, command_end: Option<CommandEnd>) -> Vec<u8> {
    let mut all = events();
    all.push(Event {
        pid: 200,
        tid: 200,
        ..heap_fault(60, 800, 3)
    });
    let mut writer = writer(meta, &dicts(), &all, &[]);
    writer
        .processes(&[
            entry(0, 100, "/opt/my service", &["my service", "--port", "80"]),
            entry(0, 200, "/bin/sh", &["sh"]),
            entry(50, 200, "/usr/bin/late", &[]),
            entry(99, 200, "/usr/bin/after", &[]),
        ])
        .unwrap();
    let totals = pf_formats::Totals {
        command_end,
        ..totals(&all)
    };
    writer.finish(totals).unwrap()
}

#[test]
fn a_thread_is_shown_with_what_its_process_ran_at_its_last_fault() {
    let bytes = two_processes(&meta(), None);
    let csv = threads(&bytes, &Filter::default(), Format::Csv);
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("pid,tid,comm,process,major,minor,"), "{csv}");
    assert!(lines[1].starts_with("100,101,worker,my service,4,0,"), "{csv}");
    assert!(lines[3].starts_with("200,200,main,late,0,1,"), "{csv}");
    let shown: serde_json::Value =
        serde_json::from_str(&threads(&bytes, &Filter::default(), Format::Json)).unwrap();
    assert_eq!(shown[0]["process"], "my service");
    let table = threads(&bytes, &Filter::default(), Format::Table);
    assert!(table.lines().last().unwrap().contains("  total  "), "{table}");
}

#[test]
fn a_trace_without_programs_has_no_such_column() {
    let csv = threads(&support::small(), &Filter::default(), Format::Csv);
    assert!(csv.starts_with("pid,tid,comm,major,"), "{csv}");
}

#[test]
fn the_report_names_processes_where_there_are_several() {
    let several = report(&two_processes(&meta(), None), &Filter::default());
    assert!(several.contains("  PROCESS "), "{several}");
    let flat = several.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("thread worker (101) of my service (100)"),
        "{several}"
    );
    let mut one = writer(&meta(), &dicts(), &events(), &[]);
    one.processes(&[entry(0, 100, "/opt/x", &["x"])]).unwrap();
    let one = report(&one.finish(totals(&events())).unwrap(), &Filter::default());
    assert!(!one.contains("PROCESS") && !one.contains(" of x"), "{one}");
}

#[test]
fn info_lists_processes_and_how_the_command_ended() {
    let killed = CommandEnd {
        by_signal: true,
        number: 9,
    };
    let bytes = two_processes(&meta(), Some(killed));
    let info = info_json(&bytes);
    assert_eq!(info["command_end"], json!({"by_signal": true, "number": 9}));
    assert_eq!(
        info["processes"][0],
        json!({"pid": 100, "since_s": 0.0, "executable": "/opt/my service",
            "command": ["my service", "--port", "80"]})
    );
    assert_eq!(info["processes"].as_array().unwrap().len(), 4);
    assert_eq!(info["processes"][2]["command"], json!([]));
    let text = info_text(&bytes);
    let expected = "100 /opt/my service: 'my service' --port 80; 200 /bin/sh: sh; 200 /usr/bin/late; ";
    assert!(text.contains(expected), "{text}");
    assert!(
        text.contains("command_end         signal 9 (SIGKILL)\n"),
        "{text}"
    );
    let shown = report(&bytes, &Filter::default());
    assert!(shown.contains("signal 9"), "{shown}");
}

#[test]
fn a_command_whose_end_is_not_in_the_trace_is_not_said_to_have_ended() {
    let told = |meta: &Meta, end| {
        let text = info_text(&two_processes(meta, end));
        let line = text.lines().find_map(|line| line.strip_prefix("command_end "));
        line.unwrap().trim().to_owned()
    };
    assert_eq!(told(&meta(), None), "after the recording");
    let good = Some(CommandEnd::default());
    assert_eq!(told(&meta(), good), "exit status 0");
    let attached = Meta {
        command: Vec::new(),
        ..meta()
    };
    assert_eq!(told(&attached, None), "-");
    let shown = report(&two_processes(&meta(), good), &Filter::default());
    assert!(!shown.contains("exit status"), "{shown}");
}

#[test]
fn sql_has_a_table_of_processes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.pfz");
    std::fs::write(&path, two_processes(&meta(), None)).unwrap();
    let question = "SELECT pid, since_ns, executable, command FROM processes ORDER BY since_ns, pid";
    let done = Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
        .args(["sql", "--format", "csv"])
        .arg(&path)
        .arg(question)
        .output()
        .unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows.len(), 5, "{text}{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(
        rows[1],
        format!("100,{START_NS},/opt/my service,'my service' --port 80")
    );
    assert_eq!(rows[3], format!("200,{},/usr/bin/late,", START_NS + 50 * MS));
}
