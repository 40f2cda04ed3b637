//! Queries: what is written comes back, in as many records as it takes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::raw::{QUERIES, frame, frames, trace_with};
use common::read;
use pf_formats::{Event, Item, Query, QueryEnd, QueryFaults, QueryId, Totals};
use proptest::prelude::*;

/// The queries of each record.
fn records(items: &[Item]) -> Vec<Vec<Query>> {
    let queries = |item: &Item| {
        let Item::Queries(queries) = item else { return None };
        Some(queries.clone())
    };
    items.iter().filter_map(queries).collect()
}

fn written(queries: &[Query]) -> Vec<Vec<Query>> {
    let mut writer = common::writer();
    writer.queries(queries).unwrap();
    let (items, summary) = read(&writer.finish(Totals::default()).unwrap());
    assert_eq!((summary.damages, summary.finished), (0, true));
    records(&items)
}

fn query(id: u64) -> Query {
    Query {
        id: QueryId(id),
        name: "n".into(),
        ..Query::default()
    }
}

#[test]
fn queries_come_back_as_written() {
    assert_eq!(written(&common::queries()), [common::queries()]);
    assert_eq!(written(&[]), Vec::<Vec<Query>>::new());
}

#[test]
fn every_extreme_of_a_number_comes_back() {
    let most = QueryFaults {
        majors: u64::MAX,
        minors: u64::MAX,
        wait_ns: u64::MAX,
    };
    let extreme = Query {
        parent: QueryId(1),
        pid: u32::MAX,
        tid: u32::MAX,
        key: Some(u64::MAX),
        begin_ns: u64::MAX,
        end_ns: 0,
        own: most,
        nested: most,
        ..query(u64::MAX)
    };
    let early = Query {
        parent: QueryId(u64::MAX),
        ..query(1)
    };
    let queries = [extreme, early];
    assert_eq!(written(&queries).concat(), queries);
    assert_eq!(queries[0].total(), most);
}

#[test]
fn the_query_of_an_event_comes_back_and_costs_a_column_only_where_there_is_one() {
    let plain = common::event(1);
    let inside = Event {
        query: QueryId(1 << 40),
        ..plain
    };
    let mut writer = common::writer();
    for block in [[plain, plain], [plain, inside]] {
        for event in block {
            writer.push(&event).unwrap();
        }
        writer.flush_block().unwrap();
    }
    let (items, _) = read(&writer.finish(Totals::default()).unwrap());
    assert_eq!(common::blocks(&items), [[plain, plain], [plain, inside]]);
    let columns: Vec<_> = items.iter().filter_map(common::columns).collect();
    assert_eq!(columns[0].query, []);
    assert_eq!(columns[1].query, [0, 1 << 40]);
}

#[test]
fn long_texts_are_cut_at_a_character_and_say_so() {
    let long = Query {
        name: "é".repeat(600),
        text: Some("é".repeat(200).replacen('é', "e", 1)),
        ..query(1)
    };
    let short = Query {
        text: Some("x".repeat(256)),
        ..query(2)
    };
    let back = written(&[long, short.clone()]).concat();
    assert_eq!(back[1], short);
    assert_eq!(back[0].text.as_ref().unwrap().len(), 255);
    assert!(back[0].text_cut && back[0].name.ends_with('…') && back[0].name.len() <= 1024);
}

#[test]
fn many_queries_with_long_texts_are_split_into_records_that_read_back() {
    let queries: Vec<_> = (1..100_000)
        .map(|id| Query {
            text: Some(format!("{id:0256}")),
            ..query(id)
        })
        .collect();
    let records = written(&queries);
    assert!(records.len() > 4, "{}", records.len());
    assert!(records.concat() == queries);
}

#[test]
fn a_query_without_an_id_is_not_written() {
    let error = common::writer().queries(&[query(0)]).unwrap_err().to_string();
    assert!(error.contains("query id"), "{error}");
}

/// The payload of a record of `common::queries`.
fn payload() -> Vec<u8> {
    let mut writer = common::writer();
    writer.queries(&common::queries()).unwrap();
    let trace = writer.finish(Totals::default()).unwrap();
    let (at, len) = frames(&trace)[1];
    assert_eq!((trace[at + 4], trace[at + 5]), (QUERIES, 1));
    trace[at + 32..at + len].to_vec()
}

/// What reading a record with this payload gives.
fn record(payload: &[u8]) -> Result<Vec<Query>, String> {
    let (mut items, _) = read(&trace_with(&frame(QUERIES, 1, 0, 1, payload)));
    assert_eq!(items.len(), 2);
    match items.remove(1) {
        Item::Queries(queries) => Ok(queries),
        Item::Damage(damage) => {
            assert_eq!((damage.frames_missing, damage.events_missing), (1, 0));
            Err(damage.reason)
        }
        other => panic!("{other:?}"),
    }
}

/// A record of plain columns, each value at its full width.
fn made(rows: u32, columns: &[(u8, usize, &[u64])], strings: &[&str]) -> Vec<u8> {
    let mut payload = [rows, columns.len() as u32].map(u32::to_le_bytes).concat();
    let mut bodies = Vec::new();
    for (id, width, values) in columns {
        let start = bodies.len();
        bodies.push(((1 << width) - 1) as u8);
        for plane in 0..*width {
            bodies.extend((1 << 30 | rows).to_le_bytes());
            bodies.extend(values.iter().map(|value| value.to_le_bytes()[plane]));
        }
        payload.extend([*id, 0, 0, 0]);
        payload.extend(((bodies.len() - start) as u32).to_le_bytes());
    }
    payload.extend(bodies);
    let mut list = (strings.len() as u64).to_le_bytes().to_vec();
    for string in strings {
        list.extend((string.len() as u64).to_le_bytes());
        list.extend(string.as_bytes());
    }
    payload.extend((list.len() as u32).to_le_bytes());
    payload.extend(zstd::bulk::compress(&list, 1).unwrap());
    payload
}

#[test]
fn columns_that_are_not_there_are_zero_and_unknown_ones_are_skipped() {
    let columns: [(u8, usize, &[u64]); 2] = [(1, 8, &[7, 9]), (60, 2, &[1, 2])];
    let expected = [query(7), query(9)];
    assert_eq!(record(&made(2, &columns, &["n"])).unwrap(), expected);
}

#[test]
fn the_written_columns_are_those_that_say_something() {
    let mut writer = common::writer();
    writer.queries(&[query(5)]).unwrap();
    let trace = writer.finish(Totals::default()).unwrap();
    let (at, _) = frames(&trace)[1];
    assert_eq!(trace[at + 32..at + 40], [1, 0, 0, 0, 1, 0, 0, 0]);
}

#[test]
fn records_that_lie_are_refused() {
    let ids: (u8, usize, &[u64]) = (1, 8, &[7, 9]);
    let zero: (u8, usize, &[u64]) = (1, 8, &[7, 0]);
    let name = |place: &'static [u64]| (5u8, 4usize, place);
    let text = |place: &'static [u64]| (6u8, 4usize, place);
    let cases = [
        (made(2, &[zero], &["n"]), "query id"),
        (made(2, &[name(&[0, 0])], &["n"]), "query id"),
        (made(2, &[ids, name(&[0, 1])], &["n"]), "strings of the record"),
        (made(2, &[ids, text(&[1, 2])], &["n"]), "strings of the record"),
        (
            made(2, &[ids, text(&[1, 0xffff_ffff])], &["n"]),
            "strings of the record",
        ),
        (made(2, &[ids], &[]), "strings of the record"),
        (made(2, &[ids, ids], &["n"]), "twice"),
        (made(2, &[(5, 8, &[7, 9]), ids], &["n"]), "planes"),
        (made(2, &[(1, 8, &[7, 9, 5])], &["n"]), "column id"),
        (vec![0; 8], "queries in a record"),
        (
            [65_537u32, 0].map(u32::to_le_bytes).concat(),
            "queries in a record",
        ),
        ([1u32, 65].map(u32::to_le_bytes).concat(), "columns"),
        ([1u32, 64].map(u32::to_le_bytes).concat(), "cut short"),
        (vec![1, 0, 0], "cut short"),
    ];
    for (payload, word) in cases {
        let reason = record(&payload).unwrap_err();
        assert!(reason.contains(word), "{word}: {reason}");
    }
    let mut strange = made(2, &[ids], &["n"]);
    strange[9] = 2;
    assert!(record(&strange).unwrap_err().contains("encoding 2/0/0"));
    // The strings: gone, and of another length than they say.
    let whole = made(2, &[ids], &["n"]);
    for cut in 8..whole.len() {
        record(&whole[..cut]).unwrap_err();
    }
}

#[test]
fn a_long_string_that_everybody_uses_is_refused_before_it_is_copied() {
    let text = "x".repeat(60_000);
    let ids: Vec<u64> = (1..=65_536).collect();
    let reason = record(&made(65_536, &[(1, 8, &ids)], &[&text])).unwrap_err();
    assert!(reason.contains("names and texts"), "{reason}");
    let short = record(&made(65_536, &[(1, 8, &ids)], &["n"])).unwrap();
    assert_eq!(short.len(), 65_536);
}

#[test]
fn flags_of_a_later_version_are_read_as_an_end_that_was_not_seen() {
    let columns: [(u8, usize, &[u64]); 2] = [(1, 8, &[7]), (10, 1, &[0xff])];
    let queries = record(&made(1, &columns, &["n"])).unwrap();
    assert_eq!(queries[0].end, QueryEnd::Abandoned);
    assert!(queries[0].begun_before && queries[0].text_cut && queries[0].key == Some(0));
    assert_eq!(queries[0].wall_ns(), None);
}

#[test]
fn another_version_of_the_record_is_damage_with_a_reason() {
    let (items, _) = read(&trace_with(&frame(QUERIES, 2, 0, 1, &payload())));
    assert!(
        matches!(&items[1], Item::Damage(damage) if damage.reason.contains("QUERIES")),
        "{items:?}"
    );
}

#[test]
fn any_flipped_byte_costs_the_record_it_is_in() {
    let whole = common::full_trace();
    let (all, _) = read(&whole);
    let is_queries = |(at, _): &(usize, usize)| whole[at + 4] == QUERIES;
    let (at, len) = frames(&whole).into_iter().find(is_queries).unwrap();
    for position in at..at + len {
        let mut flipped = whole.clone();
        flipped[position] ^= 0xff;
        let (items, summary) = read(&flipped);
        let intact: Vec<_> = items
            .iter()
            .filter(|item| !matches!(item, Item::Damage(_)))
            .collect();
        let expected: Vec<_> = all
            .iter()
            .filter(|item| !matches!(item, Item::Queries(_)))
            .collect();
        assert_eq!(intact, expected, "byte {position}");
        assert_eq!(
            (summary.damages, summary.frames_missing),
            (1, 1),
            "byte {position}"
        );
    }
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(u64::MAX), 0..100u64, any::<u64>()]
}

fn any_query() -> impl Strategy<Value = Query> {
    let faults = || {
        (number(), number(), number()).prop_map(|(majors, minors, wait_ns)| QueryFaults {
            majors,
            minors,
            wait_ns,
        })
    };
    let text = || prop_oneof![Just(String::new()), "[a-cé]{0,3}", ".{0,60}"];
    let numbers = (number(), number(), number(), prop::option::of(number()));
    let rest = (any::<u32>(), 0..5u32, 0..3u8, any::<bool>(), any::<bool>());
    let texts = (text(), prop::option::of(text()));
    (numbers, rest, texts, faults(), faults())
        .prop_map(|(numbers, rest, texts, own, nested)| {
            let (id, begin_ns, end_ns, key) = numbers;
            let (pid, tid, end, begun_before, text_cut) = rest;
            Query {
                id: QueryId(id.max(1)),
                parent: QueryId(if begun_before { 0 } else { begin_ns }),
                pid,
                tid,
                name: texts.0,
                text: texts.1,
                text_cut,
                key,
                begin_ns,
                end_ns,
                begun_before,
                end: QueryEnd::from_code(end),
                own,
                nested,
            }
        })
        // A query in itself is stored as one in none.
        .prop_filter("its own parent", |query| query.parent != query.id)
}

proptest! {
    #[test]
    fn any_queries_come_back(queries in prop::collection::vec(any_query(), 1..200)) {
        prop_assert!(written(&queries).concat() == queries);
    }

    #[test]
    fn a_record_with_any_bytes_changed_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut payload = payload();
        for (at, value) in changes {
            let at = at.index(payload.len());
            payload[at] = value;
        }
        if let Ok(queries) = record(&payload) {
            prop_assert!(queries.iter().all(|query| query.id != QueryId(0)));
        }
    }
}
