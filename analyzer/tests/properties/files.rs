//! `files`: its rows are the faults themselves, and windows that meet have together what the whole has.

use crate::generate::{class_of, filters, label_of, page_of, traces, traces_of_lone_reads};
use crate::{config, count, files, is_share, ns, row_of};
use pf_formats::Event;
use pfanalyze::engine::filter::Filter;
use pfanalyze::trace::class::Class;
use proptest::prelude::*;
use std::collections::BTreeSet;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_file_has_the_faults_and_the_pages_that_it_has(made in traces(), filter in filters()) {
        let told = files(&made.bytes(), &filter);
        let passing = made.passing(&filter);
        let labels: BTreeSet<&str> = passing.iter().map(|event| label_of(event)).collect();
        prop_assert_eq!(told.len(), labels.len());
        for label in labels {
            let row = row_of(&told, "file", label).unwrap();
            let own: Vec<&&Event> = passing.iter().filter(|event| label_of(event) == label).collect();
            for (class, column) in [(Class::Major, "major"), (Class::Minor, "minor")] {
                let of_class = own.iter().filter(|event| class_of(event) == class);
                prop_assert_eq!(count(row, column), of_class.map(|event| made.weight(event)).sum::<u64>());
            }
            let wait_ns: u64 = own.iter().map(|event| event.latency_ns * made.weight(event)).sum();
            prop_assert_eq!(ns(row, "total_ms"), wait_ns);
            let pages: BTreeSet<_> = own.iter().map(|event| page_of(event)).collect();
            let column = if made.sample > 1 { "pages_seen" } else { "pages" };
            prop_assert_eq!(count(row, column), pages.len() as u64);
            prop_assert!(count(row, "reread_bytes") <= 4096 * count(row, "major"));
            prop_assert!(is_share(&row["seq_percent"]) && is_share(&row["stride_percent"]), "{}", row);
        }
    }

    #[test]
    fn windows_that_meet_sum_up_to_the_whole(
        made in traces_of_lone_reads(), filter in filters(), at_ns in 0..60_000u64
    ) {
        let trace = made.bytes();
        let whole = files(&trace, &Filter { from_ns: None, to_ns: None, ..filter.clone() });
        let before = files(&trace, &Filter { from_ns: None, to_ns: Some(at_ns), ..filter.clone() });
        let after = files(&trace, &Filter { from_ns: Some(at_ns), to_ns: None, ..filter });
        for row in &whole {
            let parts = [&before, &after].map(|part| row_of(part, "file", row["file"].as_str().unwrap()));
            let parts = || parts.iter().flatten();
            for column in ["major", "minor"] {
                prop_assert_eq!(parts().map(|part| count(part, column)).sum::<u64>(), count(row, column));
            }
            prop_assert_eq!(parts().map(|part| ns(part, "total_ms")).sum::<u64>(), ns(row, "total_ms"));
            // What is read again across the border is a first read to the window behind it.
            prop_assert!(parts().map(|part| count(part, "reread_bytes")).sum::<u64>() <= count(row, "reread_bytes"));
        }
    }
}
