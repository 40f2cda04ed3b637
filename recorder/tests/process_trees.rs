//! Trees of processes: whatever a command starts is recorded, and the kernel counts the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{fs, path::Path, process::Command};

use common::{
    disk_folder, pfrec, plain,
    process::run,
    program, text,
    trace::{assert_whole, thread_names},
};
use pf_checks::not_run;

fn assert_all_started(trace: &Path, expected: &[&str]) {
    let names = thread_names(trace);
    for name in expected {
        assert!(
            names.iter().any(|known| known == name),
            "{name} is not in {names:?}"
        );
    }
}

#[test]
#[ignore = "needs root"]
fn programs_in_the_background_in_the_foreground_and_in_pipes_are_recorded() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let script = r#"
        ls -l / | sort | wc -l
        ( cat /etc/passwd | tr a-z A-Z | tail -n 1 ) &
        sleep 0.2 &
        "$1" --size 4 --count 200 --threads 2 > "$TMPDIR/report" &
        head -c 300000 /dev/zero | od | md5sum
        for i in 1 2 3 4 5 6 7 8; do ( env true; env false ) & done
        wait
        exec uname -a
    "#;
    let workload = program("mmap-workload");
    let mut command = pfrec(&[
        "-o",
        text(&trace),
        "--",
        "bash",
        "-c",
        script,
        "bash",
        text(&workload),
    ]);
    command.env("TMPDIR", folder.path());
    let ended = run(command).ok();
    eprintln!("{}", ended.stderr);
    assert_whole(&trace, &ended.stderr);
    let expected = "bash ls sort wc cat tr tail sleep mmap-workload pf-worker-0 pf-worker-1 head od md5sum true false uname";
    assert_all_started(&trace, &expected.split(' ').collect::<Vec<_>>());
}

#[test]
#[ignore = "needs root"]
fn a_build_with_cargo_is_recorded_down_to_the_linker() {
    // The toolchain itself, as this test was built with: no rustup in between, no configuration of the user.
    let cargo = Path::new(env!("CARGO"));
    if !cargo.exists() {
        not_run("cargo", &format!("there is no {}", cargo.display()));
        return;
    }
    let folder = disk_folder();
    let package = folder.path().join("tiny");
    fs::create_dir_all(package.join("src")).unwrap();
    fs::write(
        package.join("Cargo.toml"),
        "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n",
    )
    .unwrap();
    fs::write(package.join("build.rs"), "fn main() {}\n").unwrap();
    fs::write(
        package.join("src/main.rs"),
        "fn main() { println!(\"built\"); }\n",
    )
    .unwrap();

    let trace = folder.path().join("t.pfz");
    let arguments = ["build", "--offline", "--jobs", "2"];
    let mut command = pfrec(&[&["-o", text(&trace), "--", text(cargo)], &arguments[..]].concat());
    isolate(&mut command, cargo, folder.path());
    command.current_dir(&package);
    let ended = run(command).ok();
    eprintln!("{}", ended.stderr);
    assert_whole(&trace, &ended.stderr);
    assert_all_started(&trace, &["cargo", "rustc", "build-script-bu", "cc"]);
    let built = run(plain(&folder.path().join("target/debug/tiny"), &[])).ok();
    assert_eq!(built.stdout, "built\n");
}

fn isolate(command: &mut Command, cargo: &Path, folder: &Path) {
    let variables: Vec<_> = std::env::vars_os().map(|(name, _)| name).collect();
    for name in variables {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO") || name.starts_with("RUST"))
        {
            command.env_remove(name);
        }
    }
    command
        .env("RUSTC", cargo.with_file_name("rustc"))
        .env("CARGO_HOME", folder.join("home"))
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("TMPDIR", folder);
}
