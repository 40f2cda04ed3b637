//! `--file`: whether a fault is on the file that is asked for, whichever of its numbers the kernel shows.
//!
//! On an overlay one file has two: those of the overlay, in maps and records, and those of the layer underneath, which
//! the probes see in the mapping itself. Either path may be asked for, and stands for the same pages.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use pf_bpf::Vma;
use pf_formats::{ObjectId, ObjectKind};

use super::{dictionary::Dictionary, files::FileIdentity, locate};

/// The file whose faults are wanted.
#[derive(Clone, Debug)]
pub struct Only {
    path: PathBuf,
    /// As the kernel shows a mapping of it.
    shown: Vec<FileIdentity>,
    /// Objects of other numbers that the probes saw to be this file.
    underneath: HashSet<ObjectId>,
}

impl Only {
    /// `path` is what was asked for, `shown` how the kernel tells of a mapping of it.
    #[must_use]
    pub fn new(path: &Path, shown: Vec<FileIdentity>) -> Self {
        Self {
            path: path.to_owned(),
            shown,
            underneath: HashSet::new(),
        }
    }

    /// As the kernel shows a mapping of it.
    #[must_use]
    pub fn shown(&self) -> &[FileIdentity] {
        &self.shown
    }

    /// Whether a fault is on it: `object` is what the session found, `vma` what the probe saw.
    pub fn wants(&mut self, dictionary: &Dictionary, object: ObjectId, vma: Option<Vma>) -> bool {
        let is_shown = |file: Option<FileIdentity>| file.is_some_and(|file| self.shown.contains(&file));
        if is_shown(dictionary.identity(object)) {
            return true;
        }
        match vma {
            None => self.underneath.contains(&object),
            Some(vma) if is_shown(locate::identity_of(vma)) => {
                self.underneath.insert(object);
                true
            }
            Some(_) => false,
        }
    }

    /// What is said when no fault was on it: a copy of the file may have been meant, as an overlay makes one when
    /// the file is written to.
    #[must_use]
    pub fn none_found(&self, dictionary: &Dictionary) -> String {
        let others = dictionary.all().filter(|object| {
            let path = Path::new(&object.path);
            object.kind == ObjectKind::File && path.file_name() == self.path.file_name()
        });
        let mut paths: Vec<&str> = others
            .map(|object| object.path.as_str())
            .filter(|path| Path::new(path) != self.path)
            .collect();
        paths.sort_unstable();
        paths.dedup();
        let path = self.path.display();
        match paths.first() {
            None => format!("--file {path}: no fault was on this file"),
            Some(other) => format!(
                "--file {path}: no fault was on this file, but another file of that name was mapped: try --file {other}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pipeline::sideband::Map, session::Sighting};

    const LOWER: FileIdentity = FileIdentity {
        device: (254, 0),
        inode: 7,
    };

    fn vma(file: FileIdentity) -> Vma {
        Vma {
            device: file.device,
            inode: file.inode,
            file_page: 0,
        }
    }

    fn mapped(dictionary: &mut Dictionary, path: &str, device: (u32, u32), inode: u64) -> ObjectId {
        let map = Map {
            path: path.to_owned(),
            device,
            inode,
            ..Map::default()
        };
        let seen = Sighting {
            map: &map,
            pid: 0,
            at_ns: 0,
        };
        dictionary.object(&seen).0
    }

    #[test]
    fn the_file_of_a_layer_is_found_under_the_numbers_of_its_overlay() {
        let mut dictionary = Dictionary::default();
        let merged = mapped(&mut dictionary, "/merged/x", (0, 39), 7);
        let other = mapped(&mut dictionary, "/merged/y", (0, 39), 8);
        let mut only = Only::new(Path::new("/lower/x"), vec![LOWER]);
        assert!(!only.wants(&dictionary, merged, None), "nobody has told yet");
        assert!(only.wants(&dictionary, merged, Some(vma(LOWER))));
        assert!(only.wants(&dictionary, merged, None));
        assert!(!only.wants(&dictionary, other, None));
        let elsewhere = vma(FileIdentity { inode: 8, ..LOWER });
        assert!(!only.wants(&dictionary, other, Some(elsewhere)));
    }

    #[test]
    fn a_file_is_found_by_any_of_the_numbers_that_the_kernel_shows() {
        let mut dictionary = Dictionary::default();
        let by_record = mapped(&mut dictionary, "/merged/x", LOWER.device, LOWER.inode);
        let by_maps = mapped(&mut dictionary, "/merged/x", (0, 39), 7);
        let overlay = FileIdentity {
            device: (0, 39),
            inode: 7,
        };
        let mut only = Only::new(Path::new("/merged/x"), vec![overlay, LOWER]);
        assert!(only.wants(&dictionary, by_record, None) && only.wants(&dictionary, by_maps, None));
        assert!(only.wants(&dictionary, by_maps, Some(vma(LOWER))));
    }

    #[test]
    fn where_nothing_was_found_a_file_of_that_name_is_told() {
        let mut dictionary = Dictionary::default();
        let only = Only::new(Path::new("/lower/x"), vec![LOWER]);
        assert_eq!(
            only.none_found(&dictionary),
            "--file /lower/x: no fault was on this file"
        );
        mapped(&mut dictionary, "/merged/y", (0, 39), 8);
        mapped(&mut dictionary, "/merged/x", (0, 39), 9);
        assert!(only.none_found(&dictionary).ends_with("try --file /merged/x"));
    }
}
