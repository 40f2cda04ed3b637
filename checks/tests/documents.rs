//! The documents: short where they must be, wrapped, with links and paths that lead somewhere, and with figures of one
//! source.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Characters of a line of prose.
const WIDTH: usize = 100;
/// Documents with a number of lines that they must not exceed.
const LENGTHS: [(&str, usize); 2] = [("README.md", 180), ("ARCHITECTURE.md", 200)];
/// Folders that hold files of the repository, as paths in documents begin.
const FOLDERS: [&str; 12] = [
    "analyzer", "bpf", "checks", "docs", "formats", "manuals", "notation", "printing", "recorder", "samples",
    "scripts", "workload",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// All documents, by their paths from the root.
fn documents() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if name.ends_with(".md") {
                let relative = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                found.push((relative, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 10, "{} documents", found.len());
    found.sort();
    found
}

/// Lines that are prose, with their numbers: no code, no table.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut is_code = false;
    let mut lines = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        let is_indented = line.starts_with("    ") || line.starts_with('\t');
        if !is_fence && !is_code && !is_indented && !line.starts_with('|') {
            lines.push((number, line));
        }
    }
    lines
}

/// `[text](target)`, with the text over the lines that it takes.
fn links(text: &str) -> Vec<String> {
    let text: Vec<&str> = prose(text)
        .into_iter()
        .map(|(_, line)| line)
        .chain(text.lines().filter(|line| line.starts_with('|')))
        .collect();
    let text = text.join("\n");
    let targets = text.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .collect()
}

/// The anchors of a document's headings, as the web shows them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).into_iter().filter_map(|(_, line)| {
        let heading = line.trim_start_matches('#');
        (heading.len() < line.len()).then_some(heading.trim())
    });
    let anchor = |heading: &str| -> String {
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn the_first_documents_stay_short() {
    for (document, most) in LENGTHS {
        let lines = fs::read_to_string(root().join(document)).unwrap().lines().count();
        assert!(lines <= most, "{document} has {lines} lines, more than {most}");
    }
}

#[test]
fn prose_wraps_at_a_hundred_characters() {
    for (document, text) in documents() {
        // A link or a path that is longer cannot be wrapped.
        let long: Vec<_> = prose(&text)
            .into_iter()
            .filter(|(_, line)| {
                line.chars().count() > WIDTH && line.trim_start_matches(['-', ' ']).contains(' ')
            })
            .collect();
        assert!(long.is_empty(), "{document}: {long:#?}");
    }
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut wrong = Vec::new();
    for (document, text) in documents() {
        let folder = root().join(&document).parent().unwrap().to_owned();
        for link in links(&text) {
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => root().join(&document),
                path => folder.join(path),
            };
            if !target.exists() {
                wrong.push(format!("{document}: {link}"));
            } else if !anchor.is_empty() && !anchors(&fs::read_to_string(&target).unwrap()).contains(anchor) {
                wrong.push(format!("{document}: {link}: no such heading"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Ends of names of files with source.
const SOURCES: [&str; 5] = [".rs", ".h", ".c", ".sh", ".py"];

/// All files in the folders, by their paths from the root.
fn files() -> Vec<String> {
    let mut found: Vec<String> = FOLDERS.iter().map(|folder| format!("/{folder}")).collect();
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let relative = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            }
            found.push(format!("/{relative}"));
        }
    }
    found
}

/// `scripts/vm.sh`, `analyzer/src/engine/runs.rs` or, shorter, `engine/runs.rs` in a document is a file; NAME stands for one
/// to come.
#[test]
fn every_path_that_a_document_names_is_there() {
    let files = files();
    let mut wrong = Vec::new();
    for (document, text) in documents() {
        // What was is told there; the examples there are of files of users.
        if matches!(&*document, "CHANGELOG.md" | "docs/queries.md") {
            continue;
        }
        for path in text.split('`').skip(1).step_by(2).flat_map(str::split_whitespace) {
            let folder = path.split('/').next().unwrap();
            let is_plain = path
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            let is_ours = path.contains('/') && FOLDERS.contains(&folder);
            let is_source = SOURCES
                .iter()
                .any(|end| path.strip_suffix(end).is_some_and(|stem| !stem.is_empty()));
            if !is_plain || path.contains("NAME") || !(is_ours || is_source) {
                continue;
            }
            let end = format!("/{}", path.trim_end_matches('/'));
            if !files.iter().any(|file| file.ends_with(&end)) {
                wrong.push(format!("{document}: {path}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The report of README is that of docs/report.md, with some lines left out, and says where.
#[test]
fn the_output_in_the_readme_is_a_part_of_a_real_one() {
    let block = |document: &str| -> Vec<String> {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let (_, rest) = text.split_once("```text\n").unwrap();
        let (block, _) = rest.split_once("```").unwrap();
        block.lines().map(str::to_owned).collect()
    };
    let whole = block("docs/report.md");
    let mut rest = whole.iter();
    let mut left_out = true;
    for line in block("README.md") {
        if line == "[…]" {
            left_out = true;
        } else if left_out {
            assert!(
                rest.any(|other| *other == line),
                "not in docs/report.md, or not in this order: {line}"
            );
            left_out = false;
        } else {
            assert_eq!(rest.next(), Some(&line), "left out without a word");
        }
    }
    assert!(
        left_out || rest.next().is_none(),
        "the end is left out without a word"
    );
}

#[test]
fn every_document_is_reached_from_the_readme() {
    let all = documents();
    let mut reached: BTreeSet<String> = BTreeSet::new();
    let mut next = vec!["README.md".to_owned()];
    while let Some(document) = next.pop() {
        if !reached.insert(document.clone()) {
            continue;
        }
        let folder = root().join(&document).parent().unwrap().to_owned();
        let (_, text) = all.iter().find(|(name, _)| *name == document).unwrap();
        for link in links(text) {
            let path = link.split('#').next().unwrap();
            let Ok(target) = folder.join(path).canonicalize() else {
                continue;
            };
            let target = if target.is_dir() {
                target.join("README.md")
            } else {
                target
            };
            if let Ok(relative) = target.strip_prefix(root()) {
                let relative = relative.to_str().unwrap();
                next.extend(
                    all.iter()
                        .map(|(name, _)| name.clone())
                        .filter(|name| name == relative),
                );
            }
        }
    }
    let missed: Vec<_> = all
        .iter()
        .map(|(name, _)| name)
        .filter(|name| !reached.contains(*name))
        .collect();
    assert!(missed.is_empty(), "no link leads to {missed:?}");
}
