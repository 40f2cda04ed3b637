//! README.md lists every option there is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

mod common;

#[test]
fn every_option_of_every_program_is_in_the_readme() {
    let readme = include_str!("../../README.md");
    let verbs = [
        "threads",
        "files",
        "regions",
        "percentiles",
        "heatmap",
        "timeline",
        "memory",
        "queries",
        "stacks",
        "events",
        "sql",
        "diff",
        "info",
        "verify",
        "repair",
    ];
    let mut calls = vec![
        vec!["pfrec"],
        vec!["pfanalyze"],
        vec!["mmap-workload"],
        vec!["data-generator"],
    ];
    calls.extend(verbs.map(|verb| vec!["pfanalyze", verb]));
    for call in calls {
        let output = Command::new(common::program(call[0]))
            .args(&call[1..])
            .arg("--help")
            .output()
            .unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let options = help
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
            .filter(|word| word.len() > 3 && word.starts_with("--"));
        for option in options {
            assert!(
                readme.contains(option),
                "README.md does not tell of {option} of {}",
                call.join(" ")
            );
        }
    }
}
