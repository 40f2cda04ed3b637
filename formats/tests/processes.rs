//! Programs of processes, and how the command ended: what is written comes back, and older traces have neither.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::raw::{FOOTER, PROCESSES, frame, frames, trace_with};
use common::read;
use pf_formats::{CommandEnd, Item, ProcessEntry, Totals, TraceReader, repair, verify};

/// The entries of each record.
fn records(items: &[Item]) -> Vec<Vec<ProcessEntry>> {
    let entries = |item: &Item| {
        let Item::Processes(entries) = item else {
            return None;
        };
        Some(entries.clone())
    };
    items.iter().filter_map(entries).collect()
}

fn written(entries: &[ProcessEntry]) -> Vec<Vec<ProcessEntry>> {
    let mut writer = common::writer();
    writer.processes(entries).unwrap();
    let (items, summary) = read(&writer.finish(Totals::default()).unwrap());
    assert_eq!((summary.damages, summary.finished), (0, true));
    records(&items)
}

fn entry(pid: u32, command: &[&str]) -> ProcessEntry {
    ProcessEntry {
        ts_ns: 5,
        pid,
        executable: "/bin/x".into(),
        command: command.iter().map(|text| (*text).to_owned()).collect(),
    }
}

fn totals_of(bytes: &[u8]) -> Totals {
    let (mut items, _) = read(bytes);
    let Some(Item::Footer(footer)) = items.pop() else {
        panic!("no footer")
    };
    footer.totals
}

#[test]
fn processes_come_back_as_written() {
    assert_eq!(written(&common::processes()), [common::processes()]);
    assert_eq!(written(&[]), Vec::<Vec<ProcessEntry>>::new());
}

#[test]
fn many_processes_are_written_in_records_that_a_reader_takes() {
    let long = "x".repeat(4000);
    let entries: Vec<_> = (0..9000).map(|pid| entry(pid, &["a", &long])).collect();
    let back = written(&entries);
    assert!(back.len() > 30 && back.concat() == entries);
    let arguments = vec!["a"; 2000];
    let entries: Vec<_> = (0..100).map(|pid| entry(pid, &arguments)).collect();
    let back = written(&entries);
    assert!(back.len() >= 4 && back.concat() == entries);
}

#[test]
fn a_path_and_a_command_line_over_the_limit_are_cut_and_marked() {
    let long = ProcessEntry {
        executable: "/".repeat(9000),
        ..entry(1, &["a", &"b".repeat(9000), "c"])
    };
    let back = written(&[long]).concat().remove(0);
    assert!(back.executable.len() == 4096 && back.executable.ends_with("/…"));
    assert_eq!(back.command.len(), 2);
    assert!(back.command[1].ends_with("b…") && back.command[1].len() == 4093);
}

#[test]
fn how_the_command_ended_comes_back() {
    for command_end in [
        None,
        Some(CommandEnd {
            by_signal: true,
            number: 9,
        }),
        Some(CommandEnd {
            by_signal: false,
            number: u32::MAX,
        }),
    ] {
        let totals = Totals {
            command_end,
            ..Totals::default()
        };
        let bytes = common::writer().finish(totals).unwrap();
        assert_eq!(totals_of(&bytes).command_end, command_end);
    }
}

#[test]
fn totals_of_version_1_1_have_no_end_of_the_command() {
    let whole = common::writer().finish(Totals::default()).unwrap();
    let (at, len) = *frames(&whole).last().unwrap();
    let payload = &whole[at + 32..at + len];
    let totals_len = u32::from_le_bytes(*payload.first_chunk().unwrap()) as usize;
    // The last byte says that there is none.
    let totals = &payload[8..8 + totals_len - 1];
    let older = [&(totals.len() as u32).to_le_bytes()[..], &[0; 4], totals].concat();
    let totals = totals_of(&trace_with(&frame(FOOTER, 1, 0, 1, &older)));
    assert_eq!(totals, Totals::default());
}

#[test]
fn a_record_that_breaks_the_rules_is_damage() {
    let pack = |raw: &[u8]| {
        let mut packed = (raw.len() as u32).to_le_bytes().to_vec();
        packed.extend(zstd::bulk::compress(raw, 1).unwrap());
        packed
    };
    let count = |count: u64| count.to_le_bytes().to_vec();
    let head = [&5u64.to_le_bytes()[..], &6u32.to_le_bytes()].concat();
    let text = |len: usize| [count(len as u64), vec![b'x'; len]].concat();
    let many = [head.clone(), text(1), count(40_000), vec![0; 8 * 40_000]].concat();
    for (raw, is_whole) in [
        ([count(1), head.clone(), text(2), count(0)].concat(), true),
        (
            [count(1), head.clone(), text(2), count(1), text(3)].concat(),
            true,
        ),
        ([count(1), many.clone()].concat(), true),
        // More than 65,536 arguments together, entries, bytes in a string; bytes that are left; an end in a field.
        ([count(2), many.clone(), many].concat(), false),
        (count(65_537), false),
        ([count(1), head.clone(), text(65_537), count(0)].concat(), false),
        (
            [count(1), head.clone(), text(2), count(0), vec![0]].concat(),
            false,
        ),
        ([count(1), head, text(2)].concat(), false),
    ] {
        let (items, summary) = read(&trace_with(&frame(PROCESSES, 1, 0, 1, &pack(&raw))));
        assert_eq!(items.len(), 2);
        assert_eq!(summary.damages == 0, is_whole, "{:?}", items[1]);
    }
}

#[test]
fn a_repaired_trace_keeps_processes_and_the_end_of_the_command() {
    let whole = common::full_trace();
    let (copy, bytes) = repair(
        &mut TraceReader::new(&whole[..]).unwrap(),
        Vec::new(),
        &mut |_| (),
    )
    .unwrap();
    copy.prove(&mut TraceReader::new(&bytes[..]).unwrap(), &mut |_| ())
        .unwrap();
    let (items, _) = read(&bytes);
    assert_eq!(records(&items), [common::processes()]);
    assert_eq!(totals_of(&bytes).command_end, totals_of(&whole).command_end);
    let found = verify(&mut TraceReader::new(&bytes[..]).unwrap(), &mut |_| ()).unwrap();
    assert_eq!(found.counts.processes, 3);
}
