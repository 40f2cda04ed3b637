//! The examples of `docs/queries.md`, as they stand there: they compile, and their queries are found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::{
    disk_folder, package, pfrec,
    process::run,
    queries::{Queries, queries, supported},
    text,
};
use pf_checks::not_run;
use pf_formats::{Query, QueryEnd};

const DOCUMENT: &str = "../docs/queries.md";

/// The examples in this language, in their order.
fn examples(language: &str) -> Vec<String> {
    let document = fs::read_to_string(package().join(DOCUMENT)).unwrap();
    let begin = format!("```{language}\n");
    let found: Vec<String> = document
        .split(&begin)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect();
    assert!(!found.is_empty(), "no example in {language}");
    found
}

/// Whether this machine can build that; what it cannot is told.
fn can_build(name: &str, compiler: &str, header: bool) -> bool {
    let missing = if Command::new(compiler).arg("--version").output().is_err() {
        format!("there is no {compiler}")
    } else if header && !has_header() {
        "there is no sys/sdt.h".to_owned()
    } else {
        return true;
    };
    not_run(&format!("example-{name}"), &missing);
    false
}

fn has_header() -> bool {
    let mut cc = Command::new("cc");
    let tried = cc
        .args(["-E", "-include", "sys/sdt.h", "-x", "c", "/dev/null"])
        .output();
    tried.is_ok_and(|output| output.status.success())
}

fn built(mut compiler: Command) {
    let output = compiler.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler:?}: {said}");
}

/// Records `command` in `folder`, and nothing is lost.
fn recorded(folder: &Path, options: &[&str], command: &[&str]) -> Queries {
    let trace = folder.join("t.pfz");
    let mut recorder = pfrec(&[&["-o", text(&trace)], options, &["--"], command].concat());
    recorder.current_dir(folder);
    let ended = run(recorder).ok();
    assert!(ended.stderr.contains("pfrec: nothing lost\n"), "{}", ended.stderr);
    queries(&trace)
}

/// Queries with this text: `pf:` probes are all of one name.
fn with_text<'a>(found: &'a Queries, text: &'a str) -> impl Iterator<Item = &'a Query> {
    let has_it = move |row: &&Query| row.text.as_deref() == Some(text);
    found.rows.iter().filter(has_it)
}

/// Three queries of that text with ids from 1 on, each with the faults of a megabyte of fresh memory.
fn assert_three(found: &Queries, text: &str) {
    let rows: Vec<_> = with_text(found, text).collect();
    assert_eq!(rows.len(), 3, "{:#?}", found.rows);
    for (row, id) in rows.iter().zip(1..) {
        assert_eq!((row.key, row.end), (Some(id), QueryEnd::Ended), "{row:?}");
    }
    let faults: u64 = rows.iter().map(|row| row.own.majors + row.own.minors).sum();
    assert!(faults > 0, "{rows:?}");
}

#[test]
#[ignore = "needs root"]
fn the_example_in_rust_is_three_queries_and_its_future_compiles() {
    let cargo = env!("CARGO");
    if !supported() || !can_build("rust", cargo, false) {
        return;
    }
    let folder = disk_folder();
    fs::create_dir(folder.path().join("src")).unwrap();
    let manifest = "[package]\nname = \"example\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                    [dependencies]\nprobe = \"0.5\"\n[workspace]\n";
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    // Both examples in one program: the second needs the first. Imports may stand between items.
    let whole: String =
        examples("rust")
            .join("\n")
            .replacen("use std::{\n    ffi::CStr,\n", "use std::{\n", 1);
    fs::write(
        folder.path().join("src/main.rs"),
        format!("#![allow(dead_code)]\n{whole}"),
    )
    .unwrap();
    let mut build = Command::new(cargo);
    build
        .args(["build", "--offline", "--release"])
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .current_dir(folder.path());
    built(build);
    let program = folder.path().join("target/release/example");
    assert_three(&recorded(folder.path(), &[], &[text(&program)]), "load page");
}

/// Writes and compiles one example; returns the program.
fn compiled(folder: &Path, compiler: &str, file: &str, options: &[&str], source: &str) -> PathBuf {
    let program = folder.join("example");
    fs::write(folder.join(file), source).unwrap();
    let mut command = Command::new(compiler);
    command
        .args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .args(options)
        .arg(file)
        .current_dir(folder);
    built(command);
    program
}

#[test]
#[ignore = "needs root"]
fn the_example_in_c_is_three_queries() {
    if !supported() || !can_build("c", "cc", true) {
        return;
    }
    let folder = disk_folder();
    let program = compiled(folder.path(), "cc", "example.c", &[], &examples("c")[0]);
    assert_three(&recorded(folder.path(), &[], &[text(&program)]), "load page");
}

#[test]
#[ignore = "needs root"]
fn the_example_in_cpp_is_three_queries_though_one_of_them_throws() {
    if !supported() || !can_build("cpp", "c++", true) {
        return;
    }
    let folder = disk_folder();
    let program = compiled(folder.path(), "c++", "example.cpp", &[], &examples("cpp")[0]);
    assert_three(&recorded(folder.path(), &[], &[text(&program)]), "load page");
}

#[test]
#[ignore = "needs root"]
fn the_example_in_python_is_three_queries_of_a_library_that_is_loaded_late() {
    if !supported() || !can_build("python", "python3", true) {
        return;
    }
    let folder = disk_folder();
    let library = ["-shared", "-fPIC"];
    let built = compiled(folder.path(), "cc", "pfquery.c", &library, &examples("c")[1]);
    fs::rename(built, folder.path().join("libpfquery.so")).unwrap();
    fs::write(folder.path().join("app.py"), &examples("python")[0]).unwrap();
    let probes = ["--query", "usdt:./libpfquery.so:pf:query_begin..query_end"];
    let found = recorded(folder.path(), &probes, &["python3", "app.py"]);
    for page in 0..3 {
        assert_eq!(
            with_text(&found, &format!("page {page}")).count(),
            1,
            "{:#?}",
            found.rows
        );
    }
}

#[test]
#[ignore = "needs root"]
fn the_example_in_go_is_three_queries() {
    if !supported() || !can_build("go", "go", true) {
        return;
    }
    let folder = disk_folder();
    fs::write(folder.path().join("main.go"), &examples("go")[0]).unwrap();
    let mut build = Command::new("go");
    build
        .args(["build", "-o", "example", "main.go"])
        .env("GOCACHE", folder.path().join("cache"))
        .env("CGO_ENABLED", "1")
        .current_dir(folder.path());
    built(build);
    let program = folder.path().join("example");
    assert_three(&recorded(folder.path(), &[], &[text(&program)]), "load page");
}
