//! Tests of the join. The processes are made up, with ids no kernel gives, so /proc knows nothing.

#![allow(clippy::unwrap_used)]

use std::convert::Infallible;

use pf_bpf::{Counts, Exit};
use pf_formats::HiddenWait;

use super::*;

mod bounds;

const PID: u32 = 0x7000_0000;
const CHILD: u32 = 0x7000_0001;
const STRANGER: u32 = 0x7000_0002;
const PAGE: u64 = 4096;

#[derive(Default)]
struct Collected {
    comms: Vec<String>,
    objects: Vec<pf_formats::Object>,
    events: Vec<Event>,
    timeline: Vec<TimelineEntry>,
    queries: Vec<Query>,
    losses: Vec<Loss>,
    processes: Vec<ProcessEntry>,
    hidden_waits: Vec<HiddenWait>,
}

impl Sink for Collected {
    type Error = Infallible;

    fn dict(&mut self, dict: &Dict) -> Result<(), Infallible> {
        match dict {
            Dict::Comms { entries, .. } => self.comms.extend(entries.iter().cloned()),
            Dict::Objects { entries, .. } => self.objects.extend(entries.iter().cloned()),
            _ => {}
        }
        Ok(())
    }

    fn event(&mut self, event: &Event) -> Result<(), Infallible> {
        self.events.push(*event);
        Ok(())
    }

    fn queries(&mut self, queries: &mut Vec<Query>) -> Result<(), Infallible> {
        self.queries.append(queries);
        Ok(())
    }

    fn timeline(&mut self, entries: &[TimelineEntry]) -> Result<(), Infallible> {
        self.timeline.extend_from_slice(entries);
        Ok(())
    }

    fn hidden_waits(&mut self, waits: &[HiddenWait]) -> Result<(), Infallible> {
        self.hidden_waits.extend_from_slice(waits);
        Ok(())
    }

    fn processes(&mut self, entries: &[ProcessEntry]) -> Result<(), Infallible> {
        self.processes.extend_from_slice(entries);
        Ok(())
    }

    fn loss(&mut self, losses: &[Loss]) -> Result<(), Infallible> {
        self.losses.extend_from_slice(losses);
        Ok(())
    }
}

impl Collected {
    /// Path, or kind, and page of an event.
    fn place(&self, event: usize) -> (String, u64) {
        let event = &self.events[event];
        let name = match event.object.0.checked_sub(1).map(|at| &self.objects[at as usize]) {
            None => "?".to_owned(),
            Some(object) if object.path.is_empty() => object.kind.name().to_owned(),
            Some(object) => object.path.clone(),
        };
        (name, event.object_page)
    }

    fn comm(&self, event: usize) -> &str {
        self.events[event]
            .comm
            .0
            .checked_sub(1)
            .map_or("?", |at| &self.comms[at as usize])
    }
}

fn session(held: Option<u32>) -> Session {
    let members = Members::Some {
        pids: [PID].into(),
        children: true,
    };
    Session::new(members, PAGE, held)
}

fn run(session: &mut Session, records: Vec<Record>, sideband: Vec<Sideband>, horizon_ns: u64) -> Collected {
    let mut collected = Collected::default();
    let mut batch = Batch {
        records,
        sideband,
        horizon_ns,
        ..Batch::default()
    };
    session.process(&mut batch, false, &mut collected).unwrap();
    collected
}

fn fault(pid: u32, ts_ns: u64, address: u64) -> Record {
    Record::Fault(Fault {
        tgid: pid,
        tid: pid,
        ts_ns,
        latency_ns: 10,
        address,
        ..Fault::default()
    })
}

fn band(ts_ns: u64, pid: u32, what: What) -> Sideband {
    Sideband {
        ts_ns,
        pid,
        tid: pid,
        what,
    }
}

fn map(start: u64, path: &str, offset: u64) -> What {
    What::Map(Map {
        start,
        len: 0x10000,
        offset,
        path: path.to_owned(),
        ..Map::default()
    })
}

fn comm(name: &str, exec: bool) -> What {
    What::Comm {
        comm: name.to_owned(),
        exec,
    }
}

#[test]
fn a_fault_meets_the_mapping_of_its_time_whatever_the_order_of_arrival() {
    let sideband = vec![
        band(300, PID, map(0x10000, "/b", 0)),
        band(100, PID, map(0x10000, "/a", 0x5000)),
    ];
    let records = vec![fault(PID, 400, 0x12345), fault(PID, 200, 0x12345)];
    let seen = run(&mut session(None), records, sideband, 10_000_000);
    assert_eq!(seen.place(0), ("/a".to_owned(), 7));
    assert_eq!(seen.place(1), ("/b".to_owned(), 2));
}

#[test]
fn records_younger_than_the_batch_wait_for_the_next_one() {
    let mut session = session(None);
    let sideband = vec![
        band(100, PID, map(0x10000, "/a", 0)),
        band(6_000_000, PID, map(0x10000, "/b", 0)),
    ];
    let first = run(&mut session, vec![fault(PID, 200, 0x10000)], sideband, 6_500_000);
    assert_eq!(first.place(0).0, "/a");
    assert_eq!(first.objects.len(), 1, "/b is not settled yet");
    let late = vec![fault(PID, 5_900_000, 0x10000), fault(PID, 6_100_000, 0x10000)];
    let second = run(&mut session, late, vec![], 9_000_000);
    assert_eq!(second.objects[0].path, "/b");
    assert_eq!(
        (second.events[0].object, second.events[1].object),
        (ObjectId(1), ObjectId(2))
    );
}

#[test]
fn a_child_inherits_names_and_mappings_and_an_exec_forgets_them() {
    let fork = What::Fork {
        parent_pid: PID,
        parent_tid: PID,
    };
    let sideband = vec![
        band(100, PID, comm("parent", false)),
        band(110, PID, map(0x10000, "/a", 0)),
        band(200, CHILD, fork),
        band(400, CHILD, comm("child", true)),
        band(410, CHILD, map(0x50000, "/child", 0)),
    ];
    let records = vec![
        fault(CHILD, 300, 0x10000),
        fault(CHILD, 500, 0x10000),
        fault(CHILD, 500, 0x50000),
    ];
    let seen = run(&mut session(None), records, sideband, 10_000_000);
    assert_eq!((seen.comm(0), seen.place(0).0), ("parent", "/a".to_owned()));
    assert_eq!((seen.comm(1), seen.place(1).0), ("child", "?".to_owned()));
    assert_eq!(seen.place(2).0, "/child");
}

#[test]
fn a_process_whose_fork_was_missed_belongs_from_its_first_fault() {
    let mut session = session(None);
    let lost = run(
        &mut session,
        vec![fault(STRANGER, 100, 0x10000)],
        vec![],
        10_000_000,
    );
    assert_eq!((lost.comm(0), lost.place(0).0), ("?", "?".to_owned()));
    let sideband = vec![band(20_000_000, STRANGER, map(0x10000, "/late", 0))];
    let seen = run(
        &mut session,
        vec![fault(STRANGER, 20_000_100, 0x10000)],
        sideband,
        40_000_000,
    );
    assert_eq!(seen.objects[0].path, "/late");
    assert_eq!(seen.events[0].object, ObjectId(1));
}

#[test]
fn others_leave_no_trace() {
    let sideband = vec![
        band(100, STRANGER, comm("stranger", true)),
        band(110, STRANGER, map(0x10000, "/secret", 0)),
        band(
            120,
            STRANGER + 1,
            What::Fork {
                parent_pid: STRANGER,
                parent_tid: STRANGER,
            },
        ),
    ];
    let seen = run(&mut session(None), vec![], sideband, 10_000_000);
    assert!(seen.comms.is_empty() && seen.objects.is_empty() && seen.timeline.is_empty());
}

#[test]
fn what_the_held_child_does_before_its_exec_is_counted_and_left_out() {
    let mut session = session(Some(PID));
    let sideband = vec![
        band(200, PID, comm("command", true)),
        band(210, PID, map(0x10000, "/a", 0)),
    ];
    let records = vec![fault(PID, 100, 0x10000), fault(PID, 300, 0x10000)];
    let seen = run(&mut session, records, sideband, 10_000_000);
    assert_eq!(seen.events.len(), 1);
    assert_eq!((seen.events[0].ts_ns, seen.comm(0)), (300, "command"));
    assert_eq!(
        session.before_exec(),
        Faults {
            minors: 1,
            ..Faults::default()
        }
    );
    assert_eq!(
        session.recorded(),
        Faults {
            minors: 1,
            ..Faults::default()
        }
    );
}

fn query(pid: u32, begin_ns: u64, end_ns: u64) -> Record {
    Record::Query(Box::new(pf_bpf::Query {
        tgid: pid,
        tid: pid,
        begin_ns,
        end_ns,
        ..pf_bpf::Query::default()
    }))
}

#[test]
fn queries_count_from_the_exec_of_the_command_on() {
    let mut session = session(Some(PID));
    let text = Record::QueryText(Box::new(pf_bpf::QueryText {
        tid: PID,
        begin_ns: 60,
        text: b"of pfrec".to_vec(),
        cut: false,
    }));
    // One has ended before, one is cut off by the exec, and one began before anything was seen.
    let before = vec![
        query(PID, 50, 60),
        text,
        query(PID, 60, 70),
        query(PID, 190, 205),
        query(PID, 0, 80),
    ];
    let fork = What::Fork {
        parent_pid: PID,
        parent_tid: PID,
    };
    let sideband = vec![
        band(200, PID, comm("command", true)),
        band(300, CHILD, fork),
        band(500, PID, comm("another", true)),
    ];
    // Another exec is the command's own.
    let after = vec![query(PID, 210, 220), query(CHILD, 310, 320), query(PID, 400, 505)];
    let seen = run(&mut session, [before, after].concat(), sideband, 10_000_000);
    let begins: Vec<u64> = seen.queries.iter().map(|query| query.begin_ns).collect();
    assert_eq!(begins, [210, 310, 400]);
}

#[test]
fn the_end_of_a_thread_carries_the_kernels_counters() {
    let counts = Counts {
        majors: 3,
        minors: 9,
        ..Counts::default()
    };
    let exit = Record::Exit(Exit {
        ts_ns: 290,
        tgid: PID,
        tid: PID,
        counts,
    });
    let sideband = vec![band(100, PID, comm("x", false)), band(300, PID, What::Exit)];
    let seen = run(&mut session(None), vec![exit], sideband, 10_000_000);
    let what = Happening::Exit {
        maj_flt: 3,
        min_flt: 9,
        counters_known: true,
    };
    assert_eq!(
        seen.timeline.last().unwrap(),
        &TimelineEntry {
            ts_ns: 300,
            pid: PID,
            tid: PID,
            what
        }
    );
}

#[test]
fn filters_that_let_nothing_pass_are_told_with_what_was_there() {
    let mut session = session(None);
    session.set_filters(vec!["threads named x".to_owned()]);
    run(
        &mut session,
        vec![],
        vec![band(100, PID, comm("worker", false))],
        10_000_000,
    );
    let remarks: Vec<String> = session.remarks().collect();
    assert_eq!(
        remarks,
        ["no fault passed the filters (threads named x); the threads were named: worker"]
    );
    run(
        &mut session,
        vec![fault(PID, 20_000_000, 0x1000)],
        vec![],
        30_000_000,
    );
    assert_eq!(session.remarks().count(), 0);
}

#[test]
fn what_a_process_runs_is_told_from_its_exec_on_and_the_held_child_is_not_pfrec() {
    let mut session = session(Some(PID));
    let fork = What::Fork {
        parent_pid: PID,
        parent_tid: PID,
    };
    let sideband = vec![
        band(200, PID, comm("command", true)),
        band(210, PID, map(0x10000, "/bin/command", 0)),
        band(220, PID, map(0x50000, "/lib/ld.so", 0)),
        band(300, CHILD, fork),
        band(400, CHILD, comm("other", true)),
        band(410, CHILD, map(0x10000, "/bin/other", 0)),
    ];
    let seen = run(&mut session, vec![], sideband, 10_000_000);
    let told: Vec<_> = seen
        .processes
        .iter()
        .map(|entry| (entry.ts_ns, entry.pid, entry.executable.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (200, PID, "/bin/command"),
            (300, CHILD, "/bin/command"),
            (400, CHILD, "/bin/other")
        ]
    );
}

#[test]
fn memory_without_a_file_has_a_kind_and_no_page() {
    let sideband = vec![
        band(100, PID, map(0x10000, "//anon", 0)),
        band(100, PID, map(0x20000, "[heap]", 0)),
        band(100, PID, map(0x7fff_0000_0000, "[stack]", 0)),
    ];
    let records = [0x11000, 0x21000, 0x7fff_0000_0000, 0x7ffe_ffff_0000, 0x40_0000]
        .map(|a| fault(PID, 200, a))
        .to_vec();
    let seen = run(&mut session(None), records, sideband, 10_000_000);
    let places: Vec<_> = (0..5).map(|event| seen.place(event)).collect();
    let expected = ["anon", "heap", "stack", "stack", "?"].map(|kind| (kind.to_owned(), 0));
    assert_eq!(places, expected);
}
