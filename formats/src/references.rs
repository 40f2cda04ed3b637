//! Whether the names that events refer to were defined before them.

use crate::known::Seen;
use crate::{Columns, Dict, limits};

/// Ids of one dictionary that events use and nothing before them defines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undefined {
    /// How many ids; those that no dictionary can hold are not among them.
    pub ids: u64,
    /// Events that use one.
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
        let (table, first_id, count) = match dict {
            Dict::Comms { first_id, entries } => (&mut self.comms, *first_id, entries.len()),
            Dict::Objects { first_id, entries } => (&mut self.objects, *first_id, entries.len()),
            Dict::Stacks { first_id, entries } => (&mut self.stacks, *first_id, entries.len()),
            Dict::Frames { .. } | Dict::Symbols { .. } | Dict::BuildIds { .. } => return,
        };
        // The reader refuses ids over the limit.
        (first_id..).take(count).for_each(|id| table.defined.insert(id));
    }

    pub(crate) fn check(&mut self, columns: &Columns) {
        self.comms.check(&columns.comm);
        self.objects.check(&columns.object);
        self.stacks.check(&columns.stack);
    }

    pub(crate) fn undefined(&self) -> UndefinedNames {
        UndefinedNames {
            comms: self.comms.found,
            objects: self.objects.found,
            stacks: self.stacks.found,
        }
    }
}

impl Table {
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
