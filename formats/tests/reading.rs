//! Ways of reading: from a slow pipe, from a failing input, only some columns, with dictionaries.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{self, Read};

use common::{blocks, read, small_trace};
use pf_formats::{Columns, Dict, Event, FormatError, Item, Projection, Totals, TraceReader};

/// Gives one byte at a time and is interrupted before each.
struct Trickle<'a> {
    bytes: &'a [u8],
    interrupt: bool,
}

impl Read for Trickle<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let one = into.len().min(1);
        self.bytes.read(&mut into[..one])
    }
}

#[test]
fn a_pipe_that_gives_one_byte_at_a_time_reads_the_same() {
    let trace = small_trace();
    let mut reader = TraceReader::new(Trickle {
        bytes: &trace,
        interrupt: false,
    })
    .unwrap();
    let mut items = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        items.push(item);
    }
    assert_eq!((items, reader.summary().clone()), read(&trace));
}

#[test]
fn a_failing_input_is_an_error_and_not_damage() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let trace = small_trace();
    let mut reader = TraceReader::new(trace[..300].chain(Failing)).unwrap();
    let error = loop {
        match reader.next() {
            Ok(item) => assert!(!matches!(item, None | Some(Item::Damage(_)))),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, FormatError::Io(_)));
}

#[test]
fn something_else_is_named_as_not_a_trace() {
    let error = TraceReader::new(&b"\x7fELF and so on"[..]).err().unwrap();
    assert!(matches!(error, FormatError::NotATrace { .. }), "{error}");
    assert!(matches!(
        TraceReader::new(io::empty()).err().unwrap(),
        FormatError::Empty
    ));
}

/// The columns without those of parts that were not chosen, in the order of the test below.
fn only(chosen: impl Fn(usize) -> bool, mut columns: Columns) -> Columns {
    if !chosen(0) {
        columns.ts_ns.clear();
    }
    if !chosen(1) {
        columns.latency_ns.clear();
    }
    if !chosen(2) {
        columns.pid.clear();
        columns.tid.clear();
        columns.comm.clear();
    }
    if !chosen(3) {
        columns.cpu.clear();
    }
    if !chosen(4) {
        columns.address.clear();
    }
    if !chosen(5) {
        columns.ip.clear();
    }
    if !chosen(6) {
        columns.object.clear();
        columns.object_page.clear();
    }
    if !chosen(7) {
        columns.class.clear();
    }
    if !chosen(8) {
        columns.retries.clear();
    }
    if !chosen(9) {
        columns.blocked_ns.clear();
        columns.runqueue_ns.clear();
        columns.reclaim_ns.clear();
        columns.lock_ns.clear();
    }
    if !chosen(10) {
        columns.stack.clear();
    }
    if !chosen(11) {
        columns.query.clear();
    }
    columns
}

#[test]
fn a_projection_fills_its_columns_and_no_others() {
    let (items, _) = read(&common::full_trace());
    let Some(Item::Events(block)) = items.iter().find(|item| matches!(item, Item::Events(_))) else {
        panic!("no block")
    };
    let mut all = Columns::default();
    common::decode(block, Projection::ALL, &mut all).unwrap();
    let parts = [
        Projection::TS,
        Projection::LATENCY,
        Projection::THREAD,
        Projection::CPU,
        Projection::ADDRESS,
        Projection::IP,
        Projection::OBJECT,
        Projection::CLASS,
        Projection::RETRIES,
        Projection::BREAKDOWN,
        Projection::STACK,
        Projection::QUERY,
        Projection::SIGNAL,
    ];
    for bits in 0..1u32 << parts.len() {
        let chosen = |part: usize| bits & (1 << part) != 0;
        let want = (0..parts.len())
            .filter(|part| chosen(*part))
            .fold(Projection::NONE, |set, part| set | parts[part]);
        let expected = only(chosen, all.clone());
        // Whatever an earlier block left there, a shorter or a longer one.
        for left in [0, 3 * all.len()] {
            let mut got = all.clone();
            for column in [
                &mut got.ts_ns,
                &mut got.latency_ns,
                &mut got.address,
                &mut got.ip,
                &mut got.object_page,
                &mut got.blocked_ns,
                &mut got.query,
            ] {
                *column = vec![u64::MAX; left];
            }
            common::decode(block, want, &mut got).unwrap();
            assert_eq!(got, expected, "{want:?}");
        }
    }
}

#[test]
fn a_row_of_a_partial_projection_is_no_event() {
    let mut columns = Columns::default();
    columns.extend(&[common::event(3)]);
    assert_eq!(columns.event(0), Some(common::event(3)));
    assert_eq!((columns.event(1), columns.len()), (None, 1));
    columns.ip.clear();
    assert_eq!(columns.event(0), None);
}

#[test]
fn dictionary_entries_written_again_are_left_out_and_new_meanings_refused() {
    let mut writer = common::writer();
    writer.dict(&common::comms(&["a", "b"])).unwrap();
    let written = writer.bytes_written();
    writer.dict(&common::comms(&["a", "b"])).unwrap();
    assert_eq!(writer.bytes_written(), written);
    writer.dict(&common::comms(&["a", "b", "c"])).unwrap();
    let error = writer.dict(&common::comms(&["z"])).unwrap_err();
    assert!(matches!(error, FormatError::IdReused { id: 1, .. }), "{error}");
    let (items, _) = read(&writer.finish(Totals::default()).unwrap());
    assert_eq!(
        items[2],
        Item::Dict(Dict::Comms {
            first_id: 3,
            entries: vec!["c".into()]
        })
    );
}

#[test]
fn all_dictionaries_come_again_every_64_mib() {
    let mut writer = common::writer();
    writer.dict(&common::comms(&["a", "b"])).unwrap();
    writer.dict(&common::objects()).unwrap();
    writer.dict(&common::frames()).unwrap();
    writer.dict(&common::stacks()).unwrap();
    // Noise in every column fills 64 MiB with the fewest events.
    let mut state = 1u64;
    let mut noise = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state ^ state >> 29
    };
    while writer.bytes_written() < 66 << 20 {
        let event = Event {
            ts_ns: noise(),
            latency_ns: noise(),
            address: noise(),
            ip: noise(),
            object_page: noise(),
            ..common::event(1)
        };
        writer.push(&event).unwrap();
    }
    let (items, summary) = read(&writer.finish(Totals::default()).unwrap());
    let dicts: Vec<_> = items
        .iter()
        .filter(|item| matches!(item, Item::Dict(_)))
        .collect();
    assert_eq!(dicts.len(), 8);
    assert_eq!(dicts[..4], dicts[4..]);
    assert_eq!(summary.damages, 0);
}

#[test]
fn long_lists_are_split_into_frames_that_read_back() {
    let mut writer = common::writer();
    let names: Vec<String> = (0..3000).map(|i| format!("{i:01000}")).collect();
    writer
        .dict(&Dict::Comms {
            first_id: 1,
            entries: names.clone(),
        })
        .unwrap();
    let timeline = vec![common::timeline(); 5000].concat();
    writer.timeline(&timeline).unwrap();
    writer.timeline(&[]).unwrap();
    let losses = vec![common::losses(); 10_000].concat();
    writer.loss(&losses).unwrap();
    let (items, summary) = read(&writer.finish(Totals::default()).unwrap());
    assert_eq!(summary.damages, 0);
    let (mut got_names, mut got_timeline, mut got_losses) = (vec![], vec![], vec![]);
    for item in items {
        match item {
            Item::Dict(Dict::Comms { first_id, entries }) => {
                assert_eq!(first_id as usize, got_names.len() + 1);
                got_names.extend(entries);
            }
            Item::Timeline(entries) => got_timeline.extend(entries),
            Item::Loss(entries) => got_losses.extend(entries),
            _ => {}
        }
    }
    assert!(got_names == names && got_timeline == timeline && got_losses == losses);
}

#[test]
fn a_command_line_of_megabytes_is_cut_and_says_so() {
    let mut meta = common::meta();
    meta.command = vec!["é".repeat(50_000); 100];
    let header = pf_formats::Header::new(common::TRACE_ID, 0);
    let writer = pf_formats::TraceWriter::create(Vec::new(), &header, &meta).unwrap();
    let (items, summary) = read(&writer.finish(Totals::default()).unwrap());
    let Item::Meta(got) = &items[0] else {
        panic!("{items:?}")
    };
    assert!(got.command[0].len() <= 65_536 && got.command[0].ends_with('…'));
    assert!(
        got.command.last().unwrap().ends_with("more"),
        "{:?}",
        got.command.last()
    );
    assert_eq!(summary.damages, 0);
}

#[test]
fn a_failed_write_is_seen_and_nothing_follows_it() {
    struct Full(usize);
    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.0.min(bytes.len());
            self.0 -= room;
            if room == 0 {
                Err(io::ErrorKind::StorageFull.into())
            } else {
                Ok(room)
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let header = pf_formats::Header::new(common::TRACE_ID, 0);
    let mut writer = pf_formats::TraceWriter::create(Full(600), &header, &common::meta()).unwrap();
    for i in 0..100 {
        writer.push(&common::event(i)).unwrap();
    }
    assert!(writer.flush_block().is_err());
    writer.get_mut().0 = usize::MAX;
    assert!(writer.flush_block().is_err());
    assert!(writer.finish(Totals::default()).is_err());
}

#[test]
fn a_writer_a_reader_and_a_block_can_move_to_another_thread() {
    fn assert_send<T: Send>() {}
    assert_send::<pf_formats::TraceWriter<Vec<u8>>>();
    assert_send::<TraceReader<io::Empty>>();
    assert_send::<pf_formats::EventsBlock>();
}

#[test]
fn the_published_sample_is_read_whole() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/cold-zipf/trace.pfz");
    let (items, summary) = read(&std::fs::read(path).unwrap());
    assert_eq!((summary.finished, summary.damages), (true, 0));
    // Panics when a block's columns contradict its statistics.
    let events: usize = blocks(&items).iter().map(Vec::len).sum();
    assert!(events > 0 && events as u64 == summary.events);
}
