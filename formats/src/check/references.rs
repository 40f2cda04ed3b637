//! Whether the names that events refer to were defined before them, and what stacks are made of at all.

use std::hash::Hash;

use crate::check::digest;
use crate::records::defined_ids::Seen;
use crate::{Columns, Dict, limits};

/// Ids of one dictionary that events use and nothing before them defines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undefined {
    /// How many ids; those that no dictionary can hold are not among them.
    pub ids: u64,
    /// How often events use one: once each, but for stacks, of which an event has up to two.
    pub events: u64,
}

/// The references of events that lead nowhere. Such a name is printed as `unknown#id`; the event itself is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UndefinedNames {
    /// Names of threads.
    pub comms: Undefined,
    /// Mapped objects.
    pub objects: Undefined,
    /// Stacks.
    pub stacks: Undefined,
    /// Frames that stacks are made of, anywhere in the trace.
    pub frames: u64,
    /// Mapped objects that frames are in, anywhere in the trace.
    pub frame_objects: u64,
}

impl UndefinedNames {
    /// Whether every reference led somewhere.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Follows a trace.
#[derive(Default)]
pub(crate) struct References {
    comms: Table,
    objects: Table,
    stacks: Table,
    frames: Table,
    /// Frames that stacks are made of, and objects that frames are in.
    frames_used: Seen,
    objects_used: Seen,
    /// Digests of all entries, those that come again left out, in any order.
    entries: u64,
}

/// At most 1 MiB: a bit for each id.
#[derive(Default)]
struct Table {
    defined: Seen,
    undefined: Seen,
    found: Undefined,
}

impl References {
    pub(crate) fn define(&mut self, dict: &Dict) {
        let sum = match dict {
            Dict::Comms { first_id, entries } => self.comms.define(0, *first_id, entries),
            Dict::Objects { first_id, entries } => self.objects.define(1, *first_id, entries),
            Dict::Frames { first_id, entries } => {
                let objects = entries.iter().map(|frame| frame.object.0);
                self.frames.uses(*first_id, objects, &mut self.objects_used);
                self.frames.define(2, *first_id, entries)
            }
            Dict::Stacks { first_id, entries } => {
                let frames = entries.iter().map(|node| node.frame.0);
                self.stacks.uses(*first_id, frames, &mut self.frames_used);
                self.stacks.define(3, *first_id, entries)
            }
            // They have no ids of their own, and a writer does not look which come again.
            Dict::Symbols { entries } => sum(entries.iter().map(|entry| (4u8, entry.bounded()))),
            Dict::BuildIds { entries } => sum(entries.iter().map(|entry| (5u8, entry))),
        };
        self.entries = self.entries.wrapping_add(sum);
    }

    /// Whether two traces define the same: a digest of all entries.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    pub(crate) fn check(&mut self, columns: &Columns) {
        self.comms.check(&columns.comm);
        self.objects.check(&columns.object);
        self.stacks.check(&columns.stack);
        self.stacks.check(&columns.sleep);
    }

    pub(crate) fn undefined(&self) -> UndefinedNames {
        UndefinedNames {
            comms: self.comms.found,
            objects: self.objects.found,
            stacks: self.stacks.found,
            frames: self.frames_used.not_in(&self.frames.defined),
            frame_objects: self.objects_used.not_in(&self.objects.defined),
        }
    }
}

/// Of the digests of all entries, so their order and their records do not count.
fn sum(entries: impl Iterator<Item = impl Hash>) -> u64 {
    entries.fold(0, |sum: u64, entry| sum.wrapping_add(digest::of(&entry)))
}

impl Table {
    /// Takes note of the ids; the digests of those that are new. The reader refuses ids over the limit.
    fn define<T: Hash>(&mut self, table: u8, first_id: u32, entries: &[T]) -> u64 {
        sum((first_id..).zip(entries).filter_map(|(id, entry)| {
            let is_new = !self.defined.contains(id);
            self.defined.insert(id);
            is_new.then_some((table, id, entry))
        }))
    }

    /// Which ids of another table the entries refer to that are new; 0 is none. To be called before they are defined.
    fn uses(&self, first_id: u32, ids: impl Iterator<Item = u32>, used: &mut Seen) {
        let new = (first_id..)
            .zip(ids)
            .filter(|(id, _)| !self.defined.contains(*id));
        new.filter(|(_, of)| *of != 0 && *of <= limits::DICT_ID)
            .for_each(|(_, of)| used.insert(of));
    }

    fn check(&mut self, ids: &[u32]) {
        // Neighbours mostly have the same name.
        let (mut last, mut is_defined) = (0, true);
        for &id in ids {
            if id != last {
                last = id;
                is_defined = id == 0 || self.defined.contains(id);
                if !is_defined && id <= limits::DICT_ID && !self.undefined.contains(id) {
                    self.undefined.insert(id);
                    self.found.ids += 1;
                }
            }
            self.found.events += u64::from(!is_defined);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_as_defined_from_its_definition_on() {
        let mut references = References::default();
        let uses = Columns {
            comm: vec![0, 1, 1, 2, u32::MAX],
            ..Columns::default()
        };
        references.check(&uses);
        references.define(&Dict::Comms {
            first_id: 1,
            entries: vec!["a".into()],
        });
        references.check(&uses);
        let comms = Undefined { ids: 2, events: 6 };
        assert_eq!(
            references.undefined(),
            UndefinedNames {
                comms,
                ..UndefinedNames::default()
            }
        );
    }
}
