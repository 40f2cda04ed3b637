//! Call stacks: from addresses as the kernel walked them to the dictionaries of the trace, and, when
//! the recording ends, to the names of functions.
//!
//! While recording, [`StackTable::intern`] gives each stack an id and opens every binary when code in it
//! is seen first: later its process may be gone and its name may belong to another file. It does not
//! know where things are mapped (the session does) nor how the trace stores them.
//!
//! Return addresses: all frames but the innermost are one past a call, which may be the last instruction
//! of its function. A frame keeps the address as it is, but what is mapped there and what function it is
//! in are asked for the byte before, as perf does. The same place as an instruction that faulted and as
//! a return address is therefore two frames.

mod binaries;
pub mod debug_link;
mod elf;
mod jit;
pub mod kernel;
pub mod perf_map;
mod symbols;
mod trie;

use pf_formats::{Dict, ObjectId, StackId, Symbol};
use rustc_hash::FxHashMap;

use crate::files::mapped_file::MappedFile;

use binaries::Binaries;
use kernel::KernelCode;
use perf_map::PerfMaps;
pub use symbols::Symbols;
use trie::{Spot, Target, Trie};

/// Distinct stacks, by the kernel's hash, that are remembered: 34 MiB at most.
const STACKS: usize = 1 << 20;

/// Names of the kernel's functions in one record.
const KERNEL_NAMES: usize = 8192;

/// Where an address lies in its process.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// What is mapped there.
    pub object: ObjectId,
    /// Byte offset in the file when the object is one, else the address.
    pub offset: u64,
    /// What kind of memory it is.
    pub memory: Memory<'a>,
}

/// Memory that may hold code.
#[derive(Clone, Copy, Debug)]
pub enum Memory<'a> {
    /// Mapped from a file.
    File(MappedFile<'a>),
    /// Without a file: a just-in-time compiler may have put code there.
    Anonymous,
    /// The kernel's `[vdso]`.
    Vdso {
        /// Its first address.
        start: u64,
    },
    /// Something else, which has no symbols.
    Other,
}

/// A stack as the kernel walked it.
#[derive(Clone, Copy, Debug)]
pub struct RawStack<'a> {
    /// The kernel's hash of process, program and addresses.
    pub hash: u64,
    /// Process.
    pub pid: u32,
    /// Addresses, innermost first; all others are return addresses.
    pub addresses: &'a [u64],
    /// Why callers are missing, as [`pf_formats::StackNode`] codes it; 0 when none are.
    pub truncated: u8,
}

/// Every stack seen so far, and what the trace does not know yet of them. Its memory is bounded by the
/// constants here and in `trie`: about 90 MiB when all of them are reached.
#[derive(Debug, Default)]
pub struct StackTable {
    by_hash: FxHashMap<u64, StackId>,
    trie: Trie,
    binaries: Binaries,
    perf_maps: PerfMaps,
    kernel: KernelCode,
    /// Of frames that are new.
    kernel_names: Vec<Symbol>,
    dropped: u64,
}

impl StackTable {
    /// The id of a stack that came before with this hash.
    #[must_use]
    pub fn known(&self, hash: u64) -> Option<StackId> {
        self.by_hash.get(&hash).copied()
    }

    /// The id of a stack. `locate` is asked what is mapped at an address of that process at that time; it
    /// is not asked when the hash is known. 0 when the stack is empty, or when a limit is reached: that
    /// one is counted in [`Self::dropped`].
    pub fn intern<'p>(
        &mut self,
        stack: &RawStack<'_>,
        mut locate: impl FnMut(u64) -> Option<Place<'p>>,
    ) -> StackId {
        if let Some(id) = self.known(stack.hash) {
            return id;
        }
        if stack.addresses.is_empty() {
            return StackId::default();
        }
        let id = if self.by_hash.len() < STACKS {
            self.insert(stack, &mut locate)
        } else {
            None
        };
        if let Some(id) = id {
            self.by_hash.insert(stack.hash, id);
        } else {
            self.dropped += 1;
        }
        id.unwrap_or_default()
    }

    /// Takes in a stack of the kernel, likewise. `object` is asked for the objects of its code, by their names.
    pub fn intern_kernel(
        &mut self,
        hash: u64,
        addresses: &[u64],
        truncated: u8,
        mut object: impl FnMut(&str) -> ObjectId,
    ) {
        if addresses.is_empty() || self.known(hash).is_some() {
            return;
        }
        let addresses = self.kernel.meet(addresses);
        let mut node = Some(StackId::default()).filter(|_| self.by_hash.len() < STACKS);
        for &address in addresses.iter().rev() {
            let Some(parent) = node else { break };
            // An address that is not shown must not be told either.
            let (name, offset) = self.kernel.find(address).unwrap_or((kernel::KERNEL, 0));
            let spot = Spot {
                object: object(name),
                offset,
                target: Target::Kernel,
            };
            let truncated = if parent.0 == 0 { truncated } else { 0 };
            let known = self.trie.frame_count();
            let frame = self.trie.frame(spot);
            if let (Some(frame), Some((name, offset))) = (frame, self.kernel.function(address))
                && self.trie.frame_count() > known
            {
                self.kernel_names.push(Symbol {
                    frame,
                    name: name.to_owned(),
                    offset,
                    ..Symbol::default()
                });
            }
            node = frame.and_then(|frame| self.trie.node(parent, frame, truncated));
        }
        match node {
            Some(id) => drop(self.by_hash.insert(hash, id)),
            None => self.dropped += 1,
        }
    }

    /// Dictionary entries that came since the last call, in the order in which they must be written.
    pub fn take_new(&mut self) -> Vec<Dict> {
        let mut dicts = self.trie.take_new();
        let names = std::mem::take(&mut self.kernel_names);
        dicts.extend(names.chunks(KERNEL_NAMES).map(|names| Dict::Symbols {
            entries: names.to_vec(),
        }));
        dicts
    }

    /// Whether the trace lacks entries.
    #[must_use]
    pub fn has_new(&self) -> bool {
        self.trie.has_new()
    }

    /// Stacks that got the id 0 because a limit was reached.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Names for all frames, to be written behind everything else. Takes at most
    /// [`symbols::TOTAL_TIME`] and a second, less when `give_up` says so; names found until then are kept.
    /// It forks, so the probes should be detached by then.
    pub fn symbolise(self, give_up: impl FnMut() -> bool) -> Symbols {
        let targets = self.trie.into_targets();
        symbols::symbolise(
            targets,
            self.binaries,
            self.perf_maps,
            self.kernel.is_shown(),
            give_up,
        )
    }

    fn insert<'p>(
        &mut self,
        stack: &RawStack<'_>,
        locate: &mut impl FnMut(u64) -> Option<Place<'p>>,
    ) -> Option<StackId> {
        let mut node = StackId::default();
        for (depth, &address) in stack.addresses.iter().enumerate().rev() {
            let caller = depth > 0;
            let spot = self.spot(
                stack.pid,
                address,
                caller,
                locate(address.saturating_sub(u64::from(caller))),
            );
            let frame = self.trie.frame(spot)?;
            let truncated = if node.0 == 0 { stack.truncated } else { 0 };
            node = self.trie.node(node, frame, truncated)?;
        }
        Some(node)
    }

    /// `place` is where `address` is, or the byte before it for a caller.
    fn spot(&mut self, pid: u32, address: u64, caller: bool, place: Option<Place<'_>>) -> Spot {
        let Some(place) = place else {
            return Spot {
                object: ObjectId::default(),
                offset: address,
                target: Target::Nothing,
            };
        };
        let (target, offset) = match place.memory {
            Memory::File(file) => {
                self.binaries.see(place.object, pid, &file);
                let target = Target::File {
                    object: place.object,
                    offset: place.offset,
                };
                // The object may end with the call.
                (target, place.offset.saturating_add(u64::from(caller)))
            }
            Memory::Anonymous => {
                self.perf_maps.see(pid);
                let address_in = address.saturating_sub(u64::from(caller));
                (
                    Target::Jit {
                        pid,
                        address: address_in,
                    },
                    address,
                )
            }
            Memory::Vdso { start } => {
                let offset = address.saturating_sub(u64::from(caller)).wrapping_sub(start);
                // A process of 32 bits has another one, which cannot be looked into from here.
                let target = if start > u64::from(u32::MAX) {
                    Target::Vdso { offset }
                } else {
                    Target::Nothing
                };
                (target, address)
            }
            Memory::Other => (Target::Nothing, address),
        };
        Spot {
            object: place.object,
            offset,
            target,
        }
    }
}

#[cfg(test)]
mod tests;
