//! What is mapped where in one process, as mappings come and go.

use std::{collections::BTreeMap, sync::Arc};

use pf_formats::{ObjectId, ObjectKind};

/// How far below the known stack an unknown address still counts as the stack having grown.
const STACK_GROWTH: u64 = 16 << 20;

/// One mapping; its first address is the key of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// One past the last address.
    pub end: u64,
    /// Offset of the first address in the object, bytes.
    pub offset: u64,
    /// What is mapped.
    pub object: ObjectId,
    /// Its kind.
    pub kind: ObjectKind,
    /// Whether others see what is written there.
    pub is_shared: bool,
}

/// The mappings of one process. Cloning shares them until one side changes: a fork is cheap.
#[derive(Clone, Debug, Default)]
pub struct AddressSpace {
    mappings: Arc<BTreeMap<u64, Mapping>>,
    /// What was found last, as long as nothing changes: faults come in flocks.
    last: Option<(u64, Mapping)>,
}

impl AddressSpace {
    /// Adds a mapping over whatever was there: the kernel tells of new mappings, not of removed ones.
    pub fn insert(&mut self, start: u64, new: Mapping) {
        if start >= new.end {
            return;
        }
        self.last = None;
        let table = Arc::make_mut(&mut self.mappings);
        if let Some((&left, &old)) = table.range(..start).next_back()
            && old.end > start
        {
            table.insert(left, Mapping { end: start, ..old });
            if old.end > new.end {
                table.insert(new.end, old.moved_to(left, new.end));
            }
        }
        while let Some((&left, &old)) = table.range(start..new.end).next() {
            table.remove(&left);
            if old.end > new.end {
                table.insert(new.end, old.moved_to(left, new.end));
            }
        }
        table.insert(start, new);
    }

    /// The mapping that holds `address`, with its first address.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<(u64, Mapping)> {
        let (&start, &mapping) = self.mappings.range(..=address).next_back()?;
        (address < mapping.end).then_some((start, mapping))
    }

    /// The same, and faster where the last one found holds the address, too.
    pub fn find_again(&mut self, address: u64) -> Option<(u64, Mapping)> {
        if let Some((start, mapping)) = self.last
            && (start..mapping.end).contains(&address)
        {
            return self.last;
        }
        self.last = self.find(address);
        self.last
    }

    /// Adds the part of a mapping around `address` that lies between the mappings known already: they are
    /// newer, or as old as the fault that asks.
    pub fn fill_gap(&mut self, address: u64, start: u64, mapping: Mapping) {
        let from = self
            .mappings
            .range(..=address)
            .next_back()
            .map_or(start, |(_, left)| start.max(left.end));
        let to = self
            .mappings
            .range(address..)
            .next()
            .map_or(mapping.end, |(&right, _)| mapping.end.min(right));
        if from <= address && address < to {
            let part = Mapping {
                end: to,
                ..mapping.moved_to(start, from)
            };
            Arc::make_mut(&mut self.mappings).insert(from, part);
        }
    }

    /// The stack, if `address` lies where it grows to.
    #[must_use]
    pub fn grown_stack(&self, address: u64) -> Option<(u64, Mapping)> {
        let (&start, &mapping) = self.mappings.range(address..).next()?;
        (mapping.kind == ObjectKind::Stack && start - address <= STACK_GROWTH).then_some((start, mapping))
    }

    /// Number of mappings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mappings.len()
    }

    /// Forgets everything, as an exec does.
    pub fn clear(&mut self) {
        self.mappings = Arc::default();
        self.last = None;
    }
}

impl Mapping {
    /// What is left of it when it begins at `start` instead of `was`.
    fn moved_to(self, was: u64, start: u64) -> Self {
        Self {
            offset: self.offset.wrapping_add(start - was),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(end: u64, offset: u64, id: u32) -> Mapping {
        Mapping {
            end,
            offset,
            object: ObjectId(id),
            kind: ObjectKind::File,
            is_shared: false,
        }
    }

    fn at(space: &AddressSpace, address: u64) -> Option<(u32, u64)> {
        space
            .find(address)
            .map(|(start, m)| (m.object.0, address - start + m.offset))
    }

    #[test]
    fn a_mapping_inside_another_leaves_both_ends_of_it() {
        let mut space = AddressSpace::default();
        space.insert(0x1000, file(0x9000, 0, 1));
        space.insert(0x3000, file(0x5000, 0x70000, 2));
        assert_eq!(at(&space, 0x2fff), Some((1, 0x1fff)));
        assert_eq!(at(&space, 0x3000), Some((2, 0x70000)));
        assert_eq!(at(&space, 0x4fff), Some((2, 0x71fff)));
        assert_eq!(at(&space, 0x5000), Some((1, 0x4000)));
        assert_eq!(at(&space, 0x9000), None);
    }

    #[test]
    fn a_mapping_over_several_replaces_them_and_trims_the_last() {
        let mut space = AddressSpace::default();
        space.insert(0x1000, file(0x2000, 0, 1));
        space.insert(0x2000, file(0x3000, 0, 2));
        space.insert(0x4000, file(0x8000, 0, 3));
        space.insert(0x1000, file(0x6000, 0, 4));
        assert_eq!(at(&space, 0x1000), Some((4, 0)));
        assert_eq!(at(&space, 0x5fff), Some((4, 0x4fff)));
        assert_eq!(at(&space, 0x6000), Some((3, 0x2000)));
    }

    #[test]
    fn a_child_keeps_what_its_parent_had_and_goes_its_own_way() {
        let mut parent = AddressSpace::default();
        parent.insert(0x1000, file(0x2000, 0, 1));
        let mut child = parent.clone();
        child.insert(0x1000, file(0x2000, 0, 2));
        assert_eq!(
            (at(&parent, 0x1000), at(&child, 0x1000)),
            (Some((1, 0)), Some((2, 0)))
        );
        parent.clear();
        assert_eq!((at(&parent, 0x1000), at(&child, 0x1000)), (None, Some((2, 0))));
    }

    #[test]
    fn a_gap_is_filled_without_touching_its_neighbours() {
        let mut space = AddressSpace::default();
        space.insert(0x1000, file(0x3000, 0, 1));
        space.insert(0x6000, file(0x8000, 0, 2));
        space.fill_gap(0x4000, 0x2000, file(0x7000, 0x10000, 3));
        assert_eq!(at(&space, 0x2fff), Some((1, 0x1fff)));
        assert_eq!(at(&space, 0x3000), Some((3, 0x11000)));
        assert_eq!(at(&space, 0x5fff), Some((3, 0x13fff)));
        assert_eq!(at(&space, 0x6000), Some((2, 0)));
        space.fill_gap(0x1000, 0x1000, file(0x2000, 0, 4));
        assert_eq!(at(&space, 0x1000), Some((1, 0)), "what is known stays");
    }

    #[test]
    fn the_stack_grows_down_but_not_for_ever() {
        let mut space = AddressSpace::default();
        let kind = ObjectKind::Stack;
        space.insert(
            0x7fff_0000_0000,
            Mapping {
                kind,
                ..file(0x7fff_0002_0000, 0, 1)
            },
        );
        assert!(space.grown_stack(0x7ffe_fff0_0000).is_some());
        assert!(space.grown_stack(0x7ff0_0000_0000).is_none());
    }
}
