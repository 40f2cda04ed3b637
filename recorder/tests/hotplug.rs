//! A CPU that goes offline and comes back while a program is recorded on it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{fs, path::Path};

use common::{
    alone, disk_folder, pfrec,
    process::run,
    programs::compile,
    text,
    touched::file_of_pages,
    trace::{contents, faults},
};
use pf_checks::not_run;

const CPU: usize = 1;
const PAGES: usize = 64;

/// Whatever becomes of the test, the CPU stays with the machine.
struct Online<'a>(&'a Path);

impl Drop for Online<'_> {
    fn drop(&mut self) {
        fs::write(self.0, "1").ok();
    }
}

#[test]
#[ignore = "needs root"]
fn what_a_cpu_told_before_it_went_offline_is_read_and_what_it_hid_when_it_came_back_is_told() {
    let switch = format!("/sys/devices/system/cpu/cpu{CPU}/online");
    let switch = Path::new(&switch);
    if fs::write(switch, "1").is_err() {
        not_run("hotplug", "no CPU can be taken offline here");
        return;
    }
    let _alone = alone();
    let _online = Online(switch);
    let folder = disk_folder();
    let (file, trace) = (folder.path().join("mapped"), folder.path().join("t.pfz"));
    file_of_pages(&file, PAGES);
    let program = compile("hotplug", folder.path());
    let cpu = CPU.to_string();
    let ended = run(pfrec(&[
        "-o",
        text(&trace),
        "--",
        text(&program),
        &cpu,
        text(&file),
    ]))
    .ok();

    // The mapping was told on the CPU that was gone before anybody looked.
    assert!(!ended.stderr.contains("mapping records"), "{}", ended.stderr);
    let of_file = faults(&trace, &["--file", "mapped"]);
    // One fault maps what is cached around it.
    assert!((PAGES / 16..=PAGES).contains(&of_file.len()), "{of_file:?}");

    // Every touch is in the trace, or said to be missing: by its number, and why.
    let touches: u64 = ended.stdout.trim().parse().unwrap();
    let read = contents(&trace);
    let (books, check) = (read.accounting.unwrap(), read.check.unwrap());
    assert_eq!(books.lost, 0, "{}", ended.stderr);
    assert!(books.recorded + check.unexplained >= touches, "{}", ended.stderr);
    assert_eq!(
        books.kernel_majors + books.kernel_minors,
        books.recorded + books.hidden + check.unexplained,
        "{}",
        ended.stderr
    );
    assert!(check.unexplained < 512 + 64, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("a CPU came online 1 time(s)"),
        "{}",
        ended.stderr
    );
    assert_eq!(
        check.unexplained == 0,
        ended.stderr.contains(": balanced\n"),
        "{}",
        ended.stderr
    );
}
