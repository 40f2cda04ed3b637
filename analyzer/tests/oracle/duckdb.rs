//! The second recomputation: DuckDB, in a Python environment of its own. The texts are in `python/questions.py`.

use crate::traces;
use std::path::{Path, PathBuf};
use std::process::Command;

/// As scripts/setup_environment.sh makes it.
const ENVIRONMENT: &str = ".cache/pfrec/test-venv/bin/python";

/// A Python that has DuckDB, or why there is none.
fn python() -> Result<PathBuf, String> {
    let given = std::env::var_os("PFREC_TEST_PYTHON").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(ENVIRONMENT));
    let python = given.or_else(home).ok_or("HOME is not set")?;
    let output = Command::new(&python).args(["-c", "import duckdb"]).output();
    match output {
        Ok(output) if output.status.success() => Ok(python),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(format!("{}: {error}", python.display())),
    }
}

#[test]
#[ignore = "needs DuckDB for Python, which scripts/setup_environment.sh --dev installs"]
fn duckdb_gives_the_numbers_of_every_verb() {
    let python = python().unwrap_or_else(|reason| {
        panic!("NOT RUN: no DuckDB here (scripts/setup_environment.sh --dev installs it): {reason}")
    });
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/python/recompute.py");
    let output = Command::new(python)
        .arg("-B")
        .arg(script)
        .arg(env!("CARGO_BIN_EXE_pfanalyze"))
        .args(
            traces::all(folder.path())
                .iter()
                .filter(|path| path.file_stem().is_none_or(|stem| stem != traces::TWICE)),
        )
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    println!("{stdout}");
}
