//! What is counted by object of the dictionary (a file, or a kind of memory) and shown by its label. It does not know what
//! is counted.

use crate::session::Session;
use crate::slots::Slots;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// An object, and what was counted of it.
#[derive(Clone, Debug)]
pub struct Object<T> {
    /// Its id in the dictionary.
    pub id: u32,
    /// Whether its pages are those of a file; else pages of each process are its own.
    pub is_file: bool,
    /// What was counted.
    pub counted: T,
}

/// The objects that were met.
#[derive(Clone, Debug, Default)]
pub struct Objects<T> {
    slots: Slots,
    objects: Vec<Object<T>>,
}

impl<T: Default> Objects<T> {
    /// The slot of an object, which is made if need be.
    pub fn slot(&mut self, id: u32, session: &Session) -> usize {
        let slot = self.slots.of(id);
        if slot >= self.objects.len() {
            self.objects.push(Object {
                id,
                is_file: session.dicts.is_file_backed(id),
                counted: T::default(),
            });
        }
        slot
    }

    /// What is in a slot.
    pub fn get_mut(&mut self, slot: usize) -> Option<&mut Object<T>> {
        self.objects.get_mut(slot)
    }

    /// All objects, in the order in which they were met.
    pub fn iter(&self) -> impl Iterator<Item = &Object<T>> {
        self.objects.iter()
    }

    /// Sums by label, longest wait first. Objects of one name (a file replaced while recording, the heaps of several
    /// processes) are one row.
    pub fn by_label<S: Default, W: Ord>(
        &self,
        session: &Session,
        add: impl Fn(&mut S, &T),
        wait: impl Fn(&S) -> W,
    ) -> Vec<(String, S)> {
        let mut by_label: BTreeMap<String, S> = BTreeMap::new();
        for object in &self.objects {
            let label = session.dicts.label(object.id).into_owned();
            add(by_label.entry(label).or_default(), &object.counted);
        }
        let mut labels: Vec<_> = by_label.into_iter().collect();
        // Stable: equal waits stay in the order of their names.
        labels.sort_by_key(|(_, sums)| Reverse(wait(sums)));
        labels
    }
}
