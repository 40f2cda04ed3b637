//! The kernel's side-band records: mappings, names, forks and exits with their times, for every
//! process, from a dummy software event on each CPU (as `perf record` gets them).

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
    os::fd::{AsRawFd, RawFd},
};

use anyhow::{Context, Result};
use perf_event::{
    Builder, Clock, SampleFlag, Sampler,
    data::{
        self, Visitor,
        endian::Native,
        parse::{ParseConfig, Parser},
    },
    events::Software,
};
use pf_bpf::{is_gone, online_cpus};

/// Ring of one CPU, bytes. A mapping takes about 120 bytes, and a CPU makes up to a million of them a second.
const RING_BYTES: usize = 4 << 20;

/// Ring for a few records of our own.
const OWN_RING_BYTES: usize = 64 << 10;

/// Bytes in a ring that wake whoever waits for it: the drain looks 20 times a second, which is too late for a million.
const WAKE_BYTES: usize = RING_BYTES / 8;

/// `PERF_RECORD_MISC_COMM_EXEC`: the name comes from an exec.
const MISC_COMM_EXEC: u16 = 1 << 13;

/// One side-band record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sideband {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub ts_ns: u64,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// What happened.
    pub what: What,
}

/// What a side-band record tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A mapping was made or changed.
    Map(Map),
    /// A thread has a new name.
    Comm {
        /// The name.
        comm: String,
        /// By an exec: all mappings are gone.
        exec: bool,
    },
    /// A thread or process began.
    Fork {
        /// Process of the creator.
        parent_pid: u32,
        /// Thread of the creator.
        parent_tid: u32,
    },
    /// A thread ended.
    Exit,
}

impl What {
    /// Memory besides the record itself, bytes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Map(map) => map.path.capacity(),
            Self::Comm { comm, .. } => comm.capacity(),
            Self::Fork { .. } | Self::Exit => 0,
        }
    }
}

/// A mapping as the kernel or /proc tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// First address.
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// Offset of `start` in the mapped object, bytes.
    pub offset: u64,
    /// `PROT_*` bits.
    pub prot: u32,
    /// `MAP_*` bits.
    pub flags: u32,
    /// Device of the file.
    pub device: (u32, u32),
    /// Inode of the file; 0 for memory without one.
    pub inode: u64,
    /// Of the inode: a number that is given again has another one. `None` where nobody tells.
    pub generation: Option<u64>,
    /// Path, or a name such as `[heap]` or `//anon`.
    pub path: String,
}

/// The open side-band rings.
#[derive(Default)]
pub struct SidebandRings {
    by_cpu: BTreeMap<usize, Sampler>,
    /// What was in the rings of CPUs that are gone, and not yet drained.
    rest: (Vec<Sideband>, SidebandLoss),
    /// The record that is looked at.
    bytes: Vec<u8>,
}

/// What a drain found besides the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SidebandLoss {
    /// Records the kernel could not place in a ring.
    pub lost: u64,
    /// Records that could not be understood.
    pub malformed: u64,
}

impl SidebandLoss {
    /// Adds what another drain found.
    pub fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.malformed += other.malformed;
    }
}

impl SidebandRings {
    /// Opens a ring on each CPU that is online and has none; closes those of CPUs that are gone, when they are read.
    pub fn follow_cpus(&mut self) -> Result<()> {
        let online = online_cpus()?;
        for (_, mut ring) in self.by_cpu.extract_if(.., |cpu, _| !online.contains(cpu)) {
            let loss = read(&mut ring, &mut self.bytes, &mut self.rest.0);
            self.rest.1.add(loss);
        }
        for cpu in online {
            if let Entry::Vacant(vacant) = self.by_cpu.entry(cpu) {
                match open(cpu) {
                    Ok(ring) => {
                        vacant.insert(ring);
                    }
                    Err(e) if is_gone(&e) => {}
                    Err(e) => return Err(e).with_context(|| format!("side-band records of CPU {cpu}")),
                }
            }
        }
        Ok(())
    }

    /// What can be read when a ring fills up.
    #[must_use]
    pub fn files(&self) -> Vec<RawFd> {
        self.by_cpu.values().map(AsRawFd::as_raw_fd).collect()
    }

    /// Appends everything that is in the rings now, CPU after CPU: not in time order.
    pub fn drain(&mut self, into: &mut Vec<Sideband>) -> SidebandLoss {
        let (rest, mut loss) = std::mem::take(&mut self.rest);
        into.extend(rest);
        for ring in self.by_cpu.values_mut() {
            loss.add(read(ring, &mut self.bytes, into));
        }
        loss
    }
}

/// What the kernel tells of the calling thread while it does something.
///
/// # Errors
///
/// When it may not be asked.
pub fn of_this_thread<T>(work: impl FnOnce() -> T) -> io::Result<(T, Vec<Sideband>)> {
    let mut ring = records()
        .observe_self()
        .any_cpu()
        .build()?
        .sampled(OWN_RING_BYTES)?;
    let done = work();
    let mut told = Vec::new();
    read(&mut ring, &mut Vec::new(), &mut told);
    Ok((done, told))
}

/// Appends what is in one ring. `bytes` are for the record that is looked at.
fn read(ring: &mut Sampler, bytes: &mut Vec<u8>, into: &mut Vec<Sideband>) -> SidebandLoss {
    let mut loss = SidebandLoss::default();
    let config = ring.as_counter().config().clone();
    while let Some(record) = ring.next_record() {
        with_header(&record, bytes);
        match parse(bytes, &config) {
            Parsed::Record(record) => into.push(record),
            Parsed::Lost(count) => loss.lost += count,
            Parsed::Other => {}
            Parsed::Malformed => loss.malformed += 1,
        }
    }
    loss
}

fn open(cpu: usize) -> io::Result<Sampler> {
    records()
        .any_pid()
        .one_cpu(cpu)
        .wakeup_watermark(WAKE_BYTES)
        .build()?
        .sampled(RING_BYTES)
}

fn records() -> Builder<'static> {
    let mut records = Builder::new(Software::DUMMY);
    records
        .exclude_kernel(false)
        .exclude_hv(false)
        .mmap(true)
        .mmap2(true)
        .mmap_data(true)
        .comm(true)
        .comm_exec(true)
        .task(true)
        .sample_id_all(true)
        .sample(SampleFlag::TID | SampleFlag::TIME)
        .clockid(Clock::MONOTONIC)
        .enabled(true);
    records
}

/// The record as it stands in the ring: the parser wants the header in front.
fn with_header(record: &perf_event::Record<'_>, bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.extend(record.ty().to_ne_bytes());
    bytes.extend(record.misc().to_ne_bytes());
    bytes.extend(u16::try_from(8 + record.len()).unwrap_or(u16::MAX).to_ne_bytes());
    record
        .data()
        .iter()
        .for_each(|part| bytes.extend_from_slice(part));
}

enum Parsed {
    Record(Sideband),
    Lost(u64),
    Other,
    Malformed,
}

fn parse(bytes: &[u8], config: &ParseConfig<Native>) -> Parsed {
    Parser::new(bytes, config.clone())
        .parse_record(ToSideband)
        .unwrap_or(Parsed::Malformed)
}

struct ToSideband;

impl ToSideband {
    fn at(metadata: &data::RecordMetadata, pid: u32, tid: u32, what: What) -> Parsed {
        match metadata.sample_id().time() {
            Some(ts_ns) => Parsed::Record(Sideband {
                ts_ns,
                pid,
                tid,
                what,
            }),
            None => Parsed::Malformed,
        }
    }
}

impl<'a> Visitor<'a> for ToSideband {
    type Output = Parsed;

    fn visit_unimplemented(self, _: data::RecordMetadata) -> Parsed {
        Parsed::Other
    }

    fn visit_lost(self, record: data::Lost, _: data::RecordMetadata) -> Parsed {
        Parsed::Lost(record.lost)
    }

    fn visit_comm(self, record: data::Comm<'a>, metadata: data::RecordMetadata) -> Parsed {
        let what = What::Comm {
            comm: text(&record.comm),
            exec: metadata.misc() & MISC_COMM_EXEC != 0,
        };
        Self::at(&metadata, record.pid, record.tid, what)
    }

    fn visit_fork(self, record: data::Fork, metadata: data::RecordMetadata) -> Parsed {
        let what = What::Fork {
            parent_pid: record.ppid,
            parent_tid: record.ptid,
        };
        Self::at(&metadata, record.pid, record.tid, what)
    }

    fn visit_exit(self, record: data::Exit, metadata: data::RecordMetadata) -> Parsed {
        Self::at(&metadata, record.pid, record.tid, What::Exit)
    }

    fn visit_mmap2(self, record: data::Mmap2<'a>, metadata: data::RecordMetadata) -> Parsed {
        let map = Map {
            start: record.addr,
            len: record.len,
            offset: record.pgoff,
            prot: record.prot,
            flags: record.flags,
            device: (record.maj().unwrap_or(0), record.min().unwrap_or(0)),
            inode: record.ino().unwrap_or(0),
            // File systems without it say 0.
            generation: record.ino_generation().filter(|generation| *generation != 0),
            path: text(&record.filename),
        };
        Self::at(&metadata, record.pid, record.tid, What::Map(map))
    }
}

/// Text up to its NUL padding.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
