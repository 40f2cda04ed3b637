//! Sampled recordings: every number that is scaled up is compared with one computed by plain loops over the events.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use pf_formats::{Event, Meta, ObjectId};
use pfanalyze::engine::filter::Filter;
use pfanalyze::output::render::Format;
use pfanalyze::request::options::GroupBy;
use pfanalyze::request::weight::Weight;
use pfanalyze::verbs::heatmap::pass::Heat;
use std::collections::BTreeMap;
use support::ask::{
    event_rows, events_text, files, flat_report, info_json, info_text, percentiles, read, report_json, text,
    threads,
};
use support::{dicts, file_fault, heap_fault, small, totals, writer};

const ONE_IN: u32 = 16;
/// What the kernel counted of minor faults: not a multiple of the factor, as in life.
const KERNEL_MINORS: u64 = 24_017;

fn meta() -> Meta {
    Meta {
        sample: ONE_IN,
        filters: vec!["one minor fault in 16, by chance".into()],
        ..support::meta()
    }
}

/// Four threads, two files, all three classes, latencies without a pattern.
fn sampled_events() -> Vec<Event> {
    let mut state = 7u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut all = Vec::new();
    for index in 0..4_000u64 {
        let page = random() % 700;
        let latency_ns = 200 + random() % 90_000;
        let base = if random() % 3 == 0 {
            heap_fault(index / 50, latency_ns, page)
        } else {
            file_fault(index / 50, latency_ns, page)
        };
        let major = random() % 3 == 0;
        all.push(Event {
            tid: 100 + u32::try_from(random() % 4).unwrap(),
            major,
            failed: random() % 50 == 0,
            object: ObjectId(if base.object == ObjectId(1) { 1 } else { 2 }),
            ..base
        });
    }
    all
}

fn sampled() -> Vec<u8> {
    let events = sampled_events();
    let mut writer = writer(&meta(), &dicts(), &events, &[]);
    writer.flush_block().unwrap();
    let mut totals = totals(&events);
    let books = totals.accounting.as_mut().unwrap();
    books.filtered = KERNEL_MINORS - totals.minors;
    books.kernel_minors = KERNEL_MINORS;
    writer.finish(totals).unwrap()
}

#[derive(Debug, Default, PartialEq)]
struct Sums {
    major: u64,
    minor: u64,
    failed: u64,
    wait_ns: u64,
}

/// The oracle: a minor fault counts sixteen times, any other once.
fn sums<'a>(events: impl IntoIterator<Item = &'a Event>) -> Sums {
    let mut sums = Sums::default();
    for event in events {
        let is_minor = !event.major && !event.failed;
        let times = if is_minor { u64::from(ONE_IN) } else { 1 };
        if event.failed {
            sums.failed += 1;
        } else if event.major {
            sums.major += 1;
        } else {
            sums.minor += 16;
        }
        sums.wait_ns += times * event.latency_ns;
    }
    sums
}

fn row_sums(row: &serde_json::Value) -> Sums {
    let number = |name: &str| row[name].as_u64().unwrap();
    Sums {
        major: number("major"),
        minor: number("minor"),
        failed: number("failed"),
        wait_ns: (row["total_ms"].as_f64().unwrap() * 1e6).round() as u64,
    }
}

#[test]
fn counts_and_waits_of_threads_and_files_are_scaled() {
    let events = sampled_events();
    let shown: serde_json::Value =
        serde_json::from_str(&threads(&sampled(), &Filter::default(), Format::Json)).unwrap();
    assert_eq!(shown.as_array().unwrap().len(), 4);
    for row in shown.as_array().unwrap() {
        let tid = row["tid"].as_u64().unwrap();
        let of_thread = events.iter().filter(|event| u64::from(event.tid) == tid);
        assert_eq!(row_sums(row), sums(of_thread), "{tid}");
    }
    let shown: serde_json::Value = serde_json::from_str(&files(&sampled(), Format::Json)).unwrap();
    for row in shown.as_array().unwrap() {
        let id = if row["file"] == "[heap]" { 2 } else { 1 };
        let of_file: Vec<&Event> = events.iter().filter(|event| event.object.0 == id).collect();
        assert_eq!(row_sums(row), sums(of_file.iter().copied()), "{row}");
        let mut pages: Vec<u64> = of_file.iter().map(|event| event.address / 4096).collect();
        pages.sort_unstable();
        pages.dedup();
        // Distinct pages are those of the sample, and called so.
        assert_eq!(row["pages_seen"], pages.len());
        assert!(row.get("pages").is_none());
    }
}

#[test]
fn percentiles_are_weighted() {
    let events = sampled_events();
    let rows = percentiles(&sampled(), GroupBy::Class);
    let all = rows.as_array().unwrap().last().unwrap();
    let mut latencies: Vec<u64> = Vec::new();
    for event in &events {
        let times = if event.major || event.failed { 1 } else { 16 };
        (0..times).for_each(|_| latencies.push(event.latency_ns));
    }
    latencies.sort_unstable();
    assert_eq!(all["count"], latencies.len());
    for (name, per_mille) in [("p50_us", 500), ("p90_us", 900), ("p99_us", 990)] {
        let exact = latencies[(latencies.len() * per_mille).div_ceil(1000) - 1] as f64 / 1e3;
        let told = all[name].as_f64().unwrap();
        assert!((told - exact).abs() <= exact / 100.0, "{name}: {told}, {exact}");
    }
    let mut by_origin = 0;
    for row in percentiles(&sampled(), GroupBy::Origin).as_array().unwrap() {
        by_origin += row["count"].as_u64().unwrap();
    }
    assert_eq!(by_origin, latencies.len() as u64);
}

#[test]
fn cells_of_a_heatmap_are_scaled() {
    let events = sampled_events();
    for (weight, name) in [
        (Weight::Count, "count"),
        (Weight::Wait, "wait"),
        (Weight::Max, "max"),
    ] {
        let mut heat = Heat::by_file();
        let filter = Filter::default();
        let session = read(&sampled(), &filter, &mut [&mut heat]);
        heat.settle();
        // One row per place and one column: the cells are the sums.
        let table = text(&heat.table(&session, &filter, (1, 1), weight), Format::Json);
        let rows: serde_json::Value = serde_json::from_str(&table).unwrap();
        let mut told: BTreeMap<bool, f64> = BTreeMap::new();
        for row in rows.as_array().unwrap() {
            *told.entry(row["file"].is_null()).or_default() += row["value"].as_f64().unwrap();
        }
        for (is_heap, told) in told {
            let id = if is_heap { 2 } else { 1 };
            let here: Vec<&Event> = events.iter().filter(|event| event.object.0 == id).collect();
            let sums = sums(here.iter().copied());
            let expected = match weight {
                Weight::Count => (sums.major + sums.minor + sums.failed) as f64,
                Weight::Wait => sums.wait_ns as f64 / 1e3,
                // The longest is what it is, however many it stands for.
                Weight::Max => here.iter().map(|event| event.latency_ns).max().unwrap() as f64 / 1e3,
            };
            assert!((told - expected).abs() < 0.01, "{name}: {told}, {expected}");
        }
    }
}

#[test]
fn events_are_as_recorded_with_their_weight() {
    let events = sampled_events();
    let rows = event_rows(&sampled());
    assert_eq!(rows.len(), events.len());
    for row in &rows {
        let is_minor = row["major"] == false && row["failed"] == false;
        assert_eq!(row["weight"], if is_minor { 16 } else { 1 });
    }
    let weights: u64 = rows.iter().map(|row| row["weight"].as_u64().unwrap()).sum();
    let expected = sums(&events);
    assert_eq!(weights, expected.major + expected.minor + expected.failed);
    let csv = events_text(&sampled(), Format::Csv);
    assert!(
        csv.lines()
            .next()
            .unwrap()
            .ends_with(",abandoned,pages_read,sleep_stack_id,read_offset,cause,weight,time")
    );
    let table = events_text(&sampled(), Format::Table);
    assert!(table.lines().next().unwrap().contains("  WEIGHT  "), "{table}");
    assert!(!events_text(&small(), Format::Table).contains("WEIGHT"));
    assert!(!events_text(&small(), Format::Csv).contains("weight"));
}

#[test]
fn the_report_says_once_that_it_is_scaled_and_what_the_kernel_counted() {
    let events = sampled_events();
    let shown = flat_report(&sampled());
    let said = "minor faults sampled 1 in 16: their counts and waits are scaled up by 16; the kernel counted \
                exactly 24,017 in the whole recording";
    assert_eq!(shown.matches(said).count(), 1, "{shown}");
    let recorded = totals(&events);
    let rows = format!(
        "faults 4,000 recorded: {}",
        pfanalyze::output::units::grouped(recorded.majors)
    );
    assert!(shown.contains(&rows), "{shown}");
    assert!(shown.contains("PAGES_SEEN"), "{shown}");
    assert!(shown.contains("those of the weighted sample"), "{shown}");
    let expected = sums(&events);
    let wait = format!(
        "wait {} in faults",
        pfanalyze::output::units::duration(expected.wait_ns)
    );
    assert!(shown.contains(&wait), "{wait}: {shown}");
    assert!(
        shown.contains("filtered (one minor fault in 16, by chance): balanced"),
        "the books know what sampling left out: {shown}"
    );
    assert!(!flat_report(&small()).contains("sampled"));
}

#[test]
fn info_tells_what_was_recorded_and_the_factor() {
    let recorded = totals(&sampled_events());
    let info = info_json(&sampled());
    assert_eq!((&info["sample"], &info["events"]), (&16.into(), &4_000.into()));
    assert_eq!(info["minor"], recorded.minors);
    assert_eq!(info["filtered"], KERNEL_MINORS - recorded.minors);
    assert!(info_text(&sampled()).contains("\nsample              1 minor fault in 16\n"));
    assert_eq!(info_json(&small())["sample"], 1);
    assert_eq!(report_json(&sampled())["info"]["sample"], 16);
}

#[test]
fn a_trace_without_its_meta_record_says_that_nothing_is_scaled() {
    let mut bytes = small();
    // The META record follows the header of 64 bytes and its own frame of 32.
    bytes[64 + 32 + 5] ^= 0xff;
    let session = read(&bytes, &Filter::default(), &mut []);
    assert!(session.meta.is_none());
    let shown = flat_report(&bytes);
    assert!(
        shown.contains("sampled it is not known whether minor faults were sampled"),
        "{shown}"
    );
}
