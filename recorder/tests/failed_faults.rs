//! Faults that end in a signal: the kernel counts none of them, and neither do the books.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{
    disk_folder, text,
    touched::{record, rows, touches},
};

const COUNT: usize = 50;

#[test]
#[ignore = "needs root"]
fn a_touch_past_the_end_of_a_file_is_a_failed_row_and_no_fault_of_the_kernel() {
    let folder = disk_folder();
    let file = folder.path().join("short");
    std::fs::write(&file, "x").unwrap();
    let recorded = record("failed_faults", &[], &[&COUNT.to_string(), text(&file)]);
    let touches = touches(&recorded.stdout);
    let (past, barred) = touches.split_at(COUNT);
    assert_eq!(barred.len(), COUNT);
    for touch in &touches {
        assert_eq!((touch.majors, touch.minors), (0, 0), "{touch:?}");
    }
    for touch in past {
        let rows = rows(touch, &recorded.faults);
        // By the end of the attempt, or by the signal: every backend sees it.
        let [row] = rows[..] else {
            panic!("one row expected: {touch:?}: {rows:#?}");
        };
        assert!(row.failed && !row.major, "{row:?}");
        let end_ns = row.ts_ns + row.latency_ns;
        assert!(
            touch.begin_ns <= row.ts_ns && end_ns <= touch.end_ns,
            "{touch:?}: {row:?}"
        );
    }
    // Where the rights alone forbid it, the kernel need not begin to handle the fault at all.
    for touch in barred {
        let rows = rows(touch, &recorded.faults);
        assert!(rows.iter().all(|row| row.failed), "{touch:?}: {rows:#?}");
    }
}
