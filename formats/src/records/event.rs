//! One stored page fault, and the small types its fields are made of.

use bincode::{Decode, Encode};

use crate::QueryId;

/// Index into the comm dictionary; 0 means the name is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct CommId(pub u32);

/// Index into the dictionary of stacks; 0 means that no stack was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct StackId(pub u32);

/// Index into the dictionary of mapped objects (files and the nameless kinds); 0 means not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct ObjectId(pub u32);

/// One logical page fault, all retries included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Entry of the fault, nanoseconds of `CLOCK_MONOTONIC`.
    pub ts_ns: u64,
    /// Entry to completed accounting, nanoseconds.
    pub latency_ns: u64,
    /// Process (thread group) in the root pid namespace.
    pub pid: u32,
    /// Thread in the root pid namespace.
    pub tid: u32,
    /// Name of the thread at that time.
    pub comm: CommId,
    /// CPU on which the fault entered.
    pub cpu: u16,
    /// Faulting address, bytes.
    pub address: u64,
    /// Instruction that faulted.
    pub ip: u64,
    /// What is mapped at `address`.
    pub object: ObjectId,
    /// Page of `object` that holds `address`: byte offset in the file divided by the page size of
    /// the recording machine. 0 unless the object is a file or shared memory.
    pub object_page: u64,
    /// The kernel's class, as `getrusage` counts it.
    pub major: bool,
    /// Did not complete: it got no page (a bad address, behind the end of a file, out of memory), or was abandoned.
    pub failed: bool,
    /// What the instruction tried, where the backend can tell.
    pub access: Option<Access>,
    /// Who faulted.
    pub origin: Origin,
    /// With `failed`: a signal interrupted it, and no later attempt completed it: the thread never came back, or found the
    /// page there.
    pub abandoned: bool,
    /// Attempts beyond the first.
    pub retries: u8,
    /// Attempts that a signal ended, and that are not the last one. Their waits are part of the latency, the time between
    /// them is not.
    pub interruptions: u8,
    /// The signal that interrupted it last, or that it ended in; 0 for none.
    pub signal: u8,
    /// Where the latency went, when the recording asked for it.
    pub breakdown: Option<Breakdown>,
    /// What it waited for and did, as far as the recorder looked.
    pub witnesses: Witnesses,
    /// The user stack that faulted.
    pub stack: StackId,
    /// The innermost query in progress on that thread.
    pub query: QueryId,
}

/// Where the latency of a fault went. `blocked_ns + runqueue_ns` is at most the latency; the rest was spent on
/// a CPU. The other two are "of which": they overlap these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breakdown {
    /// Asleep, waiting for I/O or a lock.
    pub blocked_ns: u64,
    /// Runnable, waiting for a CPU.
    pub runqueue_ns: u64,
    /// Reclaiming memory for the fault, asleep or not.
    pub reclaim_ns: u64,
    /// Inside the fault and outside `handle_mm_fault`: the lock of the address space and the look-up of the
    /// mapping. 0 when the backend cannot tell.
    pub lock_ns: u64,
}

/// What was seen of a fault's cause, apart from its class; `None` where the recorder did not look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Witnesses {
    /// Where the kernel was in the longest sleep of the fault, a stack whose frames are in objects of
    /// [`ObjectKind::Kernel`]. 0: it did not sleep, or the stack of its sleep was lost, which is where its time asleep
    /// is not 0.
    pub sleep: Option<StackId>,
    /// Pages, of the page size of the recording machine, that the fault itself added to the page cache: those that it
    /// needed, and those that were read ahead with them.
    pub pages_read: Option<u32>,
    /// How many pages before that of the fault the first of them is, in the file; negative behind it, 0 without any.
    pub pages_before: Option<i32>,
    /// Whether the page was there already, so that the fault was one of protection: a store to a page that is only
    /// readable, or a change of protection that another thread had not seen.
    pub present: Option<bool>,
    /// Whether writes to its mapping are seen by others, as MAP_SHARED makes them; asked only for pages that were present.
    pub shared: Option<bool>,
}

/// The stored byte that says which witnesses an event has.
#[derive(Clone, Copy)]
struct WitnessBits(u8);

impl WitnessBits {
    const SLEEP: Self = Self(1);
    const PAGES_READ: Self = Self(1 << 1);
    const PRESENCE: Self = Self(1 << 2);
    const PRESENT: Self = Self(1 << 3);
    const MAPPING: Self = Self(1 << 4);
    const SHARED: Self = Self(1 << 5);
    const PAGES_BEFORE: Self = Self(1 << 6);

    fn has(self, bit: Self) -> bool {
        self.0 & bit.0 != 0
    }

    /// The bit, if it is to be set.
    fn when(self, is_set: bool) -> u8 {
        if is_set { self.0 } else { 0 }
    }
}

impl Witnesses {
    /// Whether nobody looked for any.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The value of the column WITNESSES.
    #[must_use]
    pub fn bits(&self) -> u8 {
        WitnessBits::SLEEP.when(self.sleep.is_some())
            | WitnessBits::PAGES_READ.when(self.pages_read.is_some())
            | WitnessBits::PRESENCE.when(self.present.is_some())
            | WitnessBits::PRESENT.when(self.present == Some(true))
            | WitnessBits::MAPPING.when(self.shared.is_some())
            | WitnessBits::SHARED.when(self.shared == Some(true))
            | WitnessBits::PAGES_BEFORE.when(self.pages_before.is_some())
    }

    /// The value of the column PAGES_BEFORE: steps from 0, in turns forwards and backwards.
    #[must_use]
    pub fn stored_before(&self) -> u32 {
        let before = self.pages_before.unwrap_or(0);
        (before << 1 ^ before >> 31).cast_unsigned()
    }

    /// From the values of the columns WITNESSES, SLEEP, PAGES_READ and PAGES_BEFORE: the others count where the first
    /// says that somebody looked.
    #[must_use]
    pub fn from_columns(bits: u8, sleep: u32, pages_read: u32, before: u32) -> Self {
        let bits = WitnessBits(bits);
        Self {
            sleep: bits.has(WitnessBits::SLEEP).then_some(StackId(sleep)),
            pages_read: bits.has(WitnessBits::PAGES_READ).then_some(pages_read),
            pages_before: bits
                .has(WitnessBits::PAGES_BEFORE)
                .then_some((before >> 1).cast_signed() ^ -(before & 1).cast_signed()),
            present: bits
                .has(WitnessBits::PRESENCE)
                .then_some(bits.has(WitnessBits::PRESENT)),
            shared: bits
                .has(WitnessBits::MAPPING)
                .then_some(bits.has(WitnessBits::SHARED)),
        }
    }
}

/// What the faulting instruction tried to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Access {
    /// A load.
    Read = 1,
    /// A store.
    Write = 2,
    /// An instruction fetch.
    Exec = 3,
}

/// Who caused the fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Origin {
    /// An instruction in user mode.
    #[default]
    User = 0,
    /// The kernel touching user memory, such as `read(2)` into a mapping.
    Kernel = 1,
    /// `get_user_pages` on the task's own memory.
    Gup = 2,
    /// `get_user_pages` on another task's memory.
    GupRemote = 3,
}

/// What kind of memory an address belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ObjectKind {
    /// The recorder could not tell.
    #[default]
    Unknown = 0,
    /// A mapped file.
    File = 1,
    /// Private anonymous memory.
    Anon = 2,
    /// The brk heap.
    Heap = 3,
    /// The main thread's stack.
    Stack = 4,
    /// Shared memory: memfd, /dev/shm, System V, shared anonymous.
    Shm = 5,
    /// Code of the kernel, `[kernel]`, or of one of its modules, `[NAME]`. Only frames are there, no faults.
    Kernel = 6,
}

impl Access {
    /// The stored two-bit code; 0 stands for "not known".
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Read),
            2 => Some(Self::Write),
            3 => Some(Self::Exec),
            _ => None,
        }
    }

    /// The name used in tables and exports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Exec => "exec",
        }
    }
}

impl Origin {
    /// From the stored two-bit code; only the low two bits are looked at.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        match code & 3 {
            0 => Self::User,
            1 => Self::Kernel,
            2 => Self::Gup,
            _ => Self::GupRemote,
        }
    }

    /// The name used in tables and exports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Kernel => "kernel",
            Self::Gup => "gup",
            Self::GupRemote => "gup_remote",
        }
    }
}

impl ObjectKind {
    /// From the stored code; a code of a later version reads as `Unknown`.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        match code {
            1 => Self::File,
            2 => Self::Anon,
            3 => Self::Heap,
            4 => Self::Stack,
            5 => Self::Shm,
            6 => Self::Kernel,
            _ => Self::Unknown,
        }
    }

    /// The name used in tables and exports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::File => "file",
            Self::Anon => "anon",
            Self::Heap => "heap",
            Self::Stack => "stack",
            Self::Shm => "shm",
            Self::Kernel => "kernel",
        }
    }
}
