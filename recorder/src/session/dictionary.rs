//! Gives names and mapped objects the ids under which the trace refers to them. Whoever is recorded makes them up, so
//! there are so many and no more: the rest has an id together.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
};

use pf_formats::{CommId, Dict, Object, ObjectId, ObjectKind};
use rustc_hash::FxHashMap;

use super::{
    budget::{Budget, COMMS, OBJECTS, OTHERS},
    files::{FileIdentity, Files, Found, Sighting},
    folded::Folded,
    nameless::{DELETED, KernelMounts},
};
use crate::pipeline::sideband::Map;

/// What an object takes besides its path.
const OBJECT: usize = 64;

/// Everything named so far, and what the trace does not know yet.
#[derive(Debug)]
pub struct Dictionary {
    comms: HashMap<String, CommId>,
    comms_left: Budget,
    mounts: KernelMounts,
    /// By hash, so that each is kept once. Of two with the same hash the later one is not found again.
    objects: FxHashMap<u64, ObjectId>,
    objects_left: Budget,
    hash: RandomState,
    /// By id, from 1.
    by_id: Vec<Object>,
    files: Files,
    /// They get an id whatever there is else.
    wanted: Vec<FileIdentity>,
    folded: Folded,
    new_comms: Vec<String>,
    new_objects: Vec<Object>,
}

impl Default for Dictionary {
    fn default() -> Self {
        Self {
            comms: HashMap::new(),
            comms_left: Budget::new(COMMS),
            mounts: KernelMounts::default(),
            objects: FxHashMap::default(),
            objects_left: Budget::new(OBJECTS),
            hash: RandomState::new(),
            by_id: Vec::new(),
            files: Files::default(),
            wanted: Vec::new(),
            folded: Folded::default(),
            new_comms: Vec::new(),
            new_objects: Vec::new(),
        }
    }
}

impl Dictionary {
    /// An empty one for this kernel.
    #[must_use]
    pub fn new() -> Self {
        Self {
            mounts: KernelMounts::find(),
            ..Self::default()
        }
    }

    /// These files are what is asked for.
    pub fn want(&mut self, files: &[FileIdentity]) {
        self.wanted = files.to_vec();
    }

    /// The id of the name that a thread of process `pid` had at this time.
    pub fn comm(&mut self, comm: &str, pid: u32, at_ns: u64) -> CommId {
        if let Some(&id) = self.comms.get(comm) {
            return id;
        }
        if self.comms_left.take(pid, 1) {
            return self.push_comm(comm);
        }
        self.folded.comm(at_ns);
        let others = self.comms.get(OTHERS).copied();
        others.unwrap_or_else(|| self.push_comm(OTHERS))
    }

    /// Names of threads, in no order: those of threads that never faulted, too.
    pub fn comms(&self) -> impl Iterator<Item = &str> {
        self.comms.keys().map(String::as_str)
    }

    /// The id and kind of what a mapping maps. A file keeps the name that it had first.
    pub fn object(&mut self, seen: &Sighting<'_>) -> (ObjectId, ObjectKind) {
        let object = describe(seen.map, &self.mounts);
        let kind = object.kind;
        let file = identity_of(&object);
        let found = file.map_or(Found::Unknown, |file| self.files.find(file, seen, &object.path));
        let known = match found {
            Found::Known(id) => return (id, self.get(id).map_or(kind, |object| object.kind)),
            Found::New => None,
            Found::Unknown => self.find(&object),
        };
        let Some(id) = known.or_else(|| self.admit(&object, seen)) else {
            return self.fold(kind);
        };
        if let Some(file) = file {
            self.files.set(file, id, &object.path, seen);
        }
        (id, kind)
    }

    /// Memory without a file and without a name.
    pub fn anonymous(&mut self) -> ObjectId {
        self.intern(describe(&Map::default(), &self.mounts))
    }

    /// The kernel's code, or that of a module.
    pub fn kernel(&mut self, name: &str) -> ObjectId {
        self.intern(Object {
            kind: ObjectKind::Kernel,
            path: name.to_owned(),
            ..Object::default()
        })
    }

    /// A file that no record names.
    pub fn nameless(&mut self, file: FileIdentity, at_ns: u64) -> ObjectId {
        let object = Object {
            kind: ObjectKind::File,
            dev_major: file.device.0,
            dev_minor: file.device.1,
            inode: file.inode,
            path: String::new(),
        };
        let unseen = Sighting {
            map: &Map::default(),
            pid: 0,
            at_ns,
        };
        let known = self.find(&object);
        let Some(id) = known.or_else(|| self.admit(&object, &unseen)) else {
            return self.others();
        };
        self.files.set(file, id, "", &Sighting { at_ns: 0, ..unseen });
        id
    }

    /// Whether an object stands for all those without an id of their own.
    #[must_use]
    pub fn is_others(&self, object: ObjectId) -> bool {
        self.get(object)
            .is_some_and(|object| object.kind == ObjectKind::Unknown && object.path == OTHERS)
    }

    /// What got no id of its own.
    pub fn folded(&mut self) -> &mut Folded {
        &mut self.folded
    }

    /// What a process has named counts for its child, too.
    pub fn fork(&mut self, parent: u32, child: u32) {
        self.comms_left.fork(parent, child);
        self.objects_left.fork(parent, child);
    }

    /// A process has ended.
    pub fn forget(&mut self, pid: u32) {
        self.comms_left.forget(pid);
        self.objects_left.forget(pid);
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

    /// All objects.
    pub fn all(&self) -> impl Iterator<Item = &Object> {
        self.by_id.iter()
    }

    /// The object of a file.
    #[must_use]
    pub fn by_identity(&self, file: FileIdentity) -> Option<ObjectId> {
        self.files.latest(file)
    }

    fn push_comm(&mut self, comm: &str) -> CommId {
        let id = CommId(self.comms.len() as u32 + 1);
        self.comms.insert(comm.to_owned(), id);
        self.new_comms.push(comm.to_owned());
        id
    }

    fn find(&self, object: &Object) -> Option<ObjectId> {
        let id = *self.objects.get(&self.hash.hash_one(object))?;
        (self.get(id) == Some(object)).then_some(id)
    }

    /// One of the few that there always are.
    fn intern(&mut self, object: Object) -> ObjectId {
        self.find(&object).unwrap_or_else(|| self.push(object))
    }

    /// A new object, if there is room for it.
    fn admit(&mut self, object: &Object, seen: &Sighting<'_>) -> Option<ObjectId> {
        let is_basic = object.inode == 0 && object.path.is_empty();
        let is_wanted = identity_of(object).is_some_and(|file| self.wanted.contains(&file));
        let is_free = is_basic || is_wanted;
        if is_free || self.objects_left.take(seen.pid, OBJECT + object.path.len()) {
            return Some(self.push(object.clone()));
        }
        self.folded.object(seen.at_ns);
        None
    }

    /// Instead of an object that there is no room for. Pages of many files are no pages of one, so it has none.
    fn fold(&mut self, kind: ObjectKind) -> (ObjectId, ObjectKind) {
        match kind {
            ObjectKind::Anon => (self.anonymous(), kind),
            _ => (self.others(), ObjectKind::Unknown),
        }
    }

    fn others(&mut self) -> ObjectId {
        self.intern(Object {
            kind: ObjectKind::Unknown,
            path: OTHERS.to_owned(),
            ..Object::default()
        })
    }

    fn push(&mut self, object: Object) -> ObjectId {
        let id = ObjectId(self.by_id.len() as u32 + 1);
        self.objects.insert(self.hash.hash_one(&object), id);
        self.by_id.push(object.clone());
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
            first_id: (self.by_id.len() - objects.len()) as u32 + 1,
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

/// What a mapping maps. Memory without a file is told apart by kind and name.
fn describe(map: &Map, mounts: &KernelMounts) -> Object {
    let (kind, path) = mounts
        .kind_of(map)
        .unwrap_or_else(|| (kind_of(map), name_of(map)));
    // Private memory may come from a device, and by its numbers the probes know it.
    let (dev, inode) = match kind {
        ObjectKind::File | ObjectKind::Shm => (map.device, map.inode),
        ObjectKind::Anon if map.inode != 0 => (map.device, map.inode),
        _ => ((0, 0), 0),
    };
    Object {
        kind,
        dev_major: dev.0,
        dev_minor: dev.1,
        inode,
        path,
    }
}

fn kind_of(map: &Map) -> ObjectKind {
    let path = map.path.as_str();
    if path.is_empty() || path == "//anon" || path.starts_with("[anon:") {
        ObjectKind::Anon
    } else if path == "[heap]" {
        ObjectKind::Heap
    } else if path.starts_with("[stack") {
        ObjectKind::Stack
    } else if path.starts_with("[anon_shmem:") || (path.starts_with("/dev/shm/") && map.device.0 == 0) {
        ObjectKind::Shm
    } else if path.starts_with('/') {
        ObjectKind::File
    } else {
        // [vdso], [vvar], anon_inode:…: there is no file behind it.
        ObjectKind::Unknown
    }
}

fn name_of(map: &Map) -> String {
    match kind_of(map) {
        ObjectKind::Heap | ObjectKind::Stack => String::new(),
        _ if map.path == "//anon" => String::new(),
        // The same file before and after its name was removed.
        ObjectKind::File | ObjectKind::Shm => map.path.strip_suffix(DELETED).unwrap_or(&map.path).to_owned(),
        _ => map.path.clone(),
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

    fn object(dictionary: &mut Dictionary, map: &Map) -> (ObjectId, ObjectKind) {
        dictionary.object(&Sighting {
            map,
            pid: 0x7000_0000,
            at_ns: 0,
        })
    }

    #[test]
    fn the_same_thing_gets_the_same_id_and_is_written_once() {
        let mut dictionary = Dictionary::default();
        let (a, _) = object(&mut dictionary, &map("/data/a", 1));
        let (b, _) = object(&mut dictionary, &map("/data/a", 2));
        assert_ne!(a, b, "another inode is another file");
        assert_eq!(object(&mut dictionary, &map("/data/a", 1)).0, a);
        let written: Vec<Dict> = dictionary.take_new().collect();
        assert!(matches!(&written[..], [Dict::Objects { first_id: 1, entries }] if entries.len() == 2));
        assert_eq!(dictionary.comm("a", 1, 0), CommId(1));
        assert_eq!(dictionary.comm("b", 1, 0), CommId(2));
        assert!(matches!(
            dictionary.take_new().next(),
            Some(Dict::Comms { first_id: 1, .. })
        ));
        assert!(!dictionary.has_new());
    }

    #[test]
    fn a_file_stays_the_same_when_its_name_is_removed() {
        let mut dictionary = Dictionary::default();
        let file = object(&mut dictionary, &map("/tmp/x", 5));
        assert_eq!(object(&mut dictionary, &map("/tmp/x (deleted)", 5)), file);
    }

    #[test]
    fn a_file_stays_the_same_when_it_is_renamed_and_keeps_its_first_name() {
        let mut dictionary = Dictionary::default();
        let of = |path, generation| Map {
            generation: Some(generation),
            ..map(path, 5)
        };
        let (file, _) = object(&mut dictionary, &of("/data/a", 77));
        assert_eq!(object(&mut dictionary, &of("/data/b", 77)).0, file);
        assert_eq!(
            dictionary.get(file).map(|object| object.path.as_str()),
            Some("/data/a")
        );
        let (second, _) = object(&mut dictionary, &of("/data/a", 78));
        assert_ne!(second, file, "the inode was given to another file of that name");
        assert_eq!(object(&mut dictionary, &of("/data/c", 78)).0, second);
        let written: Vec<Dict> = dictionary.take_new().collect();
        assert!(matches!(&written[..], [Dict::Objects { first_id: 1, entries }] if entries.len() == 2));
    }

    #[test]
    fn names_of_one_file_that_cannot_be_compared_do_not_multiply() {
        let mut dictionary = Dictionary::default();
        let (a, _) = object(&mut dictionary, &map("/no/such/a", 5));
        let (b, _) = object(&mut dictionary, &map("/no/such/b", 5));
        assert_ne!(a, b);
        assert_eq!(object(&mut dictionary, &map("/no/such/a", 5)).0, a);
        assert_eq!(object(&mut dictionary, &map("/no/such/b", 5)).0, b);
    }

    #[test]
    fn nameless_memory_of_one_kind_is_one_object() {
        let mut dictionary = Dictionary::default();
        let anon = object(&mut dictionary, &map("//anon", 0));
        assert_eq!(object(&mut dictionary, &map("", 0)), anon);
        assert_eq!(dictionary.anonymous(), anon.0);
        assert_eq!(anon.1, ObjectKind::Anon);
    }

    #[test]
    fn kinds_and_names_follow_those_the_kernel_gives() {
        let mounts = KernelMounts::default();
        for (path, device, kind, name) in [
            (
                "/usr/lib/libc.so.6",
                (254, 0),
                ObjectKind::File,
                "/usr/lib/libc.so.6",
            ),
            ("/tmp/x (deleted)", (0, 27), ObjectKind::File, "/tmp/x"),
            ("[heap]", (0, 0), ObjectKind::Heap, ""),
            ("[stack]", (0, 0), ObjectKind::Stack, ""),
            ("[anon:malloc]", (0, 0), ObjectKind::Anon, "[anon:malloc]"),
            ("[anon_shmem:x]", (0, 1), ObjectKind::Shm, "[anon_shmem:x]"),
            ("/memfd:x (deleted)", (0, 1), ObjectKind::Shm, "/memfd:x"),
            ("/dev/shm/x (deleted)", (0, 27), ObjectKind::Shm, "/dev/shm/x"),
            ("/dev/shm/x", (254, 0), ObjectKind::File, "/dev/shm/x"),
            ("/dev/zero (deleted)", (0, 1), ObjectKind::Shm, ""),
            ("/dev/zero (deleted)", (254, 0), ObjectKind::File, "/dev/zero"),
            (
                "anon_inode:[io_uring]",
                (0, 16),
                ObjectKind::Unknown,
                "anon_inode:[io_uring]",
            ),
            ("[vdso]", (0, 0), ObjectKind::Unknown, "[vdso]"),
        ] {
            let map = Map {
                device,
                flags: libc::MAP_SHARED.cast_unsigned(),
                ..map(path, 5)
            };
            let object = describe(&map, &mounts);
            assert_eq!(
                (object.kind, object.path.as_str()),
                (kind, name),
                "{path} {device:?}"
            );
        }
    }
}
