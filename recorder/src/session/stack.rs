//! Stacks: each gets its id when it is met; that of user code with the mappings of that time.

use pf_bpf::{Fault, Stack};
use pf_formats::{HiddenWait, ObjectId, ObjectKind, Witnesses};

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
    pub(super) fn witnesses(&self, fault: &Fault, object: ObjectId, object_page: u64) -> Witnesses {
        let seen = &fault.witnesses;
        let mapping = || self.processes.get(&fault.tgid)?.space.find(fault.address);
        let is_present = seen.present() == Some(true);
        Witnesses {
            sleep: seen
                .sleep()
                .map(|hash| self.stacks.known(hash).unwrap_or_default()),
            pages_read: seen.pages_added(),
            pages_before: self.pages_before(fault, object, object_page),
            present: seen.present(),
            shared: is_present
                .then(mapping)
                .flatten()
                .map(|(_, mapping)| mapping.is_shared),
        }
    }

    /// How far before the page of the fault its read begins.
    fn pages_before(&self, fault: &Fault, object: ObjectId, object_page: u64) -> Option<i32> {
        if fault.witnesses.pages_added()? == 0 {
            return Some(0);
        }
        let first = fault.witnesses.first_added()?;
        let is_file = self.dictionary.get(object)?.kind == ObjectKind::File;
        let before = object_page.checked_signed_diff(first)?;
        i32::try_from(before).ok().filter(|_| is_file)
    }

    /// Takes in a wait of which no fault tells.
    pub(super) fn hidden_wait(&mut self, wait: &pf_bpf::HiddenWait) {
        if self.held.is(wait.tgid) {
            return;
        }
        let comm = self.comm_of(wait.tgid, wait.tid);
        let object = wait
            .file
            .map(|(device, inode)| self.file(device, inode, wait.begin_ns));
        let name = wait.call.and_then(call_name);
        self.hidden_waits.push(HiddenWait {
            begin_ns: wait.begin_ns,
            wait_ns: wait.wait_ns,
            pid: wait.tgid,
            tid: wait.tid,
            comm,
            syscall: name.unwrap_or_default().to_owned(),
            sleep: self.stacks.known(wait.sleep).unwrap_or_default(),
            object: object.unwrap_or_default(),
        });
    }

    /// The stacks, for their names to be looked up when the recording is over.
    pub fn take_stacks(&mut self) -> StackTable {
        std::mem::take(&mut self.stacks)
    }
}

/// What a system call of this machine is called.
fn call_name(number: u32) -> Option<&'static str> {
    let call = syscalls::Sysno::new(usize::try_from(number).ok()?)?;
    Some(call.name())
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
