//! What was set, and how things stood: limits of cgroups, read-ahead of devices, options of mounts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{
    alone,
    cgroups::Groups,
    disk_folder, pfanalyze, pfrec, plain,
    process::{run, start},
    public_copy, text,
    trace::{assert_books_balance, json, until_recording},
    until_written,
};
use pf_checks::not_run;
use serde_json::Value;

const LIMIT: &str = "134217728";

/// Joins the cgroup, waits to be recorded, and becomes a program in a file of its own.
const SCRIPT: &str = r#"
    echo $$ > "$1/cgroup.procs"
    echo $$ > pid
    while [ ! -e go ]; do sleep 0.02; done
    exec "$0" --anon -p seq -c 3000
"#;

/// Cgroups whose outer one has a limit of memory, and the name of the file that it is in.
fn limited() -> Option<(Groups, &'static str)> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let is_one = own.lines().any(|line| {
        line.split(':')
            .nth(1)
            .is_some_and(|names| names.split(',').any(|name| name == "memory"))
    });
    let options: &[&str] = if is_one {
        &["-t", "cgroup", "-o", "memory"]
    } else {
        &["-t", "cgroup2"]
    };
    let groups = Groups::new(options)?;
    let name = if is_one {
        "memory.limit_in_bytes"
    } else {
        "memory.max"
    };
    if !is_one {
        for above in [groups.root(), &groups.outer] {
            fs::write(above.join("cgroup.subtree_control"), "+memory").ok()?;
        }
    }
    fs::write(groups.outer.join(name), LIMIT).ok()?;
    Some((groups, name))
}

/// The value at the start and at the end.
fn told(info: &Value, subject: &str, name: &str) -> Option<(String, String)> {
    let of = |entry: &Value, member: &str| entry[member].as_str().unwrap().to_owned();
    let all = info["conditions"].as_array().expect("conditions");
    let mut found = all
        .iter()
        .filter(|entry| entry["subject"] == subject && entry["name"] == name);
    found.next().map(|entry| (of(entry, "start"), of(entry, "end")))
}

fn value(info: &Value, subject: &str, name: &str) -> String {
    let told = told(info, subject, name);
    let (_, end) = told.unwrap_or_else(|| panic!("{subject}: {name} in {}", info["conditions"]));
    end
}

/// The mount that a file is in, and its type, by findmnt(8).
fn mount_of(path: &Path) -> Option<(String, String)> {
    let arguments = ["-n", "-r", "-o", "TARGET,FSTYPE", "-T", text(path)];
    let found = run(plain(Path::new("findmnt"), &arguments)).ok();
    let (place, kind) = found.stdout.trim().split_once(' ')?;
    Some((place.to_owned(), kind.to_owned()))
}

fn rows(trace: &Path, question: &str) -> Vec<Value> {
    let said = run(pfanalyze(&["sql", text(trace), question, "--format", "json"])).ok();
    serde_json::from_str(&said.stdout).unwrap()
}

#[test]
#[ignore = "needs root"]
fn limits_read_ahead_and_mounts_are_told_of_start_and_end() {
    let _alone = alone();
    let Some((groups, limit)) = limited() else {
        not_run(
            "cgroup-memory",
            "no cgroup with a limit of memory can be made here",
        );
        return;
    };
    let folder = disk_folder();
    let copy = public_copy(&folder, "mmap-workload");
    let trace = folder.path().join("t.pfz");
    let mut command = plain(Path::new("sh"), &["-c", SCRIPT, text(&copy), text(&groups.inner)]);
    command.current_dir(folder.path()).env("GOMAXPROCS", "3");
    let target = start(command);
    let pid = until_written(&folder.path().join("pid"));
    let recorder = start(pfrec(&["-o", text(&trace), "-p", pid.trim()]));
    until_recording(&folder.path().join("t.pfz.partial"));
    fs::write(folder.path().join("go"), "").unwrap();
    target.wait().ok();
    let ended = recorder.wait().ok();
    assert_books_balance(&trace, &ended.stderr);

    let info = json("info", &trace);
    let name = groups.outer.file_name().unwrap().to_str().unwrap();
    let (outer, inner) = (format!("cgroup /{name}"), format!("cgroup /{name}/inner"));
    let both = (LIMIT.to_owned(), LIMIT.to_owned());
    assert_eq!(told(&info, &outer, limit), Some(both));
    assert!(told(&info, &inner, limit).is_some(), "{info}");
    // What it took before is in its first reading, what it took afterwards is not.
    let used = limit.replace("limit", "usage").replace(".max", ".current");
    assert!(told(&info, &inner, &used).is_some(), "{info}");

    assert_eq!(value(&info, "process", "GOMAXPROCS"), "3");
    assert_eq!(value(&info, "process", "Pid"), pid.trim());
    let (first, last) = told(&info, "machine", "MemAvailable").unwrap();
    assert!(first.ends_with(" kB") && last.ends_with(" kB"), "{first} {last}");

    let question = format!(
        "SELECT dev_major, dev_minor FROM files WHERE file = '{}'",
        text(&copy)
    );
    let file = &rows(&trace, &question)[0];
    let device = format!("{}:{}", file["dev_major"], file["dev_minor"]);
    let read_ahead = value(&info, &format!("device {device}"), "read_ahead_kb");
    let paths = [
        format!("/sys/dev/block/{device}/queue/read_ahead_kb"),
        format!("/sys/dev/block/{device}/../queue/read_ahead_kb"),
        format!("/sys/class/bdi/{device}/read_ahead_kb"),
    ];
    let known = paths.iter().find_map(|path| fs::read_to_string(path).ok());
    assert_eq!(Some(read_ahead.as_str()), known.as_deref().map(str::trim));
    let (place, kind) = mount_of(&copy).unwrap();
    let subject = format!("mount {place}");
    assert_eq!(value(&info, &subject, "type"), kind);
    assert_eq!(value(&info, &subject, "device"), device);

    let question = "SELECT count(*) AS n FROM conditions WHERE name LIKE 'MemTotal'";
    assert_eq!(rows(&trace, question)[0]["n"], 1);
    let shown = run(pfanalyze(&["info", text(&trace)])).ok().stdout;
    let line = format!("\ncondition           {outer}: {limit} {LIMIT} (128.0 MiB)\n");
    assert!(shown.contains(&line), "{shown}");
}

/// A recording of a command, with this more for pfrec.
fn of_command(folder: &Path, options: &[&str]) -> Value {
    let trace: PathBuf = folder.join("t.pfz");
    let arguments = [&["--force", "-o", text(&trace)], options, &["--", "true"]].concat();
    let mut command = pfrec(&arguments);
    command.env("GOMAXPROCS", "5").env("SECRET", "hidden-value");
    run(command).ok();
    let info = json("info", &trace);
    assert!(!info["conditions"].to_string().contains("hidden-value"));
    info
}

#[test]
#[ignore = "needs root"]
fn a_command_is_told_of_as_it_was_started_and_of_its_environment_one_variable() {
    let folder = disk_folder();
    let info = of_command(folder.path(), &[]);
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let cpus = own
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    assert_eq!(value(&info, "process", "Cpus_allowed_list"), cpus.unwrap().trim());
    assert_eq!(value(&info, "process", "GOMAXPROCS"), "5");
    // Somebody else's environment is made anew.
    let info = of_command(folder.path(), &["--user", "nobody"]);
    assert_eq!(told(&info, "process", "GOMAXPROCS"), None);
}
