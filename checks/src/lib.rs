//! How tests tell of a check that could not be made where they ran: it is no failure of the program, and must not
//! look like a success either. What libtest shows of a test that passed is nothing, so it also goes to the file that
//! `PFREC_NOT_RUN_FILE` names, which `scripts/test.sh` reads at its end: what is in it and not allowed is a failure.
//! Names that begin with `backend/` are of checks that only want another kernel; they are made in the virtual machines.

use std::{
    env,
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
};

/// The variable with the path of the file.
const FILE: &str = "PFREC_NOT_RUN_FILE";

/// Tells that the check `name` was not made, and why. A name is one word, since names are listed to allow them.
///
/// # Panics
/// When it cannot be written down: then nobody would hear of it.
pub fn not_run(name: &str, reason: &str) {
    eprintln!("NOT RUN: {name}: {reason}");
    let written = match env::var_os(FILE) {
        Some(file) => note(Path::new(&file), name, reason),
        None => Ok(()),
    };
    assert!(written.is_ok(), "NOT RUN, and not noted: {name}: {written:?}");
}

/// Adds the line in one piece: tests run side by side.
fn note(file: &Path, name: &str, reason: &str) -> io::Result<()> {
    let word = |character: char| character.is_ascii_alphanumeric() || "-_/.@".contains(character);
    if name.is_empty() || !name.chars().all(word) {
        let problem = format!("no word to be listed: {name:?}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = format!("{name}: {reason}\n");
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)?
        .write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::note;
    use std::fs;

    #[test]
    fn each_check_is_a_line_of_its_own_whatever_its_reason_holds() {
        let file = std::env::temp_dir().join(format!("pf-checks-{}", std::process::id()));
        note(&file, "cgroup-v1", "no controller\ncan be mounted").unwrap();
        note(&file, "backend/fentry", "EPERM").unwrap();
        let written = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(
            written,
            "cgroup-v1: no controller can be mounted\nbackend/fentry: EPERM\n"
        );
    }

    #[test]
    fn a_name_that_could_not_be_allowed_is_refused() {
        let file = std::env::temp_dir().join(format!("pf-checks-none-{}", std::process::id()));
        for name in ["", "two words", "a:b"] {
            assert!(note(&file, name, "because").is_err(), "{name}");
        }
        assert!(!file.exists());
    }
}
