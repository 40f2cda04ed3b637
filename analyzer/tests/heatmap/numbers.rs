//! Numbers for programs: complete, in the cell they belong to, and never zoomed.

use crate::support::{START_NS, dicts, events, meta, small, trace};
use crate::{burst, heatmap};
use pf_formats::ObjectId;
use std::collections::BTreeSet;

/// Every line as (time, place, value), with the empty ones left out.
fn triples(text: &str) -> Vec<(u64, u64, u64)> {
    let lines = text.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let numbers: Vec<u64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
            assert_eq!(numbers.len(), 3, "{line}");
            (numbers[0], numbers[1], numbers[2])
        })
        .collect()
}

#[test]
fn numbers_for_programs_are_never_zoomed() {
    let bytes = trace(&meta(), &dicts(), &burst(), &[]);
    for form in ["csv", "json", "raw"] {
        let zoomed = heatmap(&bytes, &["--file", "segments.bin", "--format", form]);
        let whole = heatmap(&bytes, &["--file", "segments.bin", "--format", form, "--whole"]);
        assert_eq!(zoomed.text(), whole.text());
    }
    let raw = heatmap(&bytes, &["--file", "segments.bin", "--format", "raw"]);
    let sum: u64 = triples(raw.text()).iter().map(|cell| cell.2).sum();
    assert_eq!(sum, 502);
}

#[test]
fn raw_lines_are_a_complete_grid_in_which_every_fault_has_its_cell() {
    for weight in ["count", "wait", "max"] {
        let arguments = [
            "--file",
            "segments.bin",
            "--format",
            "raw",
            "--rows",
            "8",
            "--columns",
            "20",
        ];
        let done = heatmap(
            &small(),
            &[&arguments[..], &["--weight", weight, "--panels", "1"]].concat(),
        );
        let cells = triples(done.text());
        let times: BTreeSet<u64> = cells.iter().map(|cell| cell.0).collect();
        let places: BTreeSet<u64> = cells.iter().map(|cell| cell.1).collect();
        assert_eq!(cells.len(), times.len() * places.len());
        assert!(places.iter().eq([0, 4096, 8192].iter()), "{places:?}");
        for &(time, place, value) in &cells {
            let end = times.range(time + 1..).next().copied().unwrap_or(u64::MAX);
            let own = events().into_iter().filter(|event| {
                let since = event.ts_ns - START_NS;
                event.object == ObjectId(1)
                    && event.object_page * 4096 == place
                    && (time..end).contains(&since)
            });
            let latencies: Vec<u64> = own.map(|event| event.latency_ns).collect();
            let expected = match weight {
                "count" => latencies.len() as u64,
                "wait" => latencies.iter().sum(),
                _ => latencies.iter().copied().max().unwrap_or(0),
            };
            assert_eq!(value, expected, "{weight} at {time} {place}");
        }
    }
}

#[test]
fn parts_of_raw_lines_are_apart_and_the_notes_say_what_they_are() {
    let done = heatmap(&small(), &["--format", "raw", "--rows", "2", "--columns", "2"]);
    let parts: Vec<&str> = done.text().split("\n\n\n").collect();
    assert_eq!(parts.len(), 2, "{}", done.text());
    let sums: Vec<u64> = parts
        .iter()
        .map(|part| triples(part).iter().map(|cell| cell.2).sum())
        .collect();
    assert_eq!(sums, [4, 3]);
    let lines = |part: &str| part.lines().count();
    let second = lines(parts[0]) + 3;
    let notes = format!(
        "note: lines 1 to {}: time x address of pid 100 main; each is time in ns, byte, faults\n\
         note: lines {second} to {}: time x address of pid 100 main; each is time in ns, byte, faults\n",
        lines(parts[0]),
        second - 1 + lines(parts[1]),
    );
    assert_eq!(done.stderr, notes);
    let one = heatmap(&small(), &["--format", "raw", "--panels", "1"]);
    assert!(
        one.stderr
            .ends_with("note: 1 lighter place is left out: --panels shows more\n")
    );
}

#[test]
fn rows_of_latencies_hold_what_took_that_long() {
    let arguments = [
        "-y",
        "latency",
        "--format",
        "raw",
        "--rows",
        "30",
        "--columns",
        "1",
    ];
    let done = heatmap(&small(), &arguments);
    let cells = triples(done.text());
    assert!(cells.iter().map(|cell| cell.1).is_sorted());
    assert!(
        cells.iter().any(|cell| cell.1 == 1_000_000),
        "rows begin at powers of ten"
    );
    for (index, &(_, from, count)) in cells.iter().enumerate() {
        let to = cells.get(index + 1).map_or(u64::MAX, |cell| cell.1);
        let own = events()
            .into_iter()
            .filter(|event| (from..to).contains(&event.latency_ns));
        assert_eq!(count, own.count() as u64, "{from} to {to}");
    }
    let drawn = heatmap(&small(), &["-y", "latency"]);
    let labels: Vec<&str> = drawn
        .text()
        .lines()
        .filter_map(|line| line.split_once(" |")?.0.split_whitespace().last())
        .collect();
    let first = |end: &str| labels.iter().position(|label| label.ends_with(end));
    assert!(
        first("ms") < first("us") && first("us") < first("ns"),
        "{labels:?}"
    );
    let csv = heatmap(&small(), &["-y", "latency", "--format", "csv"]);
    assert!(
        csv.text().starts_with("time_s,latency_us,value\n"),
        "{}",
        csv.text()
    );
}
