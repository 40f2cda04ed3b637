//! A database of sqlite3 whose tables lie in turns in one file, one of them cold.

use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    eviction::{evict_pages, page_size, residency, warm},
    process::run,
};

/// The shell, which Debian links with the system's library.
pub const SHELL: &str = "/usr/bin/sqlite3";
/// Tables of the database, each of [`ROUNDS`] runs of pages.
pub const TABLES: [&str; 3] = ["left_one", "cold_one", "right_one"];
const ROUNDS: usize = 8;
const ROWS_OF_ROUND: usize = 1500;

/// A database in a file.
pub struct Database {
    /// Where it is.
    pub path: PathBuf,
}

impl Database {
    /// Makes it in `folder`: about 20 MB.
    pub fn make(folder: &Path) -> Self {
        let database = Self {
            path: folder.join("tables.db"),
        };
        let mut sql = format!("PRAGMA page_size={}; PRAGMA journal_mode=OFF;", page_size());
        for table in TABLES {
            sql += &format!("CREATE TABLE {table}(id INTEGER PRIMARY KEY, payload TEXT);");
        }
        for _ in 0..ROUNDS {
            for table in TABLES {
                sql += &format!(
                    "INSERT INTO {table}(payload) WITH RECURSIVE n(i) AS \
                     (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS_OF_ROUND}) \
                     SELECT hex(randomblob(250)) FROM n;"
                );
            }
        }
        database.ask(&sql);
        database
    }

    /// What the shell prints for `sql`.
    pub fn ask(&self, sql: &str) -> String {
        let mut command = Command::new(SHELL);
        command
            .args(["-batch", "-init", "/dev/null"])
            .arg(&self.path)
            .arg(sql);
        run(command).ok().stdout
    }

    /// Numbers of the pages of `table`, from 0 as in the file.
    pub fn pages(&self, table: &str) -> BTreeSet<usize> {
        let listed = self.ask(&format!("SELECT pageno FROM dbstat WHERE name = '{table}'"));
        let pages = listed.lines().map(|line| line.parse::<usize>().unwrap() - 1);
        pages.collect()
    }

    /// Evicts the pages of `table` and leaves the rest in memory; returns those of its pages that went.
    pub fn chill(&self, table: &str) -> BTreeSet<usize> {
        let pages = self.pages(table);
        warm(&self.path);
        evict_pages(&self.path, &runs(&pages));
        let resident = residency(&self.path);
        let (mut cold, mut warm_elsewhere) = (BTreeSet::new(), 0);
        for (page, resident) in resident.iter().enumerate() {
            if !resident {
                cold.insert(page);
            } else if !pages.contains(&page) {
                warm_elsewhere += 1;
            }
        }
        assert!(
            cold.is_subset(&pages),
            "the others are warm: {warm_elsewhere} pages"
        );
        assert!(
            cold.len() * 10 >= pages.len() * 8,
            "{} of {} pages went",
            cold.len(),
            pages.len()
        );
        cold
    }

    /// A script that reads all of each table, in mapped memory.
    pub fn script(&self, folder: &Path) -> PathBuf {
        let mut sql = "PRAGMA mmap_size=1000000000;\n".to_owned();
        for table in TABLES {
            sql += &format!("SELECT '{table}', sum(length(payload)) FROM {table};\n");
        }
        let script = folder.join("read.sql");
        fs::write(&script, sql).unwrap();
        script
    }
}

/// Consecutive pages, joined.
fn runs(pages: &BTreeSet<usize>) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for &page in pages {
        match runs.last_mut() {
            Some(run) if run.end == page => run.end += 1,
            _ => runs.push(page..page + 1),
        }
    }
    runs
}
