//! Decodes ring-buffer records. The layout is that of `src/bpf/pf_wire.h`, through the skeleton's
//! generated types.

use std::mem::{offset_of, size_of};

use crate::skel::types::{
    pf_access, pf_cause, pf_exec, pf_exit, pf_fault, pf_flag, pf_hidden_wait, pf_interruptions, pf_kind,
    pf_more, pf_query, pf_query_faults, pf_query_flag, pf_query_text, pf_ring_fault, pf_stack,
    pf_task_counts, pf_witness,
};

/// What one record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A page fault completed.
    Fault(Fault),
    /// A recorded thread ended.
    Exit(Exit),
    /// A thread took over the number of the first one of its process.
    Exec(Exec),
    /// A user stack was met for the first time.
    Stack(Box<Stack>),
    /// A stack of the kernel was met for the first time.
    KernelStack(Box<Stack>),
    /// A thread slept in `get_user_pages`, outside of all faults that are told.
    HiddenWait(HiddenWait),
    /// A query ended.
    Query(Box<Query>),
    /// A query began, and has a text.
    QueryText(Box<QueryText>),
    /// A lane fills up.
    Wake,
}

/// One logical page fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Entry, nanoseconds of `CLOCK_MONOTONIC`.
    pub ts_ns: u64,
    /// Entry to completed accounting, nanoseconds.
    pub latency_ns: u64,
    /// Faulting address.
    pub address: u64,
    /// Instruction that faulted.
    pub ip: u64,
    /// Process, in the root pid namespace.
    pub tgid: u32,
    /// Thread, in the root pid namespace.
    pub tid: u32,
    /// CPU on which it entered.
    pub cpu: u16,
    /// The kernel's class.
    pub major: bool,
    /// Ended in a signal.
    pub failed: bool,
    /// `enum pf_access`, without the bits beside it; 0 where the backend cannot tell.
    pub access: u8,
    /// `enum pf_origin`.
    pub origin: u8,
    /// Attempts beyond the first.
    pub retries: u8,
    /// The last signal that interrupted it, or that it ended in; 0: none.
    pub signal: u8,
    /// How often it was interrupted, and tried again.
    pub interruptions: u32,
    /// From the end of an attempt to the begin of the next one, in all, nanoseconds: not part of the latency.
    pub between_ns: u64,
    /// Failed: interrupted, and completed by no later attempt. It has no counts.
    pub abandoned: bool,
    /// The thread's own counters, this fault included.
    pub counts: Counts,
    /// The mapping, where the backend sees it.
    pub vma: Option<Vma>,
    /// Where the time went, where it was asked for.
    pub times: Option<Times>,
    /// Its cause, as far as somebody looked.
    pub witnesses: Witnesses,
    /// Hash of the user stack; 0: none.
    pub stack: u64,
    /// When the innermost query of the thread began; 0: none.
    pub query: u64,
}

impl Fault {
    /// When it completed, or was given up, nanoseconds of `CLOCK_MONOTONIC`.
    #[must_use]
    pub(crate) fn completed_ns(&self) -> u64 {
        self.ts_ns
            .saturating_add(self.latency_ns)
            .saturating_add(self.between_ns)
    }

    /// Whether a software event told of its completion: of all that the kernel counts but those of
    /// `get_user_pages`.
    #[must_use]
    pub fn is_event(&self) -> bool {
        !self.failed && self.origin <= 1
    }
}

/// The mapping a fault was in, as the kernel had it at that moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vma {
    /// Device of the file, major and minor number.
    pub device: (u32, u32),
    /// Inode of the file; 0 for memory without one.
    pub inode: u64,
    /// Page of the file, in pages of this machine.
    pub file_page: u64,
}

/// Where the time of a fault went, nanoseconds. The rest of its latency is CPU time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Asleep, until woken.
    pub blocked_ns: u64,
    /// Runnable, without a CPU.
    pub runqueue_ns: u64,
    /// Of all that, in direct reclaim.
    pub reclaim_ns: u64,
    /// Of all that, outside `handle_mm_fault`: looking up and locking the mapping.
    pub lock_ns: u64,
}

/// What was seen of the cause of a fault. Kept small: every fault on its way to the encoder has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Witnesses {
    /// Hash of the kernel's stack in its longest sleep; 0: it did not sleep, or there was no stack.
    sleep: u64,
    /// Of the pages that it added to the page cache, the first in the file.
    first_added: u64,
    /// Pages that it added to the page cache.
    pages_added: u32,
    looked: Looked,
}

/// Who looked, and whether the page was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Looked {
    at_sleeps: bool,
    at_additions: bool,
    at_first: bool,
    present: Option<bool>,
}

impl Witnesses {
    /// Hash of the kernel's stack in its longest sleep; 0: it did not sleep, or there was no stack. `None`: nobody looked.
    #[must_use]
    pub fn sleep(&self) -> Option<u64> {
        self.looked.at_sleeps.then_some(self.sleep)
    }

    /// Pages that it added to the page cache. `None`: nobody looked.
    #[must_use]
    pub fn pages_added(&self) -> Option<u32> {
        self.looked.at_additions.then_some(self.pages_added)
    }

    /// Of the pages that it added to the page cache, the first in the file; `None` also where there was none.
    #[must_use]
    pub fn first_added(&self) -> Option<u64> {
        self.looked.at_first.then_some(self.first_added)
    }

    /// Whether the page was there, and did not permit the access. `None`: nobody looked.
    #[must_use]
    pub fn present(&self) -> Option<bool> {
        self.looked.present
    }
}

/// A stack, of user code or of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// When it was taken, nanoseconds of `CLOCK_MONOTONIC`.
    pub ts_ns: u64,
    /// Process, in the root pid namespace; 0 for the kernel.
    pub tgid: u32,
    /// By which faults name it.
    pub hash: u64,
    /// `enum pf_stack_end`.
    pub end: u8,
    /// Addresses, innermost first; all others are return addresses.
    pub frames: Vec<u64>,
}

/// A sleep in `get_user_pages`, of whose faults no event tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HiddenWait {
    /// When it fell asleep, nanoseconds of `CLOCK_MONOTONIC`.
    pub begin_ns: u64,
    /// Until it ran again, nanoseconds.
    pub wait_ns: u64,
    /// Process, in the root pid namespace.
    pub tgid: u32,
    /// Thread, in the root pid namespace.
    pub tid: u32,
    /// Number of the system call, where it is known.
    pub call: Option<u32>,
    /// Hash of the kernel's stack.
    pub sleep: u64,
    /// Device and inode of the file to whose page cache it had added pages last, since its last fault.
    pub file: Option<((u32, u32), u64)>,
}

/// A unit of work of a thread. The thread and the begin name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The number given to [`crate::Probes::attach_query`].
    pub probe: u32,
    /// Nanoseconds of `CLOCK_MONOTONIC`; 0: before the recording.
    pub begin_ns: u64,
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub end_ns: u64,
    /// When the query around it began; 0: none.
    pub parent_ns: u64,
    /// Its id argument.
    pub key: Option<u64>,
    /// Process, in the root pid namespace.
    pub tgid: u32,
    /// Thread, in the root pid namespace.
    pub tid: u32,
    /// Still in progress when the recording ended.
    pub open: bool,
    /// The thread left it without its end probe.
    pub abandoned: bool,
    /// Its own faults, as counted in the kernel.
    pub own: QueryFaults,
    /// Those of all queries inside it.
    pub nested: QueryFaults,
}

/// Faults of a query, whether or not they were passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryFaults {
    /// Major ones.
    pub majors: u32,
    /// Minor ones.
    pub minors: u32,
    /// Their latencies together, nanoseconds; failed faults too.
    pub wait_ns: u64,
}

/// The text of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryText {
    /// Thread of the query.
    pub tid: u32,
    /// Its begin, nanoseconds of `CLOCK_MONOTONIC`.
    pub begin_ns: u64,
    /// At most 256 bytes.
    pub text: Vec<u8>,
    /// There was more.
    pub cut: bool,
}

/// The end of a recorded thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub ts_ns: u64,
    /// Process, in the root pid namespace.
    pub tgid: u32,
    /// Thread, in the root pid namespace.
    pub tid: u32,
    /// The thread's counters at its end.
    pub counts: Counts,
}

/// An exec from another thread than the first of its process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exec {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub ts_ns: u64,
    /// Process, in the root pid namespace.
    pub tgid: u32,
    /// The number that it took over.
    pub tid: u32,
    /// The number that it had.
    pub old_tid: u32,
}

/// A thread's counters as the kernel and the probes keep them. `majors` and `minors` wrap at 2³².
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The kernel's `maj_flt`, low half.
    pub majors: u32,
    /// The kernel's `min_flt`, low half.
    pub minors: u32,
    /// Since the last record of the task: faults the probes saw and could not pass on.
    pub lost: u32,
    /// Since the last record of the task: faults the kernel counted without telling the probes.
    pub hidden: u32,
    /// Since the last record of the task: faults that were not asked for.
    pub filtered: u32,
}

// The wire structs have no implicit padding, so every byte of a record is initialised by the probe.
const _: () = assert!(size_of::<pf_fault>() == 64 && size_of::<pf_more>() == 64);
const _: () = assert!(size_of::<pf_cause>() == 24 && offset_of!(pf_ring_fault, cause) == 144);
const _: () = assert!(size_of::<pf_ring_fault>() == 168 && offset_of!(pf_ring_fault, more) == 64);
const _: () = assert!(size_of::<pf_hidden_wait>() == 56 && offset_of!(pf_hidden_wait, tgid) == 44);
const _: () = assert!(size_of::<pf_interruptions>() == 16 && size_of::<pf_exec>() == 32);
const _: () = assert!(size_of::<pf_exit>() == 40 && offset_of!(pf_exit, counts) == 24);
const STACK_HEADER: usize = offset_of!(pf_stack, address);
const _: () = assert!(STACK_HEADER == 24);
const _: () = assert!(size_of::<pf_query>() == 80 && offset_of!(pf_query, own) == 48);
const _: () = assert!(size_of::<pf_query_text>() == 280 && offset_of!(pf_query_text, text) == 16);

/// The bits of `enum pf_access` that say what was tried.
const ACCESS: u8 = 3;

/// `PF_TIME_BITS`.
const TIME_BITS: u32 = 48;

impl Record {
    /// Decodes one record of the ring; `None` if its kind or length is not of the wire contract.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match pf_kind(u32::from(*bytes.first()?)) {
            pf_kind::PF_FAULT => {
                let raw = read::<pf_ring_fault>(bytes)?;
                let mut record = Self::from_lane(raw.fault, || raw.more, || Some(raw.cause))?;
                if let Self::Fault(fault) = &mut record {
                    fault.interruptions = raw.interruptions.count;
                    fault.between_ns = raw.interruptions.between_ns;
                }
                Some(record)
            }
            pf_kind::PF_EXIT => read::<pf_exit>(bytes).map(|raw| Self::Exit(raw.into())),
            pf_kind::PF_EXEC => read::<pf_exec>(bytes).map(|raw| Self::Exec(raw.into())),
            pf_kind::PF_STACK => stack(bytes).map(|stack| Self::Stack(Box::new(stack))),
            pf_kind::PF_KERNEL_STACK => stack(bytes).map(|stack| Self::KernelStack(Box::new(stack))),
            pf_kind::PF_HIDDEN_WAIT => read::<pf_hidden_wait>(bytes).map(|raw| Self::HiddenWait(raw.into())),
            pf_kind::PF_QUERY => read::<pf_query>(bytes).map(|raw| Self::Query(Box::new(raw.into()))),
            pf_kind::PF_TEXT => read::<pf_query_text>(bytes).map(|raw| Self::QueryText(Box::new(raw.into()))),
            pf_kind::PF_WAKE => Some(Self::Wake),
            _ => None,
        }
    }

    /// Decodes one record of a lane, where only faults are. `more` and `cause` are asked for the other parts if there are
    /// any.
    pub(crate) fn from_lane(
        raw: pf_fault,
        more: impl FnOnce() -> pf_more,
        cause: impl FnOnce() -> Option<pf_cause>,
    ) -> Option<Self> {
        (pf_kind(u32::from(raw.kind)) == pf_kind::PF_FAULT).then(|| Self::Fault(fault(raw, more, cause)))
    }

    /// When it was sent, nanoseconds of `CLOCK_MONOTONIC`: for a fault its completion.
    #[must_use]
    pub fn at_ns(&self) -> u64 {
        match self {
            Self::Fault(fault) => fault.completed_ns(),
            Self::Exit(exit) => exit.ts_ns,
            Self::Exec(exec) => exec.ts_ns,
            Self::Stack(stack) | Self::KernelStack(stack) => stack.ts_ns,
            Self::HiddenWait(wait) => wait.begin_ns.saturating_add(wait.wait_ns),
            Self::Query(query) => query.end_ns,
            Self::QueryText(text) => text.begin_ns,
            Self::Wake => 0,
        }
    }
}

/// Marks the generated wire structs: integers only, so that any bytes are a valid value.
trait Plain: Copy {}
impl Plain for pf_ring_fault {}
impl Plain for pf_exit {}
impl Plain for pf_exec {}
impl Plain for pf_hidden_wait {}
impl Plain for pf_query {}
impl Plain for pf_query_text {}

fn read<T: Plain>(bytes: &[u8]) -> Option<T> {
    // The kernel rounds records up to 8 bytes, never down.
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: the length was checked, T is made of integers only, and the read is unaligned.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// Its length is that of its frames, so it is read field by field.
fn stack(bytes: &[u8]) -> Option<Stack> {
    let word = |at: usize| Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    let frames = u16::from_ne_bytes(*bytes.get(2..)?.first_chunk()?);
    let frames = (0..usize::from(frames)).map(|frame| word(STACK_HEADER + 8 * frame));
    Some(Stack {
        ts_ns: word(offset_of!(pf_stack, ts_ns))?,
        tgid: u32::from_ne_bytes(*bytes.get(offset_of!(pf_stack, tgid)..)?.first_chunk()?),
        hash: word(offset_of!(pf_stack, hash))?,
        end: *bytes.get(offset_of!(pf_stack, end))?,
        frames: frames.collect::<Option<_>>()?,
    })
}

fn fault(raw: pf_fault, more: impl FnOnce() -> pf_more, cause: impl FnOnce() -> Option<pf_cause>) -> Fault {
    let has = |flag: pf_flag| u32::from(raw.flags) & flag.0 != 0;
    // Without the flag the second half is what an older record left there.
    let more = if has(pf_flag::PF_HAS_MORE) {
        more()
    } else {
        pf_more::default()
    };
    let cause = if has(pf_flag::PF_HAS_CAUSE) { cause() } else { None };
    Fault {
        ts_ns: raw.ts_ns,
        latency_ns: raw.latency_ns,
        address: raw.address,
        ip: raw.ip,
        tgid: raw.tgid,
        tid: raw.tid,
        cpu: raw.cpu,
        major: has(pf_flag::PF_MAJOR),
        failed: has(pf_flag::PF_FAILED),
        access: raw.access & ACCESS,
        origin: raw.origin,
        retries: raw.retries,
        signal: raw.signal,
        interruptions: 0,
        between_ns: 0,
        abandoned: has(pf_flag::PF_ABANDONED),
        counts: counts(raw.counts, more.filtered),
        vma: has(pf_flag::PF_HAS_VMA).then_some(Vma {
            device: device(more.dev),
            inode: more.inode,
            file_page: more.file_page,
        }),
        times: has(pf_flag::PF_HAS_BREAKDOWN).then(|| unpack_times(more.times)),
        witnesses: witnesses(raw.access, cause),
        stack: more.stack,
        query: more.query,
    }
}

fn witnesses(access: u8, cause: Option<pf_cause>) -> Witnesses {
    let is_set = |bit: pf_access| u32::from(access) & bit.0 != 0;
    let cause = cause.unwrap_or_default();
    let looked = |at: pf_witness| cause.witnesses & at.0 != 0;
    Witnesses {
        sleep: cause.sleep,
        first_added: cause.first,
        pages_added: cause.added,
        looked: Looked {
            at_sleeps: looked(pf_witness::PF_WITNESS_SLEEP),
            at_additions: looked(pf_witness::PF_WITNESS_ADDED),
            at_first: looked(pf_witness::PF_WITNESS_FIRST),
            present: is_set(pf_access::PF_PRESENCE_KNOWN).then(|| is_set(pf_access::PF_PRESENT)),
        },
    }
}

/// Four numbers, the lowest bits first.
fn unpack_times(words: [u64; 3]) -> Times {
    let time = |which: u32| {
        let (word, shift) = ((which * TIME_BITS / 64) as usize, which * TIME_BITS % 64);
        let low = words[word] >> shift;
        let high = match words.get(word + 1) {
            Some(next) if shift > 64 - TIME_BITS => next << (64 - shift),
            _ => 0,
        };
        (low | high) & ((1 << TIME_BITS) - 1)
    };
    Times {
        blocked_ns: time(0),
        runqueue_ns: time(1),
        reclaim_ns: time(2),
        lock_ns: time(3),
    }
}

impl From<pf_query> for Query {
    fn from(raw: pf_query) -> Self {
        let has = |flag: pf_query_flag| u32::from(raw.flags) & flag.0 != 0;
        Self {
            probe: raw.probe,
            begin_ns: raw.begin_ns,
            end_ns: raw.end_ns,
            parent_ns: raw.parent_ns,
            key: has(pf_query_flag::PF_QUERY_HAS_KEY).then_some(raw.key),
            tgid: raw.tgid,
            tid: raw.tid,
            open: has(pf_query_flag::PF_QUERY_OPEN),
            abandoned: has(pf_query_flag::PF_QUERY_ABANDONED),
            own: raw.own.into(),
            nested: raw.nested.into(),
        }
    }
}

impl From<pf_query_faults> for QueryFaults {
    fn from(raw: pf_query_faults) -> Self {
        Self {
            majors: raw.majors,
            minors: raw.minors,
            wait_ns: raw.wait_ns,
        }
    }
}

impl From<pf_query_text> for QueryText {
    fn from(raw: pf_query_text) -> Self {
        let bytes = raw.text.iter().take(raw.length.into());
        Self {
            tid: raw.tid,
            begin_ns: raw.begin_ns,
            text: bytes.map(|byte| byte.cast_unsigned()).collect(),
            cut: raw.cut != 0,
        }
    }
}

impl From<pf_exit> for Exit {
    fn from(raw: pf_exit) -> Self {
        Self {
            ts_ns: raw.ts_ns,
            tgid: raw.tgid,
            tid: raw.tid,
            counts: counts(raw.counts, raw.filtered),
        }
    }
}

impl From<pf_exec> for Exec {
    fn from(raw: pf_exec) -> Self {
        Self {
            ts_ns: raw.ts_ns,
            tgid: raw.tgid,
            tid: raw.tid,
            old_tid: raw.old_tid,
        }
    }
}

impl From<pf_hidden_wait> for HiddenWait {
    fn from(raw: pf_hidden_wait) -> Self {
        Self {
            begin_ns: raw.ts_ns,
            wait_ns: raw.wait_ns,
            tgid: raw.tgid,
            tid: raw.tid,
            call: u32::try_from(raw.call).ok(),
            sleep: raw.sleep,
            file: (raw.inode != 0).then_some((device(raw.dev), raw.inode)),
        }
    }
}

/// Major and minor number, as the kernel packs them.
fn device(dev: u32) -> (u32, u32) {
    (dev >> 20, dev & 0xf_ffff)
}

fn counts(raw: pf_task_counts, filtered: u32) -> Counts {
    Counts {
        majors: raw.maj_flt,
        minors: raw.min_flt,
        lost: raw.lost,
        hidden: raw.hidden,
        filtered,
    }
}

#[cfg(test)]
mod tests;
