//! The documents name every option and every verb that there is, by what `--help` lists.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeSet, fs, process::Command};

mod common;

/// Where the options of a program are explained.
const DOCUMENTS: [(&str, &[&str]); 4] = [
    ("pfrec", &["docs/recording.md", "docs/live.md"]),
    ("pfanalyze", &["docs/analyzing.md"]),
    ("mmap-workload", &["docs/recording.md"]),
    ("data-generator", &["docs/recording.md"]),
];

fn help(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(common::program(program))
        .args(arguments)
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn read(document: &str) -> String {
    fs::read_to_string(common::package().join("..").join(document)).unwrap()
}

/// `--from`, `--to`: each of them whole.
fn options(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|word| word.len() > 3 && word.starts_with("--"))
        .collect()
}

/// The words in front of the lines under `Commands:`.
fn verbs(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty());
    let verbs = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    verbs.filter(|verb| !verb.is_empty() && *verb != "help").collect()
}

#[test]
fn every_option_of_every_program_is_in_its_document() {
    for (program, documents) in DOCUMENTS {
        let documented: String = documents.iter().map(|document| read(document)).collect();
        let documented = options(&documented);
        let general = help(program, &[]);
        let mut calls = vec![vec![]];
        calls.extend(verbs(&general).into_iter().map(|verb| vec![verb]));
        for call in calls {
            let help = help(program, &call);
            let missing: Vec<_> = options(&help).difference(&documented).copied().collect();
            assert!(
                missing.is_empty(),
                "{program} {}: {missing:?} missing in {}",
                call.join(" "),
                documents.join(", ")
            );
        }
    }
}

#[test]
fn every_verb_is_in_the_readme_and_in_its_document() {
    let general = help("pfanalyze", &[]);
    let verbs = verbs(&general);
    assert!(verbs.len() > 10, "{verbs:?}");
    for document in ["README.md", "docs/analyzing.md"] {
        let text = read(document);
        let missing: Vec<_> = verbs
            .iter()
            .filter(|verb| {
                !text.contains(&format!("`{verb}")) && !text.contains(&format!("pfanalyze {verb} "))
            })
            .collect();
        assert!(missing.is_empty(), "{missing:?} missing in {document}");
    }
}

/// What is named in a document and by no program is a leftover.
#[test]
fn what_the_documents_call_an_option_is_one() {
    for (program, documents) in DOCUMENTS.iter().take(2) {
        let general = help(program, &[]);
        let mut known: Vec<String> = verbs(&general)
            .into_iter()
            .map(|verb| help(program, &[verb]))
            .collect();
        known.push(general.clone());
        known.extend(["mmap-workload", "data-generator"].map(|other| help(other, &[])));
        let known = known.join("\n");
        let known = options(&known);
        for document in *documents {
            let text = read(document);
            // The first cell of a row of a table of options.
            let rows = text.lines().filter(|line| line.starts_with("| `-"));
            for row in rows {
                let cell = row.split(" | ").next().unwrap();
                let unknown: Vec<_> = options(cell).difference(&known).copied().collect();
                assert!(unknown.is_empty(), "{document}: {unknown:?} in {cell}");
            }
        }
    }
}
