//! `--cgroup`: what runs in it, and while it does, whichever way it is named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use common::{
    alone,
    cgroups::Groups,
    disk_folder, pfrec, plain,
    process::{run, start},
    program, text,
    trace::{assert_books_balance, faults, until_recording},
    until_written,
    workload::workers,
};
use nix::sys::signal::Signal;
use pf_checks::not_run;

/// Walks once outside, once in the inner cgroup, once outside again; the reports go to three files.
const SCRIPT: &str = r#"
    cd "$TMPDIR"
    while [ ! -e go ]; do sleep 0.02; done
    walk() { "$0" --anon -p seq -c 3000 --format json > "$1.part" && mv "$1.part" "$1"; }
    walk before
    echo $$ > "$1/cgroup.procs"
    walk within
    echo $$ > "$2/cgroup.procs"
    walk after
"#;

fn records_what_is_inside(groups: &Groups, named: &str) {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let workload = program("mmap-workload");
    let recorder = start(pfrec(&["-o", text(&trace), "--cgroup", named]));
    let mut command = plain(
        Path::new("sh"),
        &[
            "-c",
            SCRIPT,
            text(&workload),
            text(&groups.inner),
            text(groups.root()),
        ],
    );
    command.env("TMPDIR", folder.path());
    // Something that faults in the cgroup all the time shows when recording has begun.
    let join = format!(
        "echo $$ > {}/cgroup.procs; while :; do (:); done",
        groups.outer.display()
    );
    let busy = start(plain(Path::new("sh"), &["-c", &join]));
    until_recording(&folder.path().join("t.pfz.partial"));
    let walker = start(command);
    fs::write(folder.path().join("go"), "").unwrap();
    walker.wait().ok();
    drop(busy);
    recorder.signal(Signal::SIGINT);
    let ended = recorder.wait().ok();
    assert_books_balance(&trace, &ended.stderr);

    let all = faults(&trace, &[]);
    for (report, inside) in [("before", false), ("within", true), ("after", false)] {
        let worker = workers(&until_written(&folder.path().join(report))).remove(0);
        let rows = all.iter().filter(|fault| {
            fault.tid == worker.tid && (worker.begin_ns..worker.end_ns).contains(&fault.ts_ns)
        });
        let expected = if inside { worker.majors + worker.minors } else { 0 };
        assert_eq!(rows.count() as u64, expected, "{report}: {}", ended.stderr);
    }
}

#[test]
#[ignore = "needs root"]
fn only_what_is_in_a_cgroup_of_version_2_is_recorded_however_it_is_named() {
    let _alone = alone();
    let groups = Groups::new(&["-t", "cgroup2"]).expect("cgroup2 can be mounted");
    let name = groups.outer.file_name().unwrap().to_str().unwrap();
    let number = fs::metadata(&groups.outer).unwrap().ino().to_string();
    for named in [text(&groups.outer), &format!("/{name}"), &number] {
        eprintln!("--cgroup {named}");
        records_what_is_inside(&groups, named);
    }
}

/// Its own faults are in the count of the cgroup, and in no record.
#[test]
#[ignore = "needs root"]
fn a_recorder_in_the_cgroup_that_it_records_is_balanced_too() {
    let _alone = alone();
    let groups = Groups::new(&["-t", "cgroup2"]).expect("cgroup2 can be mounted");
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let recorder = pfrec(&[
        "-o",
        text(&trace),
        "--strict",
        "-d",
        "1",
        "--cgroup",
        text(&groups.outer),
    ]);
    let script = r#"echo $$ > "$0"; sh -c 'while :; do (:); done' & "$@"; status=$?; echo $$ > "$OUTSIDE"; kill $!; wait; exit $status"#;
    let inside = groups.outer.join("cgroup.procs");
    let mut command = plain(Path::new("sh"), &["-c", script, text(&inside)]);
    command
        .arg(recorder.get_program())
        .args(recorder.get_args())
        .env("OUTSIDE", groups.outer.parent().unwrap().join("cgroup.procs"));
    let ended = run(command).ok();
    assert_books_balance(&trace, &ended.stderr);
    assert!(ended.stderr.contains(": balanced\n"), "{ended:#?}");
}

#[test]
#[ignore = "needs root"]
fn only_what_is_in_a_cgroup_of_version_1_is_recorded() {
    let _alone = alone();
    let found = [
        "freezer",
        "pids",
        "devices",
        "cpuacct",
        "memory",
        "perf_event",
        "net_cls",
    ]
    .into_iter()
    .find_map(|controller| Groups::new(&["-t", "cgroup", "-o", controller]));
    let Some(groups) = found else {
        not_run("cgroup-v1", "no controller can be mounted as cgroup version 1");
        return;
    };
    records_what_is_inside(&groups, text(&groups.outer));
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_that_is_not_there_is_named() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let refused = run(pfrec(&["-o", text(&trace), "--cgroup", "/no/such/group"]));
    assert_eq!(refused.status.code(), Some(125));
    assert!(refused.stderr.contains("--cgroup"), "{}", refused.stderr);
    assert!(!trace.exists());
}
