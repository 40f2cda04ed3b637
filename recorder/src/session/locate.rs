//! What is mapped at the address of a fault, and which page of it: from the records of mappings, from what
//! the probe saw of the mapping itself, and where neither tells, from /proc.

use pf_bpf::{Fault, Vma};
use pf_formats::{ObjectId, ObjectKind, Origin};

use super::{FileIdentity, Session, Sighting, address_space::Mapping, happening, proc, to_mapping};
use crate::{clock::monotonic_ns, pipeline::sideband::Map};

/// A process whose maps did not explain an address is read again no sooner than after this.
const REREAD_AFTER_NS: u64 = 20_000_000;

/// Files whose other numbers are remembered. Those beyond are told by what the probe saw, without a name.
const ALIASES: usize = 1 << 16;

impl Session {
    /// The object and its page; 0 for what has no pages of its own.
    pub(super) fn locate(&mut self, fault: &Fault) -> (ObjectId, u64) {
        if Origin::from_code(fault.origin) == Origin::GupRemote {
            // The address is one of another process, and who that is the kernel does not say.
            let at_ns = fault.ts_ns;
            return fault
                .vma
                .map_or_else(Default::default, |vma| self.seen(vma, at_ns));
        }
        let at = fault.ts_ns.saturating_add(fault.latency_ns);
        let found = self.find(fault.tgid, fault.address, at);
        let found = found.or_else(|| self.processes.get(&fault.tgid)?.space.grown_stack(fault.address));
        let known = found.map(|(start, mapping)| self.place(fault.address, start, mapping));
        match (known, fault.vma) {
            (Some(known), None) => known,
            (None, None) => (ObjectId::default(), 0),
            (None, Some(vma)) => self.seen(vma, fault.ts_ns),
            (Some(known), Some(vma)) if self.agrees(known, vma) => known,
            (Some(known), Some(vma)) => self.settle(fault, known, vma),
        }
    }

    fn place(&self, address: u64, start: u64, mapping: Mapping) -> (ObjectId, u64) {
        if matches!(mapping.kind, ObjectKind::File | ObjectKind::Shm) {
            let offset = (address - start).wrapping_add(mapping.offset);
            return (mapping.object, offset / self.page_size);
        }
        (mapping.object, 0)
    }

    /// Whether the records and the probe mean the same.
    fn agrees(&self, (object, page): (ObjectId, u64), vma: Vma) -> bool {
        match (self.dictionary.identity(object), identity_of(vma)) {
            (None, None) => true,
            (Some(known), Some(seen)) => {
                page == vma.file_page && (known == seen || self.aliases.get(&seen) == Some(&object))
            }
            _ => false,
        }
    }

    /// The records say one thing, the probe another. The probe is right: a mapping was moved or removed, which
    /// makes no record; or the file system shows its files under other numbers.
    fn settle(&mut self, fault: &Fault, known: (ObjectId, u64), vma: Vma) -> (ObjectId, u64) {
        let Some(seen) = identity_of(vma) else {
            return (self.dictionary.anonymous(), 0);
        };
        let is_unknown = self.dictionary.by_identity(seen).is_none();
        if is_unknown && self.dictionary.is_others(known.0) {
            return known;
        }
        if is_unknown && known.1 == vma.file_page && self.aliases.len() < ALIASES {
            // Numbers that no record shows: the same page of the same mapping under two numbers.
            let now = proc::maps(fault.tgid).unwrap_or_default();
            let now = holder(&now, fault.address).map(|map| Sighting {
                map,
                pid: fault.tgid,
                at_ns: fault.ts_ns,
            });
            if now.is_none_or(|now| self.dictionary.object(&now).0 == known.0) {
                self.aliases.insert(seen, known.0);
                return known;
            }
        }
        self.seen(vma, fault.ts_ns)
    }

    /// The file of these numbers.
    pub(super) fn file(&mut self, device: (u32, u32), inode: u64, at_ns: u64) -> ObjectId {
        let seen = FileIdentity { device, inode };
        let known = self.dictionary.by_identity(seen);
        let known = known.or_else(|| self.aliases.get(&seen).copied());
        known.unwrap_or_else(|| self.dictionary.nameless(seen, at_ns))
    }

    /// What the probe saw, by its own words alone.
    fn seen(&mut self, vma: Vma, at_ns: u64) -> (ObjectId, u64) {
        if vma.inode == 0 {
            return (self.dictionary.anonymous(), 0);
        }
        let object = self.file(vma.device, vma.inode, at_ns);
        let kind = self.dictionary.get(object).map(|object| object.kind);
        // Private memory may come from a device, which has no pages.
        let has_pages = matches!(kind, Some(ObjectKind::File | ObjectKind::Shm));
        (object, if has_pages { vma.file_page } else { 0 })
    }

    /// The mapping that holds an address, with its first address. `at_ns` is when somebody was there.
    pub(super) fn find(&mut self, pid: u32, address: u64, at_ns: u64) -> Option<(u64, Mapping)> {
        if let Some(found) = self.mapped(pid, address) {
            return Some(found);
        }
        self.look_up(pid, address, at_ns);
        self.mapped(pid, address)
    }

    fn mapped(&mut self, pid: u32, address: u64) -> Option<(u64, Mapping)> {
        self.processes.get_mut(&pid)?.space.find_again(address)
    }

    /// No record explains the address (mremap makes none, nor does a stack that grows): asks /proc for
    /// this one mapping. It tells of now, so what the records said of other addresses stays.
    fn look_up(&mut self, pid: u32, address: u64, at_ns: u64) {
        if self.execs_ahead.get(&pid).is_some_and(|&exec| exec > at_ns) {
            return;
        }
        let process = self.processes.entry(pid).or_default();
        let now = monotonic_ns();
        if process.seen_ns < at_ns {
            if now - process.seen_ns < REREAD_AFTER_NS {
                return;
            }
            process.seen_ns = now;
            self.seen.read(pid, now);
        }
        if let Some(map) = self.seen.holder(pid, address) {
            let mapping = to_mapping(&mut self.dictionary, pid, at_ns, map);
            process.space.fill_gap(address, map.start, mapping);
            let what = happening(map, mapping.object);
            self.renew_if_crowded(pid);
            self.note(at_ns, pid, pid, what);
        }
    }
}

/// The mapping that holds `address`, of those that /proc lists in the order of their addresses: a process may have
/// a hundred thousand.
pub(super) fn holder(maps: &[Map], address: u64) -> Option<&Map> {
    let after = maps.partition_point(|map| map.start <= address);
    let map = maps.get(after.checked_sub(1)?)?;
    (address - map.start < map.len).then_some(map)
}

pub(super) fn identity_of(vma: Vma) -> Option<FileIdentity> {
    (vma.inode != 0).then_some(FileIdentity {
        device: vma.device,
        inode: vma.inode,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_held_from_the_first_byte_of_a_mapping_to_its_last() {
        let map = |start, len| Map {
            start,
            len,
            ..Map::default()
        };
        let maps = [map(0x1000, 0x1000), map(0x2000, 0x2000), map(0x8000, 0x1000)];
        let start = |address| holder(&maps, address).map(|map| map.start);
        assert_eq!(
            (start(0xfff), start(0x1000), start(0x1fff)),
            (None, Some(0x1000), Some(0x1000))
        );
        assert_eq!(
            (start(0x2000), start(0x3fff), start(0x4000)),
            (Some(0x2000), Some(0x2000), None)
        );
        assert_eq!((start(0x8fff), start(0x9000)), (Some(0x8000), None));
        assert!(holder(&[], 0x1000).is_none());
    }
}
