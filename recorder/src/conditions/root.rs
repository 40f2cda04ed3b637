//! Small files of the kernel's. What is read is bounded; what cannot be read is not there.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use crate::files::open::{self, Pinned};

/// Bytes of a file that are read.
const BYTES: u64 = 64 << 10;

/// The folder that `/proc` and `/sys` are in.
#[derive(Clone, Debug)]
pub struct Root {
    folder: PathBuf,
}

impl Root {
    /// That of this machine.
    #[must_use]
    pub fn of_machine() -> Self {
        Self { folder: "/".into() }
    }

    /// A made-up one.
    #[cfg(test)]
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// A file by its path, which begins with `/`.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<String> {
        self.read_to(path, BYTES)
    }

    /// The first `limit` bytes of a file.
    #[must_use]
    pub fn read_to(&self, path: &str, limit: u64) -> Option<String> {
        text(open::regular_itself(self.path(Path::new(path))).ok()?, limit)
    }

    /// A folder by a path in which nothing is a link.
    #[must_use]
    pub fn folder(&self, path: &Path) -> Option<File> {
        open::folder_without_links(&self.path(path)).ok()
    }

    fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// A file by its name in a folder, if it is no link.
#[must_use]
pub fn read_in(folder: &File, name: &str) -> Option<String> {
    let pinned = Pinned::in_folder(folder, Path::new(name)).ok()?;
    text(pinned.open().ok()?, BYTES)
}

fn text(file: File, limit: u64) -> Option<String> {
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What follows the name of a figure in the line that begins with it.
#[must_use]
pub fn figure<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (first, rest) = line.split_once([':', ' ', '\t'])?;
        (first == name).then(|| rest.trim())
    })
}

/// The word in brackets, which is the one in force; without brackets the first line.
#[must_use]
pub fn chosen(text: &str) -> &str {
    let after = text.split_once('[').map(|(_, after)| after);
    let word = after.and_then(|after| after.split_once(']'));
    word.map_or_else(|| text.lines().next().unwrap_or_default(), |(word, _)| word)
}

/// A name as the kernel escapes it in its tables: `\040` and its like stand for spaces and line feeds.
#[must_use]
pub fn unescaped(name: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(name.to_owned(), |name, (escaped, is)| name.replace(escaped, is))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{fs, os::unix::fs::symlink};

    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    #[test]
    fn files_are_read_to_a_bound_and_a_link_or_a_fifo_is_not_there() {
        let place = tempfile::tempdir().unwrap();
        let root = Root::at(place.path());
        fs::write(place.path().join("long"), vec![b'x'; 200_000]).unwrap();
        fs::write(place.path().join("bytes"), b"a\xff").unwrap();
        symlink("bytes", place.path().join("link")).unwrap();
        mkfifo(&place.path().join("fifo"), Mode::S_IRWXU).unwrap();
        assert_eq!(root.read("/long").unwrap().len(), 65_536);
        assert_eq!(root.read("/bytes").unwrap(), "a\u{fffd}");
        let folder = root.folder(Path::new("/")).unwrap();
        for name in ["link", "fifo", "missing"] {
            assert_eq!(root.read(&format!("/{name}")), None, "{name}");
            assert_eq!(read_in(&folder, name), None, "{name}");
        }
        assert_eq!(read_in(&folder, "bytes").unwrap(), "a\u{fffd}");
        assert_eq!(read_in(&folder, "../bytes"), None);
    }

    #[test]
    fn figures_and_words_in_force_are_found() {
        let text = "MemTotal:   12 kB\nfile 3\nfile_mapped 4\nsome avg10=0.00 total=1\n";
        assert_eq!(figure(text, "MemTotal"), Some("12 kB"));
        assert_eq!(figure(text, "file"), Some("3"));
        assert_eq!(figure(text, "some"), Some("avg10=0.00 total=1"));
        assert_eq!(figure(text, "mapped"), None);
        assert_eq!(chosen("always [madvise] never\n"), "madvise");
        assert_eq!(chosen("none\n"), "none");
        assert_eq!(chosen("[half"), "[half");
        assert_eq!(unescaped("/a\\040b\\134x"), "/a b\\x");
    }
}
