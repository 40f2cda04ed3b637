//! Stacks: each gets its id when it is met; that of user code with the mappings of that time.

use pf_bpf::{Fault, Stack};
use pf_formats::{ObjectKind, Witnesses};

use super::{Session, address_space::Mapping, dictionary::Dictionary};
use crate::{
    files::mapped_file::MappedFile,
    stacks::{Memory, Place, RawStack, StackTable},
};

impl Session {
    /// Takes in a stack. Faults name it by its hash from now on.
    pub(super) fn stack(&mut self, stack: &Stack) {
        if self.stacks.known(stack.hash).is_some() {
            return;
        }
        // A return address may be one past its mapping.
        let asked = stack
            .frames
            .iter()
            .flat_map(|&address| [address, address.saturating_sub(1)]);
        for address in asked {
            self.find(stack.tgid, address, stack.ts_ns);
        }
        let Some(process) = self.processes.get(&stack.tgid) else {
            return;
        };
        let raw = RawStack {
            hash: stack.hash,
            pid: stack.tgid,
            addresses: &stack.frames,
            truncated: stack.end,
        };
        self.stacks.intern(&raw, |address| {
            let (start, mapping) = process.space.find(address)?;
            Some(place(&self.dictionary, address, start, mapping))
        });
    }

    /// Takes in a stack of the kernel, likewise.
    pub(super) fn kernel_stack(&mut self, stack: &Stack) {
        let dictionary = &mut self.dictionary;
        self.stacks
            .intern_kernel(stack.hash, &stack.frames, stack.end, |name| {
                dictionary.kernel(name)
            });
    }

    /// What the probes saw of a fault's cause, as the trace has it.
    pub(super) fn witnesses(&self, fault: &Fault) -> Witnesses {
        let seen = &fault.witnesses;
        let mapping = || self.processes.get(&fault.tgid)?.space.find(fault.address);
        let is_present = seen.present() == Some(true);
        Witnesses {
            sleep: seen
                .sleep()
                .map(|hash| self.stacks.known(hash).unwrap_or_default()),
            pages_read: seen.pages_added(),
            present: seen.present(),
            shared: is_present
                .then(mapping)
                .flatten()
                .map(|(_, mapping)| mapping.is_shared),
        }
    }

    /// The stacks, for their names to be looked up when the recording is over.
    pub fn take_stacks(&mut self) -> StackTable {
        std::mem::take(&mut self.stacks)
    }
}

fn place(dictionary: &Dictionary, address: u64, start: u64, mapping: Mapping) -> Place<'_> {
    let object = dictionary.get(mapping.object);
    let path = object.map_or("", |object| object.path.as_str());
    let memory = match mapping.kind {
        ObjectKind::File => Memory::File(MappedFile {
            path,
            start,
            end: mapping.end,
            device: object.map_or((0, 0), |object| (object.dev_major, object.dev_minor)),
            inode: object.map_or(0, |object| object.inode),
        }),
        ObjectKind::Anon | ObjectKind::Heap => Memory::Anonymous,
        ObjectKind::Unknown if path == "[vdso]" => Memory::Vdso { start },
        _ => Memory::Other,
    };
    let offset = match memory {
        Memory::File(_) => (address - start).wrapping_add(mapping.offset),
        _ => address,
    };
    Place {
        object: mapping.object,
        offset,
        memory,
    }
}
