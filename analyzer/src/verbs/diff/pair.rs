//! Which name in A is which in B. Names that are in both are the same; files that are in one alone may be the same under
//! another path, and are paired where only one other can be meant.

use std::collections::{BTreeMap, BTreeSet};

/// Why two files of different paths are taken for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Name and mapped size agree, the folder does not.
    BaseName,
    /// Folder and mapped size agree.
    Folder,
    /// Each recording has one file that the other has not.
    OnlyOne,
}

impl Reason {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::BaseName => "same name and mapped size",
            Self::Folder => "same folder and mapped size",
            Self::OnlyOne => "the only file of either that the other has not",
        }
    }
}

/// A path of A, the path of B, and why.
pub type Pair = (String, String, Reason);

/// Pairs files of different paths; `a` and `b` give the mapped size of each path, 0 where it is not known. What stands for
/// nameless memory, `[heap]`, is no path.
#[must_use]
pub fn pair(a: &BTreeMap<String, u64>, b: &BTreeMap<String, u64>) -> Vec<Pair> {
    let alone = |own: &BTreeMap<String, u64>, other: &BTreeMap<String, u64>| -> BTreeSet<(String, u64)> {
        let paths = own.iter().filter(|(path, _)| path.starts_with('/'));
        paths
            .filter(|(path, _)| !other.contains_key(*path))
            .map(|(path, &size)| (path.clone(), size))
            .collect()
    };
    let (mut in_a, mut in_b) = (alone(a, b), alone(b, a));
    let mut pairs = Vec::new();
    for (reason, key) in [
        (
            Reason::BaseName,
            (|path, size| Some((base_name(path).to_owned(), size))) as Key,
        ),
        (Reason::Folder, |path, size| {
            (size > 0).then(|| (folder(path).to_owned(), size))
        }),
        (Reason::OnlyOne, |_, _| Some((String::new(), 0))),
    ] {
        let (keys_a, keys_b) = (by_key(&in_a, key), by_key(&in_b, key));
        for (key, of_a) in keys_a {
            let Some(of_b) = keys_b.get(&key) else { continue };
            if let ([from], [to]) = (of_a.as_slice(), of_b.as_slice()) {
                pairs.push((from.0.clone(), to.0.clone(), reason));
                in_a.remove(from);
                in_b.remove(to);
            }
        }
    }
    pairs
}

type Key = fn(&str, u64) -> Option<(String, u64)>;
type Keyed = BTreeMap<(String, u64), Vec<(String, u64)>>;

fn by_key(files: &BTreeSet<(String, u64)>, key: Key) -> Keyed {
    let mut keyed = Keyed::new();
    for (path, size) in files {
        if let Some(key) = key(path, *size) {
            keyed.entry(key).or_default().push((path.clone(), *size));
        }
    }
    keyed
}

fn base_name(path: &str) -> &str {
    // The kernel adds it to the path of what is no longer there.
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    path.rsplit('/').next().unwrap_or(path)
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paired(a: &[(&'static str, u64)], b: &[(&'static str, u64)]) -> Vec<(String, String, Reason)> {
        let sizes = |files: &[(&str, u64)]| {
            files
                .iter()
                .map(|(path, size)| ((*path).to_owned(), *size))
                .collect()
        };
        pair(&sizes(a), &sizes(b))
    }

    #[test]
    fn a_file_of_the_same_path_is_never_paired_with_another() {
        assert_eq!(
            paired(&[("/x", 1), ("[heap]", 1)], &[("/x", 2), ("[stack]", 1)]),
            []
        );
    }

    #[test]
    fn name_and_size_come_first_then_folder_and_size_then_the_only_one() {
        let pairs = paired(
            &[("/a/data.bin", 10), ("/tmp/w-1.tmp", 20), ("/lib/z.so.1", 30)],
            &[("/b/data.bin", 10), ("/tmp/w-2.tmp", 20), ("/usr/y.so", 31)],
        );
        let pair = |a: &str, b: &str, reason| (a.to_owned(), b.to_owned(), reason);
        assert_eq!(
            pairs,
            [
                pair("/a/data.bin", "/b/data.bin", Reason::BaseName),
                pair("/tmp/w-1.tmp", "/tmp/w-2.tmp", Reason::Folder),
                pair("/lib/z.so.1", "/usr/y.so", Reason::OnlyOne),
            ]
        );
    }

    #[test]
    fn where_two_can_be_meant_none_is_paired() {
        let pairs = paired(
            &[("/tmp/1", 20), ("/tmp/2", 20)],
            &[("/tmp/3", 20), ("/tmp/4", 20)],
        );
        assert_eq!(pairs, []);
    }
}
