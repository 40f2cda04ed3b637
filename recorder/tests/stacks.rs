//! `--stacks`: the code that faulted, against paths of calls that are known.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{collections::BTreeMap, fs, path::Path};

use common::{
    disk_folder, package, pfanalyze, pfrec, plain,
    process::run,
    program, text,
    trace::{assert_whole, json},
};

const SOURCE: &str = "tests/programs/call_paths.c";

fn build(to: &Path, frames: &str) {
    let source = package().join(SOURCE);
    let options = ["-O1", "-g", frames, "-o", text(to), text(&source)];
    run(plain(Path::new("cc"), &options)).ok();
}

/// Records 300 touches by one path, 200 by the other and 50 by the kernel; the program is removed before the
/// recording ends. Nothing but the trace is left, and the build id that it should name.
fn record(frames: &str) -> (tempfile::TempDir, std::path::PathBuf, String) {
    let (folder, elsewhere) = (disk_folder(), disk_folder());
    let (call_paths, trace) = (folder.path().join("call_paths"), folder.path().join("t.pfz"));
    build(&call_paths, frames);
    let build_id = build_id(&call_paths);
    // pfrec opens a program when its first stack arrives, within some 100 ms.
    let script = r#""$0" 300 200 /dev/zero; sleep 1; rm "$0""#;
    let command = [
        "-o",
        text(&trace),
        "--stacks",
        "--",
        "sh",
        "-c",
        script,
        text(&call_paths),
    ];
    let ended = run(pfrec(&command)).ok();
    assert_whole(&trace, &ended.stderr);
    assert!(!call_paths.exists());
    let copy = elsewhere.path().join("copy.pfz");
    fs::copy(&trace, &copy).unwrap();
    (elsewhere, copy, build_id)
}

/// By another program's reading.
fn build_id(program: &Path) -> String {
    let notes = run(plain(Path::new("readelf"), &["--notes", text(program)])).ok();
    let id = notes
        .stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix("Build ID: "));
    id.expect("a build id").to_owned()
}

/// Faults by path, without what is above `main`.
fn paths(trace: &Path) -> BTreeMap<String, u64> {
    let folded = run(pfanalyze(&[
        "stacks",
        text(trace),
        "--folded",
        "--weight",
        "count",
    ]))
    .ok();
    let mut paths = BTreeMap::new();
    for line in folded.stdout.lines() {
        let (stack, count) = line.rsplit_once(' ').unwrap();
        let from_main = stack.find("main;").map_or(stack, |at| &stack[at..]);
        *paths.entry(from_main.to_owned()).or_default() += count.parse::<u64>().unwrap();
    }
    paths
}

#[test]
#[ignore = "needs root"]
fn each_path_of_calls_has_its_faults_when_the_program_is_long_gone() {
    let (_folder, trace, build_id) = record("-fno-omit-frame-pointer");
    let paths = paths(&trace);
    assert_eq!(paths.get("main;by_one;touch_one"), Some(&300), "{paths:#?}");
    assert_eq!(paths.get("main;by_two;touch_one"), Some(&200), "{paths:#?}");
    // The C library's read(2) has no frame of its own, which hides its caller.
    let by_kernel: u64 = paths
        .iter()
        .filter(|(path, _)| path.starts_with("main;") && path.contains("read"))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(by_kernel, 50, "{paths:#?}");
    let nodes = json("stacks", &trace).to_string();
    assert!(
        nodes.contains(&format!("\"build_id\":\"{build_id}\"")) && nodes.contains("call_paths.c"),
        "{build_id}: {nodes}"
    );
}

#[test]
#[ignore = "needs root"]
fn a_program_without_frame_pointers_is_labelled_so() {
    let (_folder, trace, _) = record("-fomit-frame-pointer");
    let tree = run(pfanalyze(&["stacks", text(&trace), "--weight", "count"])).ok();
    assert!(tree.stdout.contains("[truncated: "), "{}", tree.stdout);
    assert!(tree.stdout.contains("\ntruncated: "), "{}", tree.stdout);
}

#[test]
#[ignore = "needs root"]
fn a_recording_without_stacks_says_how_to_get_them() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    run(pfrec(&[
        "-o",
        text(&trace),
        "--",
        text(&program("mmap-workload")),
        "--anon",
        "-c",
        "10",
    ]))
    .ok();
    let refused = run(pfanalyze(&["stacks", text(&trace)]));
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("--stacks"), "{}", refused.stderr);
}
