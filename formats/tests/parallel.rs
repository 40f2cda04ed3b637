//! Blocks that other threads decode come in their place, with everything else around them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{self, Read};

use common::raw::{EVENTS, frame, frames, seal_head};
use common::{small_trace, writer};
use pf_formats::{
    BlockInfo, Columns, DecodeAhead, FormatError, Item, Predicate, Projection, Step, Summary, TraceReader,
    Wanted,
};

/// A step, to keep.
#[allow(clippy::large_enum_variant, reason = "most of them are blocks")]
#[derive(Clone, Debug, PartialEq)]
enum Kept {
    Item(Item),
    Block(BlockInfo, Columns, Option<String>),
}

fn everything() -> Wanted {
    Wanted {
        predicate: Predicate::default(),
        columns: Projection::ALL,
    }
}

fn keep(step: Step<'_>) -> Kept {
    match step {
        Step::Item(item) => {
            assert!(!matches!(item, Item::Events(_)), "they come decoded");
            Kept::Item(item)
        }
        Step::Block(block) => {
            let error = block.error.as_ref().map(ToString::to_string);
            Kept::Block(block.info, block.columns.clone(), error)
        }
    }
}

fn ahead(input: impl Read, threads: usize, wanted: &Wanted) -> (Vec<Kept>, Summary) {
    let mut steps = DecodeAhead::with_threads(TraceReader::new(input).unwrap(), threads);
    let mut kept = Vec::new();
    while let Some(step) = steps.next(wanted).unwrap() {
        kept.push(keep(step));
    }
    assert!(steps.next(wanted).unwrap().is_none(), "the end stays the end");
    (kept, steps.reader().summary().clone())
}

/// What a reader and a decoder give one after the other.
fn one_by_one(bytes: &[u8]) -> (Vec<Kept>, Summary) {
    let (items, summary) = common::read(bytes);
    let kept = items.into_iter().map(|item| match item {
        Item::Events(block) => {
            let mut columns = Columns::default();
            let error = common::decode(&block, Projection::ALL, &mut columns).err();
            Kept::Block(block.info, columns, error.map(|error| error.to_string()))
        }
        other => Kept::Item(other),
    });
    (kept.collect(), summary)
}

/// Many blocks of very different lengths, with other records between them.
fn uneven_trace() -> Vec<u8> {
    let mut writer = writer();
    writer.dict(&common::comms(&["worker"])).unwrap();
    let mut next = 0;
    for block in 0..60u64 {
        let count = if block % 7 == 0 {
            30_000
        } else {
            1 + block * 13 % 50
        };
        for _ in 0..count {
            writer.push(&common::full_event(next)).unwrap();
            next += 1;
        }
        writer.flush_block().unwrap();
        if block % 5 == 0 {
            writer.timeline(&common::timeline()).unwrap();
        }
    }
    writer.finish(pf_formats::Totals::default()).unwrap()
}

#[test]
fn any_number_of_threads_gives_what_one_gives() {
    for bytes in [uneven_trace(), small_trace(), common::full_trace()] {
        let expected = one_by_one(&bytes);
        for threads in [0, 1, 2, 3, 8] {
            assert!(ahead(&bytes[..], threads, &everything()) == expected, "{threads}");
        }
    }
}

#[test]
fn a_map_gives_the_same_as_a_stream() {
    use std::io::Write;
    let bytes = uneven_trace();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    let mut steps = DecodeAhead::with_threads(TraceReader::open(file).unwrap(), 3);
    let mut kept = Vec::new();
    while let Some(step) = steps.next(&everything()).unwrap() {
        kept.push(keep(step));
    }
    assert!(kept == one_by_one(&bytes).0);
}

#[test]
fn damage_and_blocks_that_do_not_decode_are_in_their_place() {
    let whole = small_trace();
    let places = frames(&whole);
    // A block whose checksum is right and whose first column is not.
    let (at, len) = places[5];
    let mut payload = whole[at + 32..at + len].to_vec();
    payload[96 + 1] = 9;
    seal_head(&mut payload);
    let lying = frame(EVENTS, 1, 21, 5, &payload);
    let mut bytes = [&whole[..at], &lying, &whole[at + len..]].concat();
    bytes[places[3].0 + 40] ^= 1;
    for threads in [1, 2, 4] {
        let (kept, summary) = ahead(&bytes[..], threads, &everything());
        assert_eq!((kept.clone(), summary), one_by_one(&bytes));
        assert!(matches!(&kept[3], Kept::Item(Item::Damage(_))));
        assert!(
            matches!(&kept[5], Kept::Block(info, columns, Some(_)) if info.events == 21 && columns.is_empty())
        );
        assert!(matches!(&kept[6], Kept::Block(_, columns, None) if columns.len() == 22));
    }
}

#[test]
fn an_input_that_fails_has_given_everything_before() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let bytes = uneven_trace();
    let (at, _) = frames(&bytes)[40];
    for threads in [1, 4] {
        let reader = TraceReader::new(bytes[..at].chain(Failing)).unwrap();
        let mut steps = DecodeAhead::with_threads(reader, threads);
        let mut kept = Vec::new();
        let error = loop {
            match steps.next(&everything()) {
                Ok(step) => kept.push(keep(step.expect("an error before the end"))),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, FormatError::Io(_)), "{error}");
        assert!(kept == one_by_one(&bytes).0[..40]);
    }
}

#[test]
fn a_caller_that_stops_early_leaves_nothing_behind() {
    let bytes = uneven_trace();
    for threads in [1, 2, 5] {
        for stop in [0, 1, 2, 3, 10, 30] {
            let mut steps = DecodeAhead::with_threads(TraceReader::new(&bytes[..]).unwrap(), threads);
            for _ in 0..stop {
                assert!(steps.next(&everything()).unwrap().is_some());
            }
        }
    }
    #[cfg(target_os = "linux")]
    until_no_thread_is_left();
}

/// Other tests of this process have such threads, too, and each of those ends.
#[cfg(target_os = "linux")]
fn until_no_thread_is_left() {
    let decodes = |task: io::Result<std::fs::DirEntry>| {
        let comm = std::fs::read_to_string(task.unwrap().path().join("comm"));
        comm.is_ok_and(|comm| comm.trim() == "pf-decode")
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while std::fs::read_dir("/proc/self/task").unwrap().any(decodes) {
        assert!(std::time::Instant::now() < deadline, "threads are left");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn reading_stays_a_stated_number_of_items_ahead() {
    let bytes = uneven_trace();
    let ends: Vec<usize> = frames(&bytes).iter().map(|(at, len)| at + len).collect();
    for threads in [1, 2, 4] {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, &bytes).unwrap();
        let mut steps = DecodeAhead::with_threads(TraceReader::open(file).unwrap(), threads);
        for handed_over in 0.. {
            let ahead = steps.ahead();
            if steps.next(&everything()).unwrap().is_none() {
                break;
            }
            let most = ends.get(handed_over + ahead - 1).copied().unwrap_or(bytes.len());
            assert!(steps.reader().offset() <= most as u64, "item {handed_over}");
        }
        assert!(steps.ahead() <= threads + 2);
    }
}

#[test]
fn nothing_is_read_beyond_meta_before_it_is_handed_over() {
    let bytes = uneven_trace();
    let (at, len) = frames(&bytes)[0];
    let mut steps = DecodeAhead::with_threads(TraceReader::new(&bytes[..]).unwrap(), 4);
    let nothing = Wanted {
        predicate: Predicate::nothing(),
        ..everything()
    };
    let first = steps.next(&nothing).unwrap().unwrap();
    assert!(matches!(first, Step::Item(Item::Meta(_))));
    assert_eq!(steps.reader().offset(), (at + len) as u64);
    // What was wanted until now does not count for what comes.
    let mut blocks = 0;
    while let Some(step) = steps.next(&everything()).unwrap() {
        blocks += u32::from(matches!(step, Step::Block(_)));
    }
    assert_eq!(blocks, 60);
}

#[test]
fn blocks_that_cannot_match_are_skipped_and_said_to_be() {
    let bytes = small_trace();
    let wanted = Wanted {
        predicate: Predicate {
            from_ns: Some(1_000_000 + 41 * 700),
            ..Predicate::default()
        },
        columns: Projection::TS,
    };
    for threads in [1, 3] {
        let (kept, summary) = ahead(&bytes[..], threads, &wanted);
        assert!(matches!(kept[4], Kept::Item(Item::Skipped(info)) if info.events == 20));
        assert!(matches!(&kept[6], Kept::Block(_, columns, None)
            if columns.class.is_empty() && columns.ts_ns.len() == 22));
        assert_eq!((summary.blocks, summary.blocks_skipped), (1, 2));
    }
}

#[test]
fn a_stream_that_stops_has_given_all_but_what_is_read_ahead() {
    let bytes = uneven_trace();
    let (at, len) = frames(&bytes)[30];
    let (first, rest) = bytes.split_at(at + len);
    let (first, rest) = (first.to_vec(), rest.to_vec());
    let (read, mut write) = io::pipe().unwrap();
    let (seen, has_seen) = std::sync::mpsc::channel();
    let sender = std::thread::spawn(move || {
        io::Write::write_all(&mut write, &first).unwrap();
        // The rest comes only when enough has come out.
        has_seen
            .recv_timeout(std::time::Duration::from_secs(60))
            .expect("items");
        io::Write::write_all(&mut write, &rest).unwrap();
    });
    let mut steps = DecodeAhead::with_threads(TraceReader::new(read).unwrap(), 2);
    let mut kept = Vec::new();
    while let Some(step) = steps.next(&everything()).unwrap() {
        kept.push(keep(step));
        if kept.len() == 31 - (steps.ahead() - 1) {
            seen.send(()).unwrap();
        }
    }
    assert!(kept == one_by_one(&bytes).0);
    sender.join().unwrap();
}
