//! Gives names and mapped objects the ids under which the trace refers to them.

use std::collections::HashMap;

use pf_formats::{CommId, Dict, Object, ObjectId, ObjectKind};

use crate::sideband::Map;

/// A file as the kernel tells it apart, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// Device, major and minor number.
    pub device: (u32, u32),
    /// Inode number.
    pub inode: u64,
}

/// Everything named so far, and what the trace does not know yet.
#[derive(Debug, Default)]
pub struct Dictionary {
    comms: HashMap<String, CommId>,
    objects: HashMap<Object, ObjectId>,
    /// By id, from 1.
    by_id: Vec<Object>,
    /// The latest object of each file.
    files: HashMap<FileIdentity, ObjectId>,
    new_comms: Vec<String>,
    new_objects: Vec<Object>,
}

impl Dictionary {
    /// The id of a thread name.
    pub fn comm(&mut self, comm: &str) -> CommId {
        if let Some(&id) = self.comms.get(comm) {
            return id;
        }
        let id = CommId(self.comms.len() as u32 + 1);
        self.comms.insert(comm.to_owned(), id);
        self.new_comms.push(comm.to_owned());
        id
    }

    /// The id and kind of what a mapping maps.
    pub fn object(&mut self, map: &Map) -> (ObjectId, ObjectKind) {
        let object = describe(map);
        let kind = object.kind;
        (self.intern(object), kind)
    }

    /// Memory without a file and without a name.
    pub fn anonymous(&mut self) -> ObjectId {
        self.object(&Map::default()).0
    }

    /// A file that no record names.
    pub fn nameless(&mut self, file: FileIdentity) -> ObjectId {
        self.intern(Object {
            kind: ObjectKind::File,
            dev_major: file.device.0,
            dev_minor: file.device.1,
            inode: file.inode,
            path: String::new(),
        })
    }

    /// Which file an object is, if it is one.
    #[must_use]
    pub fn identity(&self, object: ObjectId) -> Option<FileIdentity> {
        identity_of(self.get(object)?)
    }

    /// An object by its id.
    #[must_use]
    pub fn get(&self, object: ObjectId) -> Option<&Object> {
        self.by_id.get((object.0 as usize).checked_sub(1)?)
    }

    /// The object of a file, by its latest name.
    #[must_use]
    pub fn by_identity(&self, file: FileIdentity) -> Option<ObjectId> {
        self.files.get(&file).copied()
    }

    fn intern(&mut self, object: Object) -> ObjectId {
        if let Some(&id) = self.objects.get(&object) {
            return id;
        }
        let id = ObjectId(self.objects.len() as u32 + 1);
        if let Some(file) = identity_of(&object) {
            self.files.insert(file, id);
        }
        self.by_id.push(object.clone());
        self.objects.insert(object.clone(), id);
        self.new_objects.push(object);
        id
    }

    /// The entries that came since the last call, ready to be written.
    pub fn take_new(&mut self) -> impl Iterator<Item = Dict> + use<> {
        let comms = std::mem::take(&mut self.new_comms);
        let objects = std::mem::take(&mut self.new_objects);
        let comms = (!comms.is_empty()).then(|| Dict::Comms {
            first_id: (self.comms.len() - comms.len()) as u32 + 1,
            entries: comms,
        });
        let objects = (!objects.is_empty()).then(|| Dict::Objects {
            first_id: (self.objects.len() - objects.len()) as u32 + 1,
            entries: objects,
        });
        comms.into_iter().chain(objects)
    }

    /// Whether the trace lacks entries.
    #[must_use]
    pub fn has_new(&self) -> bool {
        !self.new_comms.is_empty() || !self.new_objects.is_empty()
    }
}

fn identity_of(object: &Object) -> Option<FileIdentity> {
    (object.inode != 0).then_some(FileIdentity {
        device: (object.dev_major, object.dev_minor),
        inode: object.inode,
    })
}

/// Files are told apart by device, inode and path; memory without a file by kind and name.
fn describe(map: &Map) -> Object {
    let kind = kind_of(&map.path);
    let (mut dev, mut inode, mut path) = (map.device, map.inode, map.path.clone());
    if !matches!(kind, ObjectKind::File | ObjectKind::Shm) {
        (dev, inode) = ((0, 0), 0);
    }
    // The same file before and after its name was removed.
    if let Some(name) = path.strip_suffix(" (deleted)")
        && kind == ObjectKind::File
    {
        path = name.to_owned();
    }
    if path == "//anon" || matches!(kind, ObjectKind::Heap | ObjectKind::Stack) {
        path.clear();
    }
    Object {
        kind,
        dev_major: dev.0,
        dev_minor: dev.1,
        inode,
        path,
    }
}

fn kind_of(path: &str) -> ObjectKind {
    const SHARED: [&str; 6] = [
        "/memfd:",
        "/dev/shm/",
        "/SYSV",
        "/dev/zero",
        "/anon_hugepage",
        "[anon_shmem:",
    ];
    if path.is_empty() || path == "//anon" || path.starts_with("[anon:") {
        ObjectKind::Anon
    } else if path == "[heap]" {
        ObjectKind::Heap
    } else if path.starts_with("[stack") {
        ObjectKind::Stack
    } else if SHARED.iter().any(|prefix| path.starts_with(prefix)) {
        ObjectKind::Shm
    } else if path.starts_with('/') {
        ObjectKind::File
    } else {
        // [vdso], [vvar], anon_inode:…: there is no file behind it.
        ObjectKind::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(path: &str, inode: u64) -> Map {
        Map {
            path: path.to_owned(),
            inode,
            ..Map::default()
        }
    }

    #[test]
    fn the_same_thing_gets_the_same_id_and_is_written_once() {
        let mut dictionary = Dictionary::default();
        let (a, _) = dictionary.object(&map("/data/a", 1));
        let (b, _) = dictionary.object(&map("/data/a", 2));
        assert_ne!(a, b, "another inode is another file");
        assert_eq!(dictionary.object(&map("/data/a", 1)).0, a);
        let written: Vec<Dict> = dictionary.take_new().collect();
        assert!(matches!(&written[..], [Dict::Objects { first_id: 1, entries }] if entries.len() == 2));
        assert_eq!(dictionary.comm("a"), CommId(1));
        assert_eq!(dictionary.comm("b"), CommId(2));
        assert!(matches!(
            dictionary.take_new().next(),
            Some(Dict::Comms { first_id: 1, .. })
        ));
        assert!(!dictionary.has_new());
    }

    #[test]
    fn a_file_stays_the_same_when_its_name_is_removed() {
        let mut dictionary = Dictionary::default();
        let file = dictionary.object(&map("/tmp/x", 5));
        assert_eq!(dictionary.object(&map("/tmp/x (deleted)", 5)), file);
    }

    #[test]
    fn nameless_memory_of_one_kind_is_one_object() {
        let mut dictionary = Dictionary::default();
        let anon = dictionary.object(&map("//anon", 0));
        assert_eq!(dictionary.object(&map("", 0)), anon);
        assert_eq!(anon.1, ObjectKind::Anon);
    }

    #[test]
    fn kinds_follow_the_names_the_kernel_gives() {
        for (path, kind) in [
            ("/usr/lib/libc.so.6", ObjectKind::File),
            ("/tmp/x (deleted)", ObjectKind::File),
            ("[heap]", ObjectKind::Heap),
            ("[stack]", ObjectKind::Stack),
            ("/memfd:x (deleted)", ObjectKind::Shm),
            ("/dev/shm/x", ObjectKind::Shm),
            ("/dev/zero (deleted)", ObjectKind::Shm),
            ("[vdso]", ObjectKind::Unknown),
        ] {
            assert_eq!(kind_of(path), kind, "{path}");
        }
    }
}
