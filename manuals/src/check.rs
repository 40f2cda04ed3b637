//! For the tests of the programs: what their pages and completions lack, and what a formatter says of the pages.

use crate::{PAGES, write};
use clap::Command;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;

/// Writes everything under `prefix` and lists what is missing; empty when every verb and every long option is everywhere.
///
/// # Errors
/// When something cannot be written or read back.
pub fn complaints(command: &Command, prefix: &Path) -> io::Result<Vec<String>> {
    let written = write(command, prefix)?;
    let mut built = command.clone().disable_help_subcommand(true);
    built.build();
    let mut complaints = Vec::new();
    for path in &written {
        let text = fs::read_to_string(path)?;
        let shown = path.display();
        if path.starts_with(prefix.join(PAGES)) {
            let stem = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let pages = std::iter::once(&built).chain(built.get_subcommands());
            let page = pages
                .into_iter()
                .find(|page| page.get_display_name().unwrap_or(page.get_name()) == stem);
            let Some(page) = page else {
                complaints.push(format!("{shown}: of nothing"));
                continue;
            };
            // The formatter's minus.
            let text = text.replace("\\-", "-");
            complaints.extend(missing(
                page,
                |option| text.contains(&format!("--{option}")),
                &shown.to_string(),
            ));
            for verb in page.get_subcommands().filter(|verb| !verb.is_hide_set()) {
                if !text.contains(verb.get_name()) {
                    complaints.push(format!("{shown}: no {}", verb.get_name()));
                }
            }
        } else {
            let is_fish = path.extension().is_some_and(|extension| extension == "fish");
            let has = |option: &str| {
                text.contains(&format!("--{option}")) || is_fish && text.contains(&format!("-l {option} "))
            };
            for each in std::iter::once(&built).chain(built.get_subcommands()) {
                if !text.contains(each.get_name()) {
                    complaints.push(format!("{shown}: no {}", each.get_name()));
                }
                complaints.extend(missing(each, has, &shown.to_string()));
            }
        }
    }
    complaints.extend(formatter_says(prefix)?);
    Ok(complaints)
}

fn missing(command: &Command, has: impl Fn(&str) -> bool, place: &str) -> Vec<String> {
    let options = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let options = options.filter_map(|argument| argument.get_long());
    let lacking = options.filter(|option| !has(option));
    lacking
        .map(|option| format!("{place}: no --{option} of {}", command.get_name()))
        .collect()
}

/// Warnings and errors about the pages, from mandoc or groff; tells it when neither is there.
fn formatter_says(prefix: &Path) -> io::Result<Vec<String>> {
    let formatters: [(&str, &[&str]); 2] = [
        ("mandoc", &["-T", "lint", "-W", "error"]),
        ("groff", &["-Kutf8", "-man", "-Tutf8", "-ww", "-z"]),
    ];
    for (name, options) in formatters {
        let mut lines = Vec::new();
        for page in fs::read_dir(prefix.join(PAGES))? {
            let mut formatter = std::process::Command::new(name);
            let output = match formatter
                .args(options)
                .arg(page?.path())
                .stdin(Stdio::null())
                .output()
            {
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                other => other?,
            };
            let said = [output.stdout, output.stderr].concat();
            lines.extend(String::from_utf8_lossy(&said).lines().map(str::to_owned));
            if !output.status.success() && lines.is_empty() {
                lines.push(format!("{name}: {}", output.status));
            }
        }
        if is_there(name) {
            return Ok(lines);
        }
    }
    pf_checks::not_run("man-pages", "there is neither mandoc nor groff to format them");
    Ok(Vec::new())
}

fn is_there(program: &str) -> bool {
    let mut command = std::process::Command::new(program);
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok()
}
