//! What queries cost in the file and in time; SPEC.md tells the numbers that this prints.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Instant;

use pf_formats::{Item, Query, QueryFaults, QueryId, Totals};

const QUERIES: u64 = 100_000;

/// Numbers that look like chance and are the same in every run.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

fn statement(number: u64) -> String {
    let columns = ["id", "customer", "amount", "created_at", "status", "note"];
    let picked: Vec<_> = (0..1 + number % 6).map(|i| columns[i as usize]).collect();
    let tail = " AND status <> 'cancelled' ORDER BY created_at DESC LIMIT 50".repeat(number as usize % 3);
    format!(
        "SELECT {} FROM orders WHERE customer = {}{tail}",
        picked.join(", "),
        number * 7919 % 100_003
    )
}

/// Queries of eight threads that work side by side.
fn queries(text: impl Fn(u64) -> Option<String>) -> Vec<Query> {
    let mut noise = Noise(1);
    let mut free_at = [1_000_000_000u64; 8];
    let mut queries: Vec<Query> = (1..=QUERIES)
        .map(|id| {
            let thread = noise.below(8) as usize;
            let begin_ns = free_at[thread] + noise.below(20_000);
            let majors = noise.below(8).saturating_sub(5);
            let minors = noise.below(12);
            let wait_ns = majors * (80_000 + noise.below(60_000)) + minors * (400 + noise.below(900));
            let end_ns = begin_ns + wait_ns + 20_000 + noise.below(200_000);
            free_at[thread] = end_ns;
            Query {
                id: QueryId(id),
                pid: 4000,
                tid: 4001 + thread as u32,
                name: "postgresql:query".into(),
                text: text(noise.below(1_000)),
                begin_ns,
                end_ns,
                own: QueryFaults {
                    majors,
                    minors,
                    wait_ns,
                },
                ..Query::default()
            }
        })
        .collect();
    queries.sort_by_key(|query| query.end_ns);
    queries
}

/// Bytes per query, times ten.
fn measure(name: &str, queries: &[Query]) -> u64 {
    let mut writer = common::writer();
    let before = writer.bytes_written();
    let start = Instant::now();
    writer.queries(queries).unwrap();
    let encoding = start.elapsed();
    let bytes = writer.bytes_written() - before;
    let trace = writer.finish(Totals::default()).unwrap();
    let start = Instant::now();
    let (items, _) = common::read(&trace);
    let decoding = start.elapsed();
    let back: usize = items
        .iter()
        .map(|item| {
            if let Item::Queries(queries) = item {
                queries.len()
            } else {
                0
            }
        })
        .sum();
    assert_eq!(back, queries.len());
    let tenths = bytes * 10 / queries.len() as u64;
    println!(
        "{name}: {}.{} bytes, written in {encoding:?}, read in {decoding:?}",
        tenths / 10,
        tenths % 10
    );
    tenths
}

#[test]
fn a_query_costs_some_ten_bytes_and_its_text_little_when_it_comes_again() {
    let plain = measure("without texts", &queries(|_| None));
    let thousand = measure("1,000 texts", &queries(|number| Some(statement(number))));
    let mut each = queries(|_| None);
    for (number, query) in each.iter_mut().enumerate() {
        query.text = Some(statement(number as u64));
    }
    let own = measure("a text each", &each);
    let nested: Vec<_> = queries(|_| None)
        .into_iter()
        .map(|query| Query {
            parent: QueryId(query.id.0 / 10 * 10),
            key: Some(query.id.0 * 3),
            nested: query.own,
            ..query
        })
        .filter(|query| query.parent != query.id && query.parent != QueryId(0))
        .collect();
    measure("nested, with keys", &nested);
    assert!(
        plain < 150 && thousand < plain + 40 && own < 300,
        "{plain} {thousand} {own}"
    );
}
