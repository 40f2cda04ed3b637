//! Names for the ids in event blocks. An id without an entry (its dictionary record was damaged) prints as `unknown#id`.

use crate::trace::stack_dict::StackDict;
use pf_formats::{Dict, Object, ObjectKind};
use polars::prelude::PlHashMap;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The dictionaries as far as they have been read.
#[derive(Clone, Debug, Default)]
pub struct Dicts {
    comms: PlHashMap<u32, String>,
    objects: PlHashMap<u32, Object>,
    /// Stacks, frames and their names.
    pub stacks: StackDict,
    generation: u64,
}

impl Dicts {
    /// Takes in one dictionary record; snapshots repeat entries, which changes nothing: the first meaning of an id stands.
    pub fn learn(&mut self, dict: Dict) {
        self.generation = self.generation.wrapping_add(1);
        match dict {
            Dict::Comms { first_id, entries } => {
                for (id, name) in (first_id..=u32::MAX).zip(entries) {
                    self.comms.entry(id).or_insert(name);
                }
            }
            Dict::Objects { first_id, entries } => {
                for (id, object) in (first_id..=u32::MAX).zip(entries) {
                    self.objects.entry(id).or_insert(object);
                }
            }
            Dict::Frames { first_id, entries } => self.stacks.learn_frames(first_id, entries),
            Dict::Stacks { first_id, entries } => self.stacks.learn_stacks(first_id, entries),
            Dict::Symbols { entries } => self.stacks.learn_symbols(entries),
            Dict::BuildIds { entries } => self.stacks.learn_build_ids(entries),
        }
    }

    /// Changes whenever `learn` was called: caches keyed by id are stale then.
    #[must_use]
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Name of a thread.
    #[must_use]
    pub fn comm(&self, id: u32) -> Cow<'_, str> {
        match self.comms.get(&id) {
            Some(name) => Cow::Borrowed(name),
            None => unknown(id),
        }
    }

    /// The names of threads, sorted, each once.
    #[must_use]
    pub fn comms(&self) -> BTreeSet<&str> {
        self.comms.values().map(String::as_str).collect()
    }

    /// What files and kinds of memory are called, sorted, each once.
    #[must_use]
    pub fn labels(&self) -> BTreeSet<Cow<'_, str>> {
        self.objects.keys().map(|&id| self.label(id)).collect()
    }

    /// Objects that have a path, by their ids.
    #[must_use]
    pub fn files(&self) -> Vec<(u32, &Object)> {
        let mut files: Vec<(u32, &Object)> = self
            .objects
            .iter()
            .filter(|(_, object)| has_file(object))
            .map(|(&id, object)| (id, object))
            .collect();
        files.sort_unstable_by_key(|&(id, _)| id);
        files
    }

    /// What is known of an object.
    #[must_use]
    pub fn object(&self, id: u32) -> Option<&Object> {
        self.objects.get(&id)
    }

    /// Kind of memory.
    #[must_use]
    pub fn kind(&self, id: u32) -> ObjectKind {
        self.objects
            .get(&id)
            .map_or(ObjectKind::Unknown, |object| object.kind)
    }

    /// Path, for objects that have one: files, and shared memory such as `/dev/shm/x` or `/memfd:x`.
    #[must_use]
    pub fn file(&self, id: u32) -> Option<Cow<'_, str>> {
        match self.objects.get(&id) {
            Some(object) if has_file(object) => Some(Cow::Borrowed(&object.path)),
            None if id != 0 => Some(unknown(id)),
            _ => None,
        }
    }

    /// Whether pages of this object are pages of a file.
    #[must_use]
    pub(crate) fn is_file_backed(&self, id: u32) -> bool {
        self.objects.get(&id).is_some_and(has_file)
    }

    /// Path, or `[anon]`, `[heap]`, `[stack]`, `[shm]`, `[unknown]`.
    #[must_use]
    pub fn label(&self, id: u32) -> Cow<'_, str> {
        self.file(id)
            .unwrap_or_else(|| Cow::Owned(format!("[{}]", self.kind(id).name())))
    }
}

fn has_file(object: &Object) -> bool {
    !object.path.is_empty() && (object.kind == ObjectKind::File || object.path.starts_with('/'))
}

fn unknown(id: u32) -> Cow<'static, str> {
    if id == 0 {
        Cow::Borrowed("unknown")
    } else {
        Cow::Owned(format!("unknown#{id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_meaning_of_an_id_stands() {
        let mut dicts = Dicts::default();
        for names in [&["first"][..], &["other", "second"]] {
            let entries = names.iter().map(|&name| name.to_owned()).collect();
            dicts.learn(Dict::Comms { first_id: 1, entries });
        }
        assert_eq!((dicts.comm(1), dicts.comm(2)), ("first".into(), "second".into()));
    }
}
