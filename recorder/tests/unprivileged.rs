//! A trace is read without any rights, and recording without them says what is missing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::Command,
};

use common::{
    NOBODY, disk_folder, folder_of_nobody, pfrec, plain, process::run, program, public_copy, public_folder,
    text,
};

fn as_nobody(program: &Path, arguments: &[&str]) -> Command {
    let mut command = plain(program, arguments);
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
    command
}

#[test]
#[ignore = "needs root"]
fn a_user_without_rights_gets_the_same_reports_as_root_byte_for_byte() {
    let (folder, public) = (disk_folder(), public_folder());
    let trace = folder.path().join("t.pfz");
    let workload = program("mmap-workload");
    let mut command = pfrec(&["-o", text(&trace), "--", text(&workload)]);
    command
        .args(["--size", "4", "--count", "500", "--threads", "3"])
        .env("TMPDIR", folder.path());
    run(command).ok();
    let shared = public.path().join("t.pfz");
    fs::copy(&trace, &shared).unwrap();
    fs::set_permissions(&shared, Permissions::from_mode(0o644)).unwrap();
    let pfanalyze = public_copy(&public, "pfanalyze");
    for verb in ["", "threads", "files", "percentiles", "heatmap", "events", "info"] {
        let arguments: Vec<&str> = [verb, text(&shared)]
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect();
        let mut root = plain(&pfanalyze, &arguments);
        root.current_dir("/");
        let root = run(root).ok();
        let nobody = run(as_nobody(&pfanalyze, &arguments)).ok();
        assert!(!root.stdout.is_empty(), "{verb}");
        assert_eq!(root.stdout, nobody.stdout, "{verb}");
        assert_eq!(root.stderr, nobody.stderr, "{verb}");
    }
}

#[test]
#[ignore = "needs root"]
fn recording_without_rights_names_the_capabilities_and_the_sudo_line_and_starts_nothing() {
    let (public, folder) = (public_folder(), folder_of_nobody());
    let trace = folder.path().join("t.pfz");
    let proof = folder.path().join("proof");
    let pfrec = public_copy(&public, "pfrec");
    let arguments = ["-o", text(&trace), "--", "touch", text(&proof)];
    let error = run(as_nobody(&pfrec, &arguments)).error(125);
    for expected in ["CAP_BPF", "CAP_PERFMON", "sudo ", "touch"] {
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing was begun"
    );
}

#[test]
#[ignore = "needs root"]
fn doctor_without_rights_says_what_to_do() {
    let public = public_folder();
    let doctor = run(as_nobody(&public_copy(&public, "pfrec"), &["doctor"])).with_status(125);
    let said = format!("{}{}", doctor.stdout, doctor.stderr);
    assert!(said.contains("sudo") || said.contains("CAP_BPF"), "{said}");
}
