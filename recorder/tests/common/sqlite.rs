//! A database of sqlite3 whose tables lie in turns in one file, one of them cold.

use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    eviction::{Held, evict_pages, hold, page_size, residency},
    process::run,
};

/// The shell, which Debian links with the system's library.
pub const SHELL: &str = "/usr/bin/sqlite3";
/// Tables of the database, each of [`ROUNDS`] runs of pages.
pub const TABLES: [&str; 3] = ["left_one", "cold_one", "right_one"];
const ROUNDS: usize = 8;
const ROWS_OF_ROUND: usize = 6000;

/// A database in a file.
pub struct Database {
    /// Where it is.
    pub path: PathBuf,
}

impl Database {
    /// Makes it in `folder`: about 75 MB, since some machines read ahead by 8 MB.
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

    /// Evicts the pages of `table` and holds the rest in memory; returns those of its pages that went.
    pub fn chill(&self, table: &str) -> (BTreeSet<usize>, Held) {
        let pages = self.pages(table);
        let others: BTreeSet<usize> = (0..residency(&self.path).len())
            .filter(|page| !pages.contains(page))
            .collect();
        let held = hold(&self.path, &runs(&others));
        evict_pages(&self.path, &runs(&pages));
        let resident = residency(&self.path);
        assert!(
            others.iter().all(|page| resident[*page]),
            "the other tables are warm"
        );
        let cold: BTreeSet<usize> = pages.iter().copied().filter(|page| !resident[*page]).collect();
        let (went, all) = (cold.len(), pages.len());
        assert!(went * 10 >= all * 8, "{went} of {all} pages went");
        (cold, held)
    }

    /// Holds all of it in memory.
    pub fn warm(&self) -> Held {
        let all = 0..residency(&self.path).len();
        hold(&self.path, std::slice::from_ref(&all))
    }

    /// A script that reads rows of each table here and there, in mapped memory.
    pub fn script(&self, folder: &Path) -> PathBuf {
        let mut sql = "PRAGMA mmap_size=1000000000;\n".to_owned();
        let rows = ROUNDS * ROWS_OF_ROUND;
        for table in TABLES {
            sql += &format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) \
                 SELECT '{table}', sum((SELECT length(payload) FROM {table} WHERE id = i * 7919 % {rows} + 1)) FROM n;\n"
            );
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
