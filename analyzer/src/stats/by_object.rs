//! What is counted by object of the dictionary (a file, or a kind of memory) and shown by its label. It does not know what
//! is counted.

use crate::stats::bounded_map::{Kept, OTHERS, OTHERS_NAME, Sum};
use crate::stats::id_slots::Slots;
use crate::trace::session::Session;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// An object, and what was counted of it.
#[derive(Clone, Debug, Default)]
pub struct Object<T> {
    /// Whether its pages are those of a file; else pages of each process are its own.
    pub is_file: bool,
    /// What was counted.
    pub counted: T,
}

impl<T: Sum> Sum for Object<T> {
    fn weight(&self) -> u128 {
        self.counted.weight()
    }

    fn merge(&mut self, other: Self) {
        self.counted.merge(other.counted);
    }
}

/// The objects that were met; of too many the lighter ones are put together, and are no file.
#[derive(Clone, Debug, Default)]
pub struct Objects<T> {
    objects: Kept<u32, Object<T>, Slots>,
}

impl<T: Sum> Objects<T> {
    /// The slot of an object, which is made if need be; then those of others may change.
    #[inline]
    pub(crate) fn slot(&mut self, id: u32, session: &Session) -> usize {
        match self.objects.find(&id) {
            Some(slot) => slot,
            None => self.make(id, session),
        }
    }

    #[cold]
    fn make(&mut self, id: u32, session: &Session) -> usize {
        let slot = self.objects.slot(id);
        if slot != OTHERS {
            self.objects.at(slot).is_file = session.dicts.is_file_backed(id);
        }
        slot
    }

    /// What is in a slot.
    pub fn at(&mut self, slot: usize) -> &mut Object<T> {
        self.objects.at(slot)
    }

    /// All that was counted, in the order in which objects were met, the others last.
    pub fn iter(&self) -> impl Iterator<Item = &Object<T>> {
        self.objects
            .iter()
            .map(|(_, object)| object)
            .chain(self.objects.others())
    }

    /// Sums by label, longest wait first, and at the end those of the others. Objects of one name (a file replaced while
    /// recording, the heaps of several processes) are one row.
    pub(crate) fn by_label<S: Default, W: Ord>(
        &self,
        session: &Session,
        add: impl Fn(&mut S, &T),
        wait: impl Fn(&S) -> W,
    ) -> Vec<(String, S)> {
        let mut by_label: BTreeMap<String, S> = BTreeMap::new();
        for (&id, object) in self.objects.iter() {
            let label = session.dicts.label(id).into_owned();
            add(by_label.entry(label).or_default(), &object.counted);
        }
        let mut labels: Vec<_> = by_label.into_iter().collect();
        // Stable: equal waits stay in the order of their names.
        labels.sort_by_key(|(_, sums)| Reverse(wait(sums)));
        labels.extend(self.objects.others().map(|object| {
            let mut sums = S::default();
            add(&mut sums, &object.counted);
            (OTHERS_NAME.to_owned(), sums)
        }));
        labels
    }

    /// What the last row is, where there are others.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        let others = self.objects.describe_others("files and kinds of memory")?;
        Some(format!(
            "too many files to keep apart: the row {OTHERS_NAME} has those with the shortest waits together, {others}"
        ))
    }
}
