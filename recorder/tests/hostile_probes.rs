//! Programs that lie about their probes, or swap their files, while pfrec looks for queries as root: nobody else pays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use common::{
    NOBODY, alone, disk_folder, pfrec, plain,
    process::{Process, run, start},
    program,
    programs::compile,
    queries::{queries, supported},
    text, until,
    workload::until_walking,
};
use nix::{
    sys::{signal::Signal, stat::Mode},
    unistd::mkfifo,
};
use tempfile::TempDir;

/// The program of the attacker, in a folder of its own, and the same program of root's beside it.
struct Scene {
    folder: TempDir,
    own: PathBuf,
    other: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let folder = disk_folder();
        let built = compile("swapped", folder.path());
        let (theirs, own, other) = (
            folder.path().join("theirs"),
            folder.path().join("theirs/own"),
            folder.path().join("other"),
        );
        fs::create_dir(&theirs).unwrap();
        fs::copy(&built, &own).unwrap();
        fs::copy(&built, &other).unwrap();
        for path in [&theirs, &own] {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Self { folder, own, other }
    }

    /// As before an attack.
    fn reset(&self) {
        for path in [self.own.clone(), self.own.with_extension("link")] {
            fs::remove_file(path).ok();
        }
        fs::copy(&self.other, &self.own).unwrap();
        chown(&self.own, Some(NOBODY), Some(NOBODY)).unwrap();
    }

    /// Starts the attack, which strikes when its file was opened for the `opens`th time.
    fn attack(&self, with: &Path, opens: u32) -> Process {
        let mut command = plain(
            &self.own,
            &["attack", text(&self.own), text(with), &opens.to_string()],
        );
        command.uid(NOBODY).gid(NOBODY);
        let attacker = start(command);
        until("the attack", || attacker.stdout().contains("ready").then_some(()));
        attacker
    }

    fn record(&self, attacker: &Process, more: &[&str]) -> String {
        let trace = self.folder.path().join("t.pfz");
        let pid = attacker.pid().to_string();
        let options = ["-o", text(&trace), "-p", &pid, "-d", "0.5"];
        run(pfrec(&[&options, more].concat())).ok().stderr
    }
}

/// How often somebody could look at the file before it is swapped.
const OPENS: std::ops::RangeInclusive<u32> = 1..=4;

#[test]
#[ignore = "needs root"]
fn a_file_that_is_swapped_for_one_of_roots_changes_nothing_in_that() {
    if !supported() {
        return;
    }
    let _alone = alone();
    let anywhere = ["--query", "usdt:pf:query_begin..query_end"];
    for options in [&[][..], &anywhere] {
        for opens in OPENS {
            let scene = Scene::new();
            let victim = start(plain(&scene.other, &["victim"]));
            until("the victim", || victim.stdout().contains("ready").then_some(()));
            let attacker = scene.attack(&scene.other, opens);
            scene.record(&attacker, options);
            drop(attacker);
            victim.signal(Signal::SIGTERM);
            let ended = victim.wait().ok();
            assert!(
                ended.stdout.contains("untouched"),
                "{options:?}, swapped after {opens} opens: {ended:?}"
            );
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_file_that_is_swapped_for_a_fifo_or_a_device_holds_nobody_up() {
    if !supported() {
        return;
    }
    let _alone = alone();
    for opens in OPENS {
        let scene = Scene::new();
        let fifo = scene.folder.path().join("fifo");
        mkfifo(&fifo, Mode::from_bits_truncate(0o666)).unwrap();
        for other in [fifo.as_path(), Path::new("/dev/zero")] {
            let attacker = scene.attack(other, opens);
            let began = Instant::now();
            scene.record(&attacker, &[]);
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{other:?} after {opens}"
            );
            drop(attacker);
            scene.reset();
        }
    }
}

/// By the system's own account of what was opened: strace follows pfrec and its children.
#[test]
#[ignore = "needs root"]
fn nothing_is_opened_but_the_file_that_is_mapped() {
    if !supported() {
        return;
    }
    if run(plain(Path::new("sh"), &["-c", "command -v strace"]))
        .status
        .code()
        != Some(0)
    {
        pf_checks::not_run("strace", "it is not installed");
        return;
    }
    let _alone = alone();
    for opens in [1, 2] {
        let scene = Scene::new();
        let fifo = scene.folder.path().join("fifo");
        mkfifo(&fifo, Mode::from_bits_truncate(0o666)).unwrap();
        for other in [fifo.as_path(), Path::new("/dev/zero"), &scene.other] {
            let attacker = scene.attack(other, opens);
            let (log, trace) = (scene.folder.path().join("log"), scene.folder.path().join("t.pfz"));
            let recorder = pfrec(&[
                "-o",
                text(&trace),
                "--stacks",
                "-p",
                &attacker.pid().to_string(),
                "-d",
                "0.3",
            ]);
            let mut strace = plain(Path::new("strace"), &["-f", "-y", "-o", text(&log)]);
            strace.args(["-e", "trace=open,openat,openat2,open_by_handle_at"]);
            strace.arg(recorder.get_program()).args(recorder.get_args());
            run(strace).ok();
            let lines = fs::read_to_string(&log).unwrap();
            let opened: Vec<&str> = lines.lines().filter(|line| !line.contains("O_PATH")).collect();
            assert!(
                opened.iter().any(|line| line.contains("/proc/self/fd/")),
                "{lines}"
            );
            let wrong = format!("<{}", text(other));
            assert!(
                !opened.iter().any(|line| line.contains(&wrong)),
                "{wrong} {opened:#?}"
            );
            drop(attacker);
            scene.reset();
        }
    }
}

/// The probes of the program itself are found all the same.
#[test]
#[ignore = "needs root"]
fn a_program_whose_file_is_gone_is_met_at_its_probes() {
    if !supported() {
        return;
    }
    let scene = Scene::new();
    let victim = start(plain(&scene.own, &["victim"]));
    until("the program", || victim.stdout().contains("ready").then_some(()));
    fs::remove_file(&scene.own).unwrap();
    let trace = scene.folder.path().join("t.pfz");
    let pid = victim.pid().to_string();
    let recorder = start(pfrec(&["-o", text(&trace), "-p", &pid, "-d", "0.3"]));
    recorder.wait().ok();
    victim.signal(Signal::SIGTERM);
    // Its code and its semaphore are those that are meant.
    assert!(victim.wait().ok().stdout.contains("touched"));
    assert!(queries(&trace).rows.is_empty());
}

/// Whoever calls sudo cannot attach to a program that he may not read, unless he says so.
#[test]
#[ignore = "needs root"]
fn what_nobody_asked_for_is_attached_only_where_the_invoker_may_read() {
    if !supported() {
        return;
    }
    let folder = disk_folder();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    let secret = folder.path().join("secret");
    fs::copy(program("mmap-workload"), &secret).unwrap();
    for (mode, options, is_met) in [
        (0o711, &[][..], false),
        (0o711, &["--query", "usdt:pf:query_begin..query_end"], true),
        (0o755, &[], true),
    ] {
        fs::set_permissions(&secret, Permissions::from_mode(mode)).unwrap();
        let slow = [
            "--anon",
            "--size",
            "8",
            "--count",
            "100000",
            "--delay",
            "1",
            "--query-size",
            "5",
        ];
        let walk = start(plain(&secret, &slow));
        until_walking(walk.pid());
        let trace = folder.path().join("t.pfz");
        let pid = walk.pid().to_string();
        let recording = ["-o", text(&trace), "-p", &pid, "-d", "0.5"];
        let mut recorder = pfrec(&[&recording, options].concat());
        recorder
            .env("SUDO_UID", NOBODY.to_string())
            .env("SUDO_GID", NOBODY.to_string());
        let ended = run(recorder).ok();
        drop(walk);
        let rows = queries(&trace).rows;
        assert_eq!(!rows.is_empty(), is_met, "{mode:o} {options:?}: {ended:?}");
    }
}

fn with_notes(folder: &Path, patch: impl FnOnce(&mut Vec<u8>, usize)) -> PathBuf {
    let built = compile("swapped", folder);
    let mut bytes = fs::read(&built).unwrap();
    let word = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let half =
        |bytes: &[u8], at: usize| usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()));
    let (sections, count, names) = (word(&bytes, 0x28), half(&bytes, 0x3c), half(&bytes, 0x3e));
    let names = word(&bytes, sections + names * 64 + 0x18);
    let header = (0..count)
        .map(|index| sections + index * 64)
        .find(|at| {
            let name = u32::from_le_bytes(bytes[*at..at + 4].try_into().unwrap()) as usize;
            bytes[names + name..].starts_with(b".note.stapsdt\0")
        })
        .unwrap();
    patch(&mut bytes, header);
    let patched = folder.join("patched");
    fs::write(&patched, &bytes).unwrap();
    fs::set_permissions(&patched, fs::metadata(&built).unwrap().permissions()).unwrap();
    patched
}

/// Asserts that pfrec says what is wrong, soon, and without much memory.
fn assert_refused(program: &Path, wanted: &str) {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let spec = format!("usdt:{}:pf:query_begin..query_end", text(program));
    let began = Instant::now();
    let refused = run(pfrec(&["-o", text(&trace), "--query", &spec, "--", "true"])).error(125);
    assert!(refused.contains(wanted), "{refused}");
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    // What nobody asked for is left alone, and the recording is made.
    let pid_of = start(plain(program, &["victim"]));
    until("the program", || pid_of.stdout().contains("ready").then_some(()));
    let options = ["-o", text(&trace), "-d", "0.2", "-p", &pid_of.pid().to_string()];
    let began = Instant::now();
    run(pfrec(&options)).ok();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[test]
#[ignore = "needs root"]
fn notes_of_gigabytes_are_not_read() {
    if !supported() {
        return;
    }
    let folder = disk_folder();
    let size = 3_u64 << 30;
    let patched = with_notes(folder.path(), |bytes, header| {
        bytes[header + 0x20..header + 0x28].copy_from_slice(&size.to_le_bytes());
    });
    fs::File::options()
        .write(true)
        .open(&patched)
        .unwrap()
        .set_len(size + (64 << 10))
        .unwrap();
    assert_refused(&patched, "its notes have more than 16 MiB");
}

#[test]
#[ignore = "needs root"]
fn more_places_of_a_probe_than_can_be_attached_to_are_refused() {
    if !supported() {
        return;
    }
    let folder = disk_folder();
    let patched = with_notes(folder.path(), |bytes, header| {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let (offset, size) = (word(header + 0x18) as usize, word(header + 0x20) as usize);
        let notes = bytes[offset..offset + size].to_vec();
        let added = bytes.len() as u64;
        let mut total = 0_u64;
        for step in 0..15_000_u64 {
            let mut more = notes.clone();
            // The address of each probe, behind the head of its note.
            for at in [20, size / 2 + 20] {
                let address = u64::from_le_bytes(more[at..at + 8].try_into().unwrap());
                more[at..at + 8].copy_from_slice(&(address + step % 1000).to_le_bytes());
            }
            total += more.len() as u64;
            bytes.extend(more);
        }
        bytes[header + 0x18..header + 0x20].copy_from_slice(&added.to_le_bytes());
        bytes[header + 0x20..header + 0x28].copy_from_slice(&total.to_le_bytes());
    });
    assert_refused(&patched, "places of one probe");
}
