//! `diff`: each side says what the verbs say of that trace, whatever the other one is.

use crate::generate::{Made, filters, traces};
use crate::support::ask::{percentiles, read};
use crate::{config, count, files, is_share, ns, row_of, rows, sum};
use pfanalyze::engine::filter::Filter;
use pfanalyze::request::options::GroupBy;
use pfanalyze::verbs::diff::Comparison;
use pfanalyze::verbs::diff::recording::Side;
use pfanalyze::verbs::diff::tables::export;
use proptest::prelude::*;
use serde_json::Value;

/// The rows of a comparison.
pub fn compared(a: &[u8], b: &[u8], filter: &Filter) -> Vec<Value> {
    let (mut of_a, mut of_b) = (Side::default(), Side::default());
    let sessions = (
        read(a, filter, &mut [&mut of_a]),
        read(b, filter, &mut [&mut of_b]),
    );
    let comparison = Comparison::new((&of_a, &sessions.0), (&of_b, &sessions.1), filter);
    rows(&export(&comparison.rows(usize::MAX)))
}

fn by<'a>(rows: &'a [Value], by: &str) -> Vec<&'a Value> {
    rows.iter().filter(|row| row["by"] == by).collect()
}

/// What is said of both in the lines about fairness.
fn fairness(a: &Made, b: &Made) -> String {
    let filter = Filter::default();
    let (mut of_a, mut of_b) = (Side::default(), Side::default());
    let sessions = (
        read(&a.bytes(), &filter, &mut [&mut of_a]),
        read(&b.bytes(), &filter, &mut [&mut of_b]),
    );
    let comparison = Comparison::new((&of_a, &sessions.0), (&of_b, &sessions.1), &filter);
    comparison.lines().map(|(_, line)| format!("{line}\n")).collect()
}

/// GroupBy weight, as of a whole trace.
fn quantile(made: &Made, filter: &Filter, per_100k: u64) -> Option<u64> {
    let events = made.passing(filter).into_iter();
    let mut all: Vec<u64> = events
        .flat_map(|event| std::iter::repeat_n(event.latency_ns, made.weight(event) as usize))
        .collect();
    all.sort_unstable();
    let rank = (all.len() as u64 * per_100k).div_ceil(100_000).max(1);
    all.get(rank as usize - 1).copied()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn files_are_compared_by_the_numbers_and_pages_that_files_has(a in traces(), b in traces(), filter in filters()) {
        let traces = [a.bytes(), b.bytes()];
        let told = compared(&traces[0], &traces[1], &filter);
        for (trace, made, side) in [(&traces[0], &a, "a"), (&traces[1], &b, "b")] {
            let of_verb = files(trace, &filter);
            let pages = if made.sample > 1 { "pages_seen" } else { "pages" };
            for of_file in &of_verb {
                let is_its = |row: &&&Value| {
                    let name = match side {
                        "b" if !row["name_b"].is_null() => &row["name_b"],
                        _ => &row["name"],
                    };
                    *name == of_file["file"]
                };
                let of_files = by(&told, "file");
                let row = of_files.iter().find(is_its).unwrap();
                for column in ["major", "minor"] {
                    prop_assert_eq!(&row[format!("{column}_{side}")], &of_file[column]);
                }
                prop_assert_eq!(ns(row, &format!("wait_{side}_ms")), ns(of_file, "total_ms"));
                if of_file["file"].as_str().unwrap().starts_with('/') {
                    prop_assert_eq!(&row[format!("pages_{side}")], &of_file[pages], "{}", row);
                }
            }
        }
    }

    #[test]
    fn pages_of_both_are_a_part_of_either(a in traces(), b in traces(), filter in filters()) {
        for row in by(&compared(&a.bytes(), &b.bytes(), &filter), "file") {
            if row["pages_a"].is_null() {
                continue;
            }
            let both = count(row, "pages_both");
            prop_assert_eq!(both + count(row, "pages_only_a"), count(row, "pages_a"));
            prop_assert_eq!(both + count(row, "pages_only_b"), count(row, "pages_b"));
            prop_assert!(is_share(&row["jaccard_percent"]), "{}", row);
        }
    }

    #[test]
    fn a_trace_has_all_pages_in_common_with_itself(made in traces(), filter in filters()) {
        let trace = made.bytes();
        for row in by(&compared(&trace, &trace, &filter), "file") {
            prop_assert_eq!(&row["pages_both"], &row["pages_a"]);
            prop_assert_eq!(&row["pages_both"], &row["pages_b"]);
            prop_assert!(row["jaccard_percent"].is_null() || row["jaccard_percent"] == 100.0);
        }
    }

    #[test]
    fn classes_threads_and_files_sum_up_to_the_same(a in traces(), b in traces(), filter in filters()) {
        let told = compared(&a.bytes(), &b.bytes(), &filter);
        let all = row_of(&told, "name", "all").unwrap().clone();
        for kind in ["thread", "file"] {
            let parts: Vec<Value> = by(&told, kind).into_iter().cloned().collect();
            for column in ["major_a", "major_b", "minor_a", "minor_b", "failed_a", "failed_b"] {
                prop_assert_eq!(sum(&parts, column), count(&all, column), "{}", kind);
            }
            for column in ["wait_a_ms", "wait_b_ms"] {
                prop_assert_eq!(parts.iter().map(|row| ns(row, column)).sum::<u64>(), ns(&all, column), "{}", kind);
            }
        }
    }

    #[test]
    fn quantiles_are_those_of_percentiles_by_weight_and_the_words_say_so(a in traces(), b in traces()) {
        let told = compared(&a.bytes(), &b.bytes(), &Filter::default());
        for (made, side) in [(&a, "a"), (&b, "b")] {
            let classes = percentiles(&made.bytes(), GroupBy::Class);
            for row in by(&told, "class") {
                let Some(of_verb) = row_of(classes.as_array().unwrap(), "class", row["name"].as_str().unwrap()) else {
                    continue;
                };
                for (quantile, column) in [("p50", "p50_us"), ("p99", "p99_us")] {
                    if of_verb["count"] != 0 {
                        prop_assert_eq!(&row[format!("{quantile}_{side}_us")], &of_verb[column], "{}", row);
                    }
                }
            }
            let all = row_of(&told, "name", "all").unwrap();
            let Some(median) = quantile(made, &Filter::default(), 50_000) else { continue };
            let told = ns(all, &format!("p50_{side}_us")) / 1_000;
            prop_assert!(told.abs_diff(median) * 100 <= median, "{} {}", told, median);
        }
        let words = fairness(&a, &b);
        prop_assert_eq!(words.contains("quantiles are weighted"), a.sample != b.sample, "{}", words);
        prop_assert!(!words.contains("quantiles are as recorded") && !words.contains("quantiles and pages are as recorded"));
    }
}
