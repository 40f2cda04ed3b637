//! `--query` says what is wrong with it before anything starts, and finds files where other processes see them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::path::Path;

use common::{
    disk_folder, pfrec, plain,
    process::{run, start},
    program,
    programs::compile,
    queries::{queries, supported},
    text, until,
};
use tempfile::TempDir;

/// The error of `--query spec`, without a trace left behind.
fn refused(spec: &str) -> String {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let error = run(pfrec(&["-o", text(&trace), "--query", spec, "--", "true"])).error(125);
    assert!(error.contains(spec), "{error}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "something is left");
    error
}

fn compiled(name: &str) -> (TempDir, String) {
    let folder = disk_folder();
    let path = text(&compile(name, folder.path())).to_owned();
    (folder, path)
}

#[test]
#[ignore = "needs root"]
fn a_name_that_is_not_there_is_answered_with_those_like_it() {
    if !supported() {
        return;
    }
    let workload = program("mmap-workload");
    let workload = text(&workload);
    let error = refused(&format!("usdt:{workload}:pf:query_start..query_end"));
    assert!(error.contains("pf:query_begin"), "{error}");
    let (_folder, paths) = compiled("call_paths");
    let error = refused(&format!("func:{paths}:touch_two"));
    assert!(error.contains("touch_one"), "{error}");
    let error = refused(&format!("func:{paths}s:touch_one"));
    assert!(error.contains("call_paths"), "{error}");
    let error = refused(&format!("usdt:{paths}:pf:query_begin..query_end"));
    assert!(error.contains("no USDT probe"), "{error}");
}

#[test]
#[ignore = "needs root"]
fn a_stripped_program_is_called_that() {
    if !supported() {
        return;
    }
    let (folder, paths) = compiled("call_paths");
    // A ready-made one is others', too.
    let stripped = folder.path().join("stripped");
    run(plain(Path::new("strip"), &["-o", text(&stripped), &paths])).ok();
    let error = refused(&format!("func:{}:touch_one", text(&stripped)));
    assert!(error.contains("stripped"), "{error}");
}

/// Go moves its stacks, and dies of a return address that is not its own.
#[test]
#[ignore = "needs root"]
fn a_function_of_go_is_refused_and_one_of_c_beside_it_is_not() {
    if !supported() {
        return;
    }
    let (folder, like_go) = compiled("like_go");
    let error = refused(&format!("func:{like_go}:main.request"));
    assert!(error.contains("main.request is a function of Go"), "{error}");
    let trace = folder.path().join("t.pfz");
    let spec = format!("func:{like_go}:in_c");
    run(pfrec(&["-o", text(&trace), "--query", &spec, "--", &like_go])).ok();
    assert_eq!(queries(&trace).named("in_c").count(), 1);
}

/// As in a container: the file is there for one process only.
#[test]
#[ignore = "needs root"]
fn a_file_that_only_another_process_sees_is_reached_through_its_root() {
    if !supported() {
        return;
    }
    let folder = disk_folder();
    let (trace, workload) = (folder.path().join("t.pfz"), program("mmap-workload"));
    let script = "mount -t tmpfs none /mnt && cp \"$0\" /mnt/inside && \
                  exec /mnt/inside --anon --size 1 --count 3000 --delay 2 --query-size 10";
    let arguments = ["-m", "sh", "-c", script, text(&workload)];
    let inside = start(plain(Path::new("unshare"), &arguments));
    let pid = inside.pid().to_string();
    let path = format!("/proc/{pid}/root/mnt/inside");
    until("the program of its own", || {
        let executable = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        executable.ends_with("mnt/inside").then_some(())
    });
    let spec = format!("usdt:{path}:pf:query_begin..query_end");
    run(pfrec(&[
        "-o",
        text(&trace),
        "--query",
        &spec,
        "-p",
        &pid,
        "-d",
        "1",
    ]))
    .ok();
    let queries = queries(&trace);
    assert!(queries.named("pf:query").count() >= 10, "{:#?}", queries.rows);
}
