//! What is made up without end is kept up to a bound, and what is beyond it is told.

#![allow(clippy::panic)]

use super::*;
use crate::{
    queries::Patience,
    session::{
        adoption::Room,
        budget::{COMMS, OBJECTS, OTHERS},
    },
};

/// Whatever was made up is older than this, nanoseconds.
const ALL: u64 = 1 << 40;

fn file(pid: u32, ts_ns: u64, start: u64, number: u64) -> Sideband {
    let map = Map {
        start,
        len: PAGE,
        offset: 7 * PAGE,
        device: (254, 0),
        inode: number,
        path: format!("/{number:0>200}"),
        ..Map::default()
    };
    band(ts_ns, pid, What::Map(map))
}

#[test]
fn a_process_that_renames_its_thread_for_ever_gets_no_more_than_half_of_the_names() {
    let mut session = session(None);
    let names = COMMS as u64;
    let renames = (0..names).map(|number| band(number, PID, comm(&format!("n{number}"), false)));
    let last = vec![fault(PID, names + 10, 0x1000)];
    let told = run(&mut session, last, renames.collect(), ALL);
    assert_eq!(told.comms.len(), COMMS / 2 + 1);
    assert_eq!(told.comm(0), OTHERS);
    assert_eq!(told.timeline.len(), COMMS, "each is told all the same");
    let [loss] = &told.losses[..] else {
        panic!("{:?}", told.losses)
    };
    assert_eq!(
        (loss.count, loss.from_ns, loss.to_ns),
        (names / 2, names / 2, names - 1)
    );
    assert_eq!(loss.reason, pf_formats::LossReason::Sideband);
    let words = session.folded().describe();
    assert!(
        words.len() == 1 && words[0].starts_with("131,072 thread names: "),
        "{words:?}"
    );
    // Those of others are told by their own.
    let fork = What::Fork {
        parent_pid: CHILD,
        parent_tid: CHILD,
    };
    session.join(CHILD);
    session.join(STRANGER);
    let sideband = vec![
        band(ALL, STRANGER, fork),
        band(ALL + 1, STRANGER, comm("other", true)),
    ];
    let told = run(&mut session, vec![fault(STRANGER, ALL + 2, 0)], sideband, 2 * ALL);
    assert_eq!(
        (&told.comms[..], &told.losses[..]),
        (&["other".to_owned()][..], &[][..])
    );
}

#[test]
fn files_beyond_the_bound_are_one_object_without_pages_and_the_wanted_file_is_none_of_them() {
    let mut session = session(None);
    let wanted = FileIdentity {
        device: (254, 0),
        inode: 1 << 32,
    };
    session.only(Some(Only::new(std::path::Path::new("/wanted"), vec![wanted])));
    let count = (OBJECTS / 200) as u64;
    let mut sideband: Vec<_> = (1..=count)
        .map(|number| file(PID, number, 0x10000, number))
        .collect();
    sideband.push(file(PID, count + 1, 0x20000, wanted.inode));
    sideband.push(band(count + 2, PID, map(0x30000, "[heap]", 0)));
    let told = run(&mut session, vec![fault(PID, ALL, 0x20123)], sideband, ALL);
    assert!(told.objects.len() < OBJECTS / 264, "{}", told.objects.len());
    let [loss] = &told.losses[..] else {
        panic!("{:?}", told.losses)
    };
    // Besides those that have an id there are the wanted one, the heap, and the object of all others.
    assert_eq!(loss.count, count + 3 - told.objects.len() as u64);
    assert_eq!(told.place(0).1, 7);
    let find = |session: &mut Session, address| session.find(PID, address, 0).unwrap().1;
    let (others, heap) = (find(&mut session, 0x10000), find(&mut session, 0x30000));
    assert!(session.dictionary.is_others(others.object));
    assert_eq!(
        (others.kind, heap.kind),
        (pf_formats::ObjectKind::Unknown, pf_formats::ObjectKind::Heap)
    );
}

#[test]
fn what_a_probe_saw_of_a_file_beyond_the_bound_asks_nobody_and_has_no_page() {
    let mut session = session(None);
    let count = (OBJECTS / 200) as u64;
    let sideband = (1..=count).map(|number| file(PID, number, 0x10000, number));
    let Record::Fault(seen) = fault(PID, ALL, 0x10123) else {
        unreachable!()
    };
    let seen = Record::Fault(Fault {
        vma: Some(pf_bpf::Vma {
            device: (254, 0),
            inode: count,
            file_page: 7,
        }),
        ..seen
    });
    let told = run(&mut session, vec![seen], sideband.collect(), ALL);
    let others = told.events[0].object;
    assert!(session.dictionary.is_others(others));
    assert_eq!(told.events[0].object_page, 0);
    assert!(session.aliases.is_empty());
}

/// Mappings that no record says are gone.
fn mapped_and_removed(pid: u32, from: u64, count: u64) -> Vec<Sideband> {
    let one = |number| file(pid, number, 0x1000_0000_0000 + number * 2 * PAGE, 1);
    (from..from + count).map(one).collect()
}

#[test]
fn mappings_that_are_gone_are_forgotten_when_there_are_too_many() {
    let pid = std::process::id();
    let members = Members::Some {
        pids: [pid].into(),
        children: true,
    };
    let mut session = Session::new(members, PAGE, None);
    let own = proc::maps(pid).unwrap().len();
    // Made after any reading: it is still there.
    let later = u64::MAX / 2;
    let mut sideband = mapped_and_removed(pid, 1, 5_000);
    sideband.push(file(pid, later, 0x20_0000, 5_001));
    let told = run(&mut session, Vec::new(), sideband, u64::MAX);
    assert_eq!(told.timeline.len(), 5_001);
    let kept = session.processes[&pid].space.len();
    assert!(kept <= own + 100, "{kept} of {own}");
    assert!(session.find(pid, 0x20_0000, 0).is_some());
    assert!(session.processes[&pid].renewal.is_none() && session.renewals.is_empty());
    // A stack is there, although no record told of it.
    let stack = proc::maps(pid)
        .unwrap()
        .into_iter()
        .find(|map| map.path == "[stack]");
    let found = session.processes[&pid]
        .space
        .find(stack.unwrap().start)
        .unwrap()
        .1;
    assert_eq!(found.kind, pf_formats::ObjectKind::Stack);
}

#[test]
fn what_is_read_again_counts_only_when_all_records_before_are_through() {
    let pid = std::process::id();
    let members = Members::Some {
        pids: [pid].into(),
        children: true,
    };
    let mut session = Session::new(members, PAGE, None);
    let address = 0x1000_0000_0000 + 2 * PAGE;
    let sideband = mapped_and_removed(pid, 1, 5_000);
    // This fault is told late: its mapping was there then.
    let told = run(&mut session, Vec::new(), sideband, SIDEBAND_SETTLE_NS + 10_000);
    assert!(told.events.is_empty() && session.processes[&pid].renewal.is_some());
    let told = run(
        &mut session,
        vec![fault(pid, 9_000, address)],
        Vec::new(),
        u64::MAX,
    );
    assert_ne!(told.events[0].object, ObjectId(0));
    assert!(session.processes[&pid].renewal.is_none());
    assert!(session.processes[&pid].space.find(address).is_none());
}

#[test]
fn mappings_of_a_process_that_cannot_be_read_are_bounded_too() {
    let mut session = session(None);
    let count = (1 << 20) + 10;
    let told = run(
        &mut session,
        Vec::new(),
        mapped_and_removed(PID, 1, count),
        ALL << 10,
    );
    assert!(session.processes[&PID].space.len() < 20);
    assert_eq!(
        told.losses.iter().map(|loss| loss.count).sum::<u64>(),
        (1 << 20) + 1
    );
    assert!(session.folded().describe()[0].starts_with("1,048,577 mappings: "));
}

#[test]
fn processes_whose_end_was_lost_are_forgotten_after_the_next_loss() {
    let mut session = session(None);
    let begun = vec![
        band(100, PID, comm("a", true)),
        band(110, PID, map(0x10000, "/a", 0)),
    ];
    run(&mut session, Vec::new(), begun, 10_000_000);
    session.distrust_mappings();
    // Faults from before its end may still come.
    let told = run(
        &mut session,
        vec![fault(PID, 200, 0x10000)],
        Vec::new(),
        10_000_000,
    );
    assert_eq!(
        (told.events[0].comm, told.events[0].object),
        (CommId(1), ObjectId(1))
    );
    run(&mut session, Vec::new(), Vec::new(), u64::MAX);
    session.distrust_mappings();
    assert!(session.processes.is_empty() && session.threads.is_empty());
    assert!(!session.is_member(PID));
}

/// Members of real processes: this one, and a younger one.
fn two_that_live() -> (Session, u32, std::process::Child) {
    let own = std::process::id();
    let child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let members = Members::Some {
        pids: [own, child.id()].into(),
        children: true,
    };
    (Session::new(members, PAGE, None), own, child)
}

fn unread(room: Room) -> (Vec<u32>, u64, Vec<String>) {
    let (mut session, own, mut child) = two_that_live();
    session.adopt_within(room);
    let mut read: Vec<u32> = session.processes.keys().copied().collect();
    read.iter_mut().for_each(|pid| *pid = u32::from(*pid == own));
    let told = run(&mut session, Vec::new(), Vec::new(), ALL);
    // It is read when it first faults, as if nobody had told of it.
    let later = run(&mut session, vec![fault(own, ALL, 0x1000)], Vec::new(), ALL);
    assert!(session.processes[&own].space.len() > 4 && later.events[0].comm != CommId::default());
    child.kill().unwrap();
    child.wait().unwrap();
    let lost = told.losses.iter().map(|loss| {
        assert!(loss.reason == pf_formats::LossReason::Sideband && loss.from_ns <= loss.to_ns);
        loss.count
    });
    (read, lost.sum(), session.folded().describe())
}

#[test]
fn all_processes_that_are_there_have_one_budget_the_newest_first_and_the_others_are_told() {
    let patience = Patience::new();
    let (read, lost, words) = unread(Room {
        patience,
        mappings: 1,
    });
    assert_eq!((&read[..], lost), (&[0][..], 1), "the child is the newest");
    let told = "1 processes were not read when the recording began, the oldest ones: all of them together get 10 s and \
                2,097,152 mappings; ";
    assert!(words.len() == 1 && words[0].starts_with(told), "{words:?}");
    let patience = Patience::none();
    let (read, lost, _) = unread(Room {
        patience,
        mappings: 100_000,
    });
    assert_eq!((read.len(), lost), (0, 2));
    let patience = Patience::new();
    let (read, lost, words) = unread(Room {
        patience,
        mappings: 100_000,
    });
    assert_eq!((read.len(), lost, words.len()), (2, 0, 0));
}
