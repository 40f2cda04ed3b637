//! Programs in namespaces of their own, as in a container: recorded from outside, told as from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{collections::BTreeSet, path::Path};

use common::{
    NOBODY, folder_of_nobody, pfanalyze, pfrec, plain,
    process::run,
    public_copy, public_folder, text,
    trace::{assert_whole, faults, json},
};

/// Own users, own process numbers, own mounts: inside it is root and process 1, outside it is nobody.
const CONTAINED: &str = r#"
    echo "outside $(awk '/^NSpid|^Pid/ { print $2; exit }' /proc/self/status) uid $(id -u)"
    exec unshare --user --map-root-user --pid --fork --mount --mount-proc sh -c '
        echo "inside $$ uid $(id -u)"
        "$0" -f "$1" -c 500 --evict
    ' "$0" "$1"
"#;

fn can_unshare() -> bool {
    let options = [
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "unshare",
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--mount",
        "--mount-proc",
        "true",
    ];
    run(plain(Path::new("setpriv"), &options)).status.success()
}

#[test]
#[ignore = "needs root"]
fn a_program_in_namespaces_of_its_own_is_recorded_as_the_host_sees_it() {
    if !can_unshare() {
        pf_checks::not_run(
            "user-namespaces",
            "this machine does not let users make namespaces",
        );
        return;
    }
    let (folder, programs) = (folder_of_nobody(), public_folder());
    let workload = public_copy(&programs, "mmap-workload");
    let generator = public_copy(&programs, "data-generator");
    let file = folder.path().join("data");
    run(plain(&generator, &["-f", text(&file), "-s", "8", "-p", "random"])).ok();
    std::os::unix::fs::chown(&file, Some(NOBODY), Some(NOBODY)).unwrap();

    let trace = programs.path().join("t.pfz");
    let options = ["-o", text(&trace), "--user", "nobody", "--"];
    let command = ["sh", "-c", CONTAINED, text(&workload), text(&file)];
    let ended = run(pfrec(&[&options[..], &command].concat())).ok();
    assert_whole(&trace, &ended.stderr);
    assert!(
        ended.stdout.contains("uid 65534\n"),
        "not root outside: {}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("inside 1 uid 0\n"),
        "a container inside: {}",
        ended.stdout
    );

    let of_file = faults(&trace, &["--file", text(&file)]);
    assert!(of_file.len() >= 400, "{}", of_file.len());
    let pids: BTreeSet<u32> = of_file.iter().map(|fault| fault.pid).collect();
    assert_eq!(pids.len(), 1);
    // Inside it has a small number; the host knows no such small one that is not a daemon of its own.
    let threads = json("threads", &trace);
    let names: BTreeSet<&str> = threads
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| pids.contains(&(row["pid"].as_u64().unwrap() as u32)))
        .map(|row| row["comm"].as_str().unwrap())
        .collect();
    assert!(names.contains("mmap-workload"), "{names:?}");
    let first = faults(&trace, &[]).iter().map(|fault| fault.pid).min().unwrap();
    assert!(
        *pids.first().unwrap() >= first,
        "numbers of the host grow: {pids:?} after {first}"
    );
    let report = run(pfanalyze(&[text(&trace)])).ok();
    assert!(
        report.stdout.contains(text(&file)) || report.stdout.contains("/data"),
        "{}",
        report.stdout
    );
}
