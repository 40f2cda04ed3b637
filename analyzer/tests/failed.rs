//! Failed faults: a class of their own, in no count of the kernel, but in the wait.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use pf_formats::Event;
use pfanalyze::engine::filter::Filter;
use pfanalyze::output::render::Format;
use pfanalyze::request::options::GroupBy;
use pfanalyze::trace::class::Class;
use support::ask::{
    event_rows, events_text, files, flat_report, info_json, percentiles, report, report_json, threads,
};
use support::{dicts, events, file_fault, heap_fault, meta, small, trace};

/// The small trace and two failed faults: one after I/O, one without.
fn with_failed() -> Vec<u8> {
    let mut all = events();
    all.push(Event {
        failed: true,
        ..file_fault(91, 50_000, 3)
    });
    all.push(Event {
        failed: true,
        ..heap_fault(92, 1_000, 9)
    });
    trace(&meta(), &dicts(), &all, &[])
}

#[test]
fn the_thread_table_gains_a_column_behind_the_contract_and_the_wait_includes_them() {
    let expected = "\
PID  TID  COMM    MAJOR  MINOR  TOTAL_MS  AVG_MS  MAX_MS  MIN_US  FAILED  P50_US  P99_US
100  101  worker      4      0     2.050   0.410   1.400    50.0       1   199.7  1400.0
100  100  main        0      3     0.003   0.001   0.001     0.5       1     0.7     1.0
          total       4      3     2.053   0.228   1.400     0.5       2    49.9  1400.0
";
    assert_eq!(
        threads(&with_failed(), &Filter::default(), Format::Table),
        expected
    );
    let csv = threads(&with_failed(), &Filter::default(), Format::Csv);
    assert!(csv.starts_with("pid,tid,comm,major,minor,total_ms,avg_ms,max_ms,min_us,failed,"));
    let expected = "\
FILE                MAJOR  MINOR  TOTAL_MS  AVG_MS  MAX_MS  PAGES  FAILED  REREAD_BYTES  SEQ_%  STRIDE_%
/data/segments.bin      4      0     2.050   0.410   1.400      4       1       4.0 KiB  100.0       0.0
[heap]                  0      3     0.003   0.001   0.001      3       1           0 B
total                   4      3     2.053   0.228   1.400      7       2       4.0 KiB  100.0       0.0
";
    assert_eq!(files(&with_failed(), Format::Table), expected);
}

#[test]
fn without_failed_faults_nothing_tells_of_them() {
    for shown in [
        threads(&small(), &Filter::default(), Format::Table),
        files(&small(), Format::Csv),
        report(&small(), &Filter::default()),
    ] {
        let words = shown.to_lowercase();
        let words = words.replace(
            "not seen  gup faults, failed faults, lock waits (with --breakdown)",
            "",
        );
        assert!(!words.contains("failed"), "{shown}");
    }
    assert_eq!(percentiles(&small(), GroupBy::Class).as_array().unwrap().len(), 3);
}

#[test]
fn the_classes_exclude_each_other_in_every_filter() {
    for (class, expected) in [
        (Class::Major, ["4", "0", "0"]),
        (Class::Minor, ["0", "3", "0"]),
        (Class::Failed, ["0", "0", "2"]),
    ] {
        let filter = Filter {
            class: Some(class),
            ..Filter::default()
        };
        let table = threads(&with_failed(), &filter, Format::Table);
        let total: Vec<&str> = table.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(total[0], "total");
        assert_eq!(total[1..3], expected[..2], "{table}");
        let failed = if class == Class::Failed {
            assert!(table.contains("FAILED"));
            total[7]
        } else {
            assert!(!table.contains("FAILED"));
            "0"
        };
        assert_eq!(failed, expected[2], "{table}");
    }
}

#[test]
fn percentiles_have_a_row_for_them_and_all_includes_them() {
    let rows = percentiles(&with_failed(), GroupBy::Class);
    let seen: Vec<(&str, u64)> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["class"].as_str().unwrap(), row["count"].as_u64().unwrap()))
        .collect();
    assert_eq!(seen, [("major", 4), ("minor", 3), ("failed", 2), ("all", 9)]);
    assert_eq!(rows[2]["max_us"], 50.0);
}

#[test]
fn events_and_info_tell_the_class() {
    let rows = event_rows(&with_failed());
    let failed: Vec<_> = rows.iter().filter(|row| row["failed"] == true).collect();
    assert_eq!(failed.len(), 2);
    assert!(failed.iter().all(|row| row["major"] == false));
    let table = events_text(&with_failed(), Format::Table);
    assert_eq!(table.matches("  failed  ").count(), 2, "{table}");
    let info = info_json(&with_failed());
    assert_eq!(
        (&info["events"], &info["major"], &info["minor"], &info["failed"]),
        (&9.into(), &4.into(), &3.into(), &2.into())
    );
    // Whether a block is decoded for a query makes no difference.
    assert_eq!(report_json(&with_failed())["info"], info);
}

#[test]
fn the_report_tells_them_apart_and_the_books_balance_without_them() {
    let shown = flat_report(&with_failed());
    assert!(shown.contains("faults 9: 4 major, 3 minor, 2 failed;"), "{shown}");
    assert!(
        shown.contains("check kernel counted 7 faults = 7 recorded + 0 lost + 0 hidden: balanced wait"),
        "{shown}"
    );
    assert!(
        shown.contains("note 2 faults failed; they are neither major nor minor, and their waits count"),
        "{shown}"
    );
    assert!(shown.contains("MAX_MS MIN_US FAILED 100 101"), "{shown}");
}
