//! Faults that the kernel takes for itself, in memory the program does not touch: rows of their own where the
//! backend sees them, and counted to the fault where it does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{
    disk_folder, pfanalyze, pfrec,
    process::run,
    programs::compile,
    text,
    touched::{Recorded, file_of_pages, record},
    trace::{assert_whole, contents, faults, sight},
};

const PAGES: u64 = 64;

struct Act<'a> {
    name: &'a str,
    address: u64,
    bytes: u64,
    faults: u64,
}

fn act(line: &str) -> Act<'_> {
    let fields: Vec<&str> = line.split(',').collect();
    let number = |index: usize| fields[index].parse().unwrap();
    Act {
        name: fields[0],
        address: number(1),
        bytes: number(2),
        faults: number(3),
    }
}

/// Origins of all rows in the memory of `act`.
fn origins<'a>(act: &Act<'_>, recorded: &'a Recorded) -> Vec<&'a str> {
    let range = act.address..act.address + act.bytes;
    let rows = recorded
        .faults
        .iter()
        .filter(|fault| range.contains(&fault.address));
    rows.map(|fault| fault.origin.as_str()).collect()
}

#[test]
#[ignore = "needs root"]
fn faults_the_kernel_takes_for_itself_are_rows_of_their_origin_or_counted_as_hidden() {
    let folder = disk_folder();
    let file = folder.path().join("direct");
    let recorded = record("kernel_faults", &[], &[&PAGES.to_string(), text(&file)]);
    let acts: Vec<Act<'_>> = recorded.stdout.lines().map(act).collect();
    let names: Vec<&str> = acts.iter().map(|act| act.name).collect();
    assert!(
        names.starts_with(&["mlock"]) && names.ends_with(&["remote"]),
        "{names:?}"
    );
    for act in &acts {
        assert!(act.faults >= PAGES, "{}: {}", act.name, act.faults);
        let origins = origins(act, &recorded);
        if recorded.sight.gup {
            let expected = if act.name == "remote" { "gup_remote" } else { "gup" };
            assert_eq!(origins, [expected; PAGES as usize], "{}", act.name);
        } else {
            assert!(origins.is_empty(), "{}: {origins:?}", act.name);
        }
    }
    if !recorded.sight.gup {
        let expected = acts.len() as u64 * PAGES;
        assert!(recorded.hidden >= expected, "{} of {expected}", recorded.hidden);
    }
}

#[test]
#[ignore = "needs root"]
fn major_faults_that_no_event_tells_of_are_told_by_number() {
    let folder = disk_folder();
    let (cold, trace) = (folder.path().join("cold"), folder.path().join("t.pfz"));
    let program = compile("cold_remote", folder.path());
    file_of_pages(&cold, PAGES as usize);
    let ended = run(pfrec(&["-o", text(&trace), "--", text(&program), text(&cold)])).ok();
    let majors: u64 = ended.stdout.trim().parse().unwrap();
    assert!(majors >= PAGES / 2, "{majors}: the file was not cold");
    assert_whole(&trace, &ended.stderr);
    let hidden = contents(&trace).hidden_majors.unwrap();
    let report = run(pfanalyze(&[text(&trace)])).ok().stdout;
    let report = report.split_whitespace().collect::<Vec<_>>().join(" ");
    if sight(&trace).gup {
        let rows = faults(&trace, &[]);
        let remote = rows
            .iter()
            .filter(|fault| fault.origin == "gup_remote" && fault.major);
        assert_eq!(remote.count() as u64, majors);
        assert!(
            hidden < majors && !report.contains("were only counted"),
            "{hidden}: {report}"
        );
    } else {
        // Others are of the exec, and not more than a few.
        assert!((majors..majors + 8).contains(&hidden), "{hidden} of {majors}");
        assert!(
            ended.stderr.contains(&format!("{hidden} of them MAJOR")),
            "{}",
            ended.stderr
        );
        assert!(
            report.contains(&format!("{hidden} more major faults were only counted")),
            "{report}"
        );
        assert!(
            report.contains(&format!("hidden ({hidden} of them MAJOR)")),
            "{report}"
        );
    }
}
