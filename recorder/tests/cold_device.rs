//! Pages that come from a disk: of the slow block device that PFREC_TEST_DEVICE names, or of a file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{
    alone, disk_folder,
    touched::{assert_close, file_of_pages, record, the_row, touches},
};

const COUNT: usize = 60;
/// Further apart than a device reads in one go.
const STRIDE: usize = 64;

#[test]
#[ignore = "needs root"]
fn each_cold_page_is_one_major_fault_with_the_wait_for_the_disk_in_it() {
    let _alone = alone();
    let folder = disk_folder();
    let device = std::env::var("PFREC_TEST_DEVICE");
    let path = match &device {
        Ok(device) => device.clone(),
        Err(_) => file_of_pages(&folder.path().join("pages"), (COUNT + 1) * STRIDE),
    };
    let recorded = record(
        "touch_pages",
        &[],
        &[&COUNT.to_string(), &path, &STRIDE.to_string()],
    );
    let touches = touches(&recorded.stdout);
    assert_eq!(touches.len(), COUNT);
    let mut majors = 0;
    for touch in &touches {
        let row = the_row(touch, &recorded.faults);
        if row.major {
            majors += 1;
            // The kernel drops the lock of the address space while it reads, and starts over.
            if recorded.sight.retries {
                assert!(row.retries >= 1, "{row:?}");
            }
        }
    }
    // A page of a file that was just written may stay in the cache, however it is asked to go.
    assert!(
        majors == COUNT || device.is_err() && majors * 2 > COUNT,
        "{majors}"
    );
    assert_close(&touches, &recorded.faults);
    if device.is_ok() {
        // It gives the first few at once.
        let slow = touches
            .iter()
            .filter(|touch| touch.end_ns - touch.begin_ns >= 10_000_000);
        assert!(slow.count() * 2 > COUNT, "{path} is not slow: {touches:#?}");
    }
}
