//! The recordings in samples/ give the reports beside them, to anybody.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

const NOBODY: u32 = 65_534;

fn samples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples");
    let folders: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("trace.pfz").exists())
        .collect();
    assert!(!folders.is_empty(), "no samples");
    folders
}

fn is_root() -> bool {
    // A file is as good as getuid: what this test makes belongs to who runs it.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::os::unix::fs::MetadataExt::uid(&file.path().metadata().unwrap()) == 0
}

/// A copy that is still open for writing in a child that another test has forked meanwhile cannot be run: one at a time.
static COPYING: Mutex<()> = Mutex::new(());

/// What pfanalyze prints, as nobody when the test runs as root.
fn pfanalyze(arguments: &[&str], folder: &Path) -> String {
    let _alone = COPYING.lock().unwrap_or_else(PoisonError::into_inner);
    // Nobody may not enter root's home: hand over copies.
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = place.path().join("pfanalyze");
    fs::copy(env!("CARGO_BIN_EXE_pfanalyze"), &program).unwrap();
    fs::copy(folder.join("trace.pfz"), place.path().join("trace.pfz")).unwrap();
    fs::set_permissions(place.path().join("trace.pfz"), fs::Permissions::from_mode(0o644)).unwrap();
    let mut command = Command::new(&program);
    command.args(arguments).current_dir(place.path()).env_clear();
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_sample_gives_its_report_to_an_unprivileged_user() {
    for folder in samples() {
        let expected = fs::read_to_string(folder.join("report.txt")).unwrap();
        let shown = pfanalyze(&["trace.pfz"], &folder);
        assert!(shown == expected, "{}: pfanalyze says\n{shown}", folder.display());
    }
}

#[test]
fn a_sample_has_the_faults_that_the_program_counted_itself() {
    for folder in samples() {
        let said = fs::read_to_string(folder.join("workload.json")).unwrap();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        for thread in said["threads"].as_array().unwrap() {
            let tid = thread["tid"].to_string();
            let number = |name: &str| thread[name].as_u64().unwrap();
            let interval = number("begin_ns")..=number("end_ns");
            let (mut majors, mut minors) = (0, 0);
            for line in pfanalyze(
                &["events", "trace.pfz", "--tid", &tid, "--format", "json"],
                &folder,
            )
            .lines()
            {
                let event: serde_json::Value = serde_json::from_str(line).unwrap();
                if interval.contains(&event["ts_ns"].as_u64().unwrap()) {
                    *if event["major"] == true {
                        &mut majors
                    } else {
                        &mut minors
                    } += 1;
                }
            }
            assert_eq!(
                (majors, minors),
                (number("majors"), number("minors")),
                "thread {tid}"
            );
        }
    }
}
