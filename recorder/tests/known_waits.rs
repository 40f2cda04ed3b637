//! Pages that are served through userfaultfd after a delay: how long each touch waited is known beforehand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{
    alone,
    touched::{assert_close, record, the_row, touches},
};

fn every_wait_is_recorded(count: &str, delay_us: &str) {
    let _alone = alone();
    let recorded = record("serve_pages", &[], &[count, delay_us]);
    let touches = touches(&recorded.stdout);
    assert_eq!(touches.len().to_string(), count);
    let delay_ns = delay_us.parse::<u64>().unwrap() * 1000;
    for touch in &touches {
        assert!(touch.served_ns >= delay_ns, "{touch:?}");
        let row = the_row(touch, &recorded.faults);
        // The kernel waits for the page in the first attempt and maps nothing; the second finds it there.
        if recorded.sight.retries {
            assert!(row.retries >= 1, "{row:?}");
        }
    }
    assert_close(&touches, &recorded.faults);
}

#[test]
#[ignore = "needs root"]
fn a_page_served_after_one_millisecond_is_one_row_with_that_wait() {
    every_wait_is_recorded("100", "1000");
}

#[test]
#[ignore = "needs root"]
fn a_page_served_after_twenty_milliseconds_is_one_row_with_that_wait() {
    every_wait_is_recorded("20", "20000");
}
