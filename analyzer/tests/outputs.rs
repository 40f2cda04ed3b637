//! `-o FILE`: a file that was there stays as it is until the whole answer is written, and no file that is read is replaced.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod model_files;
mod support;

use model_files::safetensors;
use pf_formats::{Dict, ObjectKind};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Output};
use support::{dicts, events, file_fault, meta, object, small, trace};
use tempfile::TempDir;

const OLD: &str = "what was there before\n";

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.path("t.pfz"), small()).unwrap();
        fs::write(place.path("old"), OLD).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
            .current_dir(self.0.path())
            .args(arguments)
            .output()
            .unwrap()
    }

    fn fails(&self, arguments: &[&str], says: &str) {
        let output = self.run(arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(
            matches!(output.status.code(), Some(1 | 2)),
            "{arguments:?}: {message}"
        );
        assert!(message.contains(says), "{arguments:?}: {message}");
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn a_question_without_an_answer_leaves_the_old_file() {
    let place = Place::new();
    let mut damaged = small();
    damaged.truncate(20);
    fs::write(place.path("damaged.pfz"), damaged).unwrap();
    for (arguments, says) in [
        (&["threads", "t.pfz", "--sort", "nonsense"][..], "nonsense"),
        (&["percentiles", "t.pfz", "--sort", "nonsense"], "nonsense"),
        (&["sql", "t.pfz", "SELECT nonsense FROM faults"], "nonsense"),
        (&["sql", "t.pfz", "SELECT"], "error"),
        (&["queries", "t.pfz", "--id", "77"], "no queries"),
        (&["diff", "t.pfz", "none.pfz"], "none.pfz"),
        (&["events", "damaged.pfz"], "damaged.pfz"),
    ] {
        place.fails(&[arguments, &["-o", "old"]].concat(), says);
        assert_eq!(place.text("old"), OLD, "{arguments:?}");
        place.fails(&[arguments, &["-o", "new"]].concat(), says);
    }
    assert_eq!(place.names(), ["damaged.pfz", "old", "t.pfz"]);
}

/// A result that waits for the rest of a pipe when the signal comes.
#[test]
fn a_signal_leaves_no_part_of_a_result() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use std::io::Write;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let place = Place::new();
        let mut child = Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
            .current_dir(place.0.path())
            .args(["events", "-", "-o", "old"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let bytes = small();
        pipe.write_all(&bytes[..bytes.len() / 2]).unwrap();
        let begun = Instant::now();
        while place.names().len() < 3 {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", place.names());
            std::thread::sleep(Duration::from_millis(5));
        }
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(signal as i32), "{status:?}");
        assert_eq!(place.names(), ["old", "t.pfz"], "{signal}");
        assert_eq!(place.text("old"), OLD);
        drop(pipe);
    }
}

/// A file may grow no further: the disk is full, as far as the program sees.
#[test]
fn a_full_disk_leaves_the_old_file_and_the_error_names_it() {
    let place = Place::new();
    let many: Vec<_> = (0..5_000).map(|at| file_fault(at, 1_000, at)).collect();
    fs::write(place.path("many.pfz"), trace(&meta(), &dicts(), &many, &[])).unwrap();
    for verb in ["events", "report"] {
        let limited = r#"trap "" XFSZ; ulimit -f 0; exec "$0" "$@""#;
        let words: &[&str] = match verb {
            "report" => &["many.pfz", "-o", "old"],
            verb => &[verb, "many.pfz", "-o", "old"],
        };
        let output = Command::new("sh")
            .args(["-c", limited, env!("CARGO_BIN_EXE_pfanalyze")])
            .args(words)
            .current_dir(place.0.path())
            .output()
            .unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{verb}: {message}");
        assert!(message.contains("old: File too large"), "{verb}: {message}");
        assert_eq!(place.text("old"), OLD);
    }
    assert_eq!(place.names(), ["many.pfz", "old", "t.pfz"]);
}

#[test]
fn a_file_that_is_read_is_not_replaced() {
    let place = Place::new();
    let (model, _) = safetensors(&[("a.weight", 8_192), ("b.bias", 64)]);
    let path = place.path("model.bin");
    fs::write(&path, &model).unwrap();
    fs::write(place.path("list.csv"), "one,0,4096\n").unwrap();
    fs::hard_link(&path, place.path("same")).unwrap();
    fs::write(place.path("b.pfz"), small()).unwrap();
    let recorded = vec![
        dicts().remove(0),
        Dict::Objects {
            first_id: 1,
            entries: vec![
                object(ObjectKind::File, path.to_str().unwrap()),
                object(ObjectKind::Heap, ""),
            ],
        },
    ];
    fs::write(place.path("model.pfz"), trace(&meta(), &recorded, &events(), &[])).unwrap();
    let of_data = ["regions", "t.pfz", "--file", "/data/segments.bin"];
    let of_model = ["regions", "model.pfz", "--file", path.to_str().unwrap()];
    let is_read = "is an input: give another file to -o";
    for (words, output) in [
        (
            &[&of_data[..], &["--copy", "model.bin"]].concat()[..],
            "model.bin",
        ),
        (&[&of_data[..], &["--copy", "model.bin"]].concat(), "same"),
        (&[&of_data[..], &["--regions", "list.csv"]].concat(), "list.csv"),
        (&of_model, "model.bin"),
        (&of_model, "same"),
        (&["diff", "t.pfz", "b.pfz"], "b.pfz"),
    ] {
        let before = fs::read(place.path(output)).unwrap();
        place.fails(&[words, &["--format", "json", "-o", output]].concat(), is_read);
        assert_eq!(fs::read(place.path(output)).unwrap(), before, "{words:?}");
    }
    place.fails(
        &["diff", "t.pfz", "b.pfz", "--format", "json", "-o", "t.pfz"],
        "is the trace itself",
    );
    assert_eq!(fs::read(&path).unwrap(), model);
    // What is not read is none of its business.
    assert!(
        place
            .run(&[&of_model[..], &["-o", "old"]].concat())
            .status
            .success()
    );
    assert!(place.text("old").contains("a.weight"));
}

#[test]
fn the_rights_and_the_links_of_a_file_stay() {
    let place = Place::new();
    fs::set_permissions(place.path("old"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("old", place.path("link")).unwrap();
    assert!(place.run(&["threads", "t.pfz", "-o", "link"]).status.success());
    assert!(fs::symlink_metadata(place.path("link")).unwrap().is_symlink());
    assert!(place.text("old").contains("worker"));
    assert_eq!(fs::metadata(place.path("old")).unwrap().mode() & 0o777, 0o640);

    let new = Command::new("sh")
        .args(["-c", r#"umask 027; exec "$0" threads t.pfz -o new"#])
        .arg(env!("CARGO_BIN_EXE_pfanalyze"))
        .current_dir(place.0.path())
        .status()
        .unwrap();
    assert!(new.success());
    assert_eq!(fs::metadata(place.path("new")).unwrap().mode() & 0o777, 0o640);
    assert_eq!(place.text("new"), place.text("old"));
}

#[test]
fn pipes_and_devices_are_written_to_as_they_are() {
    let place = Place::new();
    let fifo = place.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let reader = Command::new("cat")
        .arg(&fifo)
        .stdout(fs::File::create(place.path("read")).unwrap())
        .spawn()
        .unwrap();
    assert!(place.run(&["threads", "t.pfz", "-o", "fifo"]).status.success());
    assert!(reader.wait_with_output().unwrap().status.success());
    assert!(place.text("read").contains("worker"));
    assert!(
        place
            .run(&["threads", "t.pfz", "-o", "/dev/null"])
            .status
            .success()
    );
    place.fails(&["threads", "t.pfz", "-o", "."], "cannot be written");
}

#[test]
fn what_goes_to_the_same_file_by_standard_output_stays() {
    let place = Place::new();
    let script = r#"{ echo before; "$0" threads t.pfz -o /dev/stdout; echo after; } > all"#;
    let shell = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_pfanalyze")])
        .current_dir(place.0.path())
        .status();
    assert!(shell.unwrap().success());
    let all = place.text("all");
    assert!(
        all.starts_with("before\n") && all.contains("worker") && all.ends_with("after\n"),
        "{all}"
    );
}

#[test]
fn a_trace_is_not_replaced_by_a_result() {
    let place = Place::new();
    fs::write(place.path("b.pfz"), small()).unwrap();
    place.fails(&["t.pfz", "--format", "json", "-o", "b.pfz"], "is a trace");
    assert_eq!(fs::read(place.path("b.pfz")).unwrap(), small());
}

/// The owner of a file may write to it wherever it is.
#[test]
fn a_file_in_a_folder_that_takes_no_new_ones_is_written_to() {
    let place = Place::new();
    let folder = place.path("closed");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("old"), OLD).unwrap();
    // Root may write everywhere, so nobody does it, with a copy of the program that is not in root's folder.
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let program = place.path("pfanalyze");
    fs::copy(env!("CARGO_BIN_EXE_pfanalyze"), &program).unwrap();
    for (path, mode) in [
        (place.0.path(), 0o755),
        (folder.join("old").as_path(), 0o666),
        (folder.as_path(), 0o555),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let run = |output: &str| {
        let mut command = Command::new(if is_root { "setpriv" } else { "env" });
        if is_root {
            command.args(["--reuid", "65534", "--clear-groups"]);
        }
        command
            .arg(&program)
            .args(["threads", "t.pfz", "-o", output])
            .current_dir(place.0.path())
            .output()
            .unwrap()
    };
    let done = run("closed/old");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let written = fs::read_to_string(folder.join("old")).unwrap();
    assert!(written.contains("worker") && !written.contains(OLD), "{written}");
    let refused = run("closed/new");
    let message = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{message}");
    assert!(
        message.contains("closed/new cannot be written: Permission denied") && !message.contains("partial"),
        "{message}"
    );
}
