//! The disk fills up during a recording: the command is not disturbed, and what was written is kept.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{path::PathBuf, process::Command};

use common::{
    alone, disk_folder, pfanalyze, pfrec, process::run, program, text, trace::contents, until_written,
};
use tempfile::TempDir;

/// A file system too small for the trace, gone with the test.
struct TinyDisk {
    mount: PathBuf,
    _folder: TempDir,
}

impl TinyDisk {
    fn new() -> Self {
        let folder = disk_folder();
        let mount = folder.path().join("tiny");
        std::fs::create_dir(&mount).unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=512k", "pfrec-test"])
            .arg(&mount)
            .status();
        assert!(status.unwrap().success());
        Self {
            mount,
            _folder: folder,
        }
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        // A failure shows in the folder, which then cannot be removed.
        Command::new("umount").arg(&self.mount).status().ok();
    }
}

#[test]
#[ignore = "needs root"]
fn a_full_disk_ends_the_recording_and_not_the_command() {
    let _alone = alone();
    let (disk, folder) = (TinyDisk::new(), disk_folder());
    let trace = disk.mount.join("t.pfz");
    let script = r#"
        for i in 1 2 3 4 5; do
            "$1" --anon --size 400 --pattern random --threads 2 --count 100000 --write > /dev/null || exit
        done
        echo "ended with $?" > "$TMPDIR/proof"
        exit 4
    "#;
    let mut command = pfrec(&["-o", text(&trace), "--", "bash", "-c", script, "bash"]);
    command.arg(program("mmap-workload")).env("TMPDIR", folder.path());
    let error = run(command).error(125);
    eprintln!("{error}");
    assert!(error.contains("No space left on device"), "{error}");
    assert!(error.contains("partial"), "{error}");
    assert_eq!(until_written(&folder.path().join("proof")), "ended with 0\n");

    let partial = disk.mount.join("t.pfz.partial");
    assert!(!trace.exists());
    let contents = contents(&partial);
    assert!(
        contents.summary.events > 1000 && !contents.summary.finished,
        "{contents:?}"
    );
    let report = run(pfanalyze(&[text(&partial)])).ok();
    assert!(
        format!("{}{}", report.stdout, report.stderr).contains("unfinished"),
        "{report:#?}"
    );
}
