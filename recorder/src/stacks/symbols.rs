//! Names for all frames at the end of a recording, within a bounded time. What goes wrong with one file
//! costs the names of that file and makes a note.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

use nix::sys::memfd::{MFdFlags, memfd_create};
use pf_formats::{BuildId, Dict, FrameId, Inlined, ObjectId, Symbol};

use super::{
    binaries::{Binaries, Binary},
    debug_link,
    elf::{self, Answer, Found, Function},
    jit::Budget,
    perf_map::PerfMaps,
    trie::Target,
};
use crate::{
    files::open::Pinned,
    files::sandbox::{self, Failure, Limits},
    session::proc,
};

/// For everything.
pub const TOTAL_TIME: Duration = Duration::from_secs(60);
/// For one file with its debug information; then its symbol table alone gets the last of these.
const FILE_TIME: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(5)];
/// Memory for one of them: debug information of a browser needs about a gigabyte.
pub const MEMORY: u64 = 2 << 30;
/// Bytes of one dictionary record, and symbols in it.
const RECORD: (usize, usize) = (512 << 10, 32_768);
/// Bytes of all symbols, a quarter of what a reader must keep for all dictionaries.
const TEXT: usize = 64 << 20;
/// Largest build id that the format takes.
const BUILD_ID: usize = 64;

/// What the end of a recording adds to the trace.
#[derive(Debug, Default)]
pub struct Symbols {
    /// Symbols and build ids, in records that are within the format's limits.
    pub dicts: Vec<Dict>,
    /// What has no names and why, for people; each once.
    pub notes: Vec<String>,
}

/// A frame and what to look up: an offset or an address, and how far behind it the frame is.
#[derive(Clone, Copy)]
pub struct Wanted {
    /// The offset or address.
    pub at: u64,
    /// Whose name it is.
    pub frame: FrameId,
    /// Bytes that the frame is behind it.
    pub back: u64,
}

/// What was found so far, and how long it may go on.
pub struct Work<'a> {
    until: Instant,
    /// Asked now and then.
    pub give_up: &'a mut dyn FnMut() -> bool,
    /// Those found.
    pub symbols: Vec<Symbol>,
    /// What they take in the trace, and those that found no room.
    bytes: usize,
    build_ids: Vec<BuildId>,
    notes: BTreeSet<String>,
    /// What a limit left out: told before what has no names for a reason of its own.
    limits: BTreeSet<String>,
    /// The user does not want to wait.
    pub given_up: bool,
}

/// Looks up every target.
pub fn symbolise(
    targets: Vec<(FrameId, Target, u64)>,
    mut binaries: Binaries,
    perf_maps: PerfMaps,
    is_kernel_shown: bool,
    mut give_up: impl FnMut() -> bool,
) -> Symbols {
    let mut work = Work::new(&mut give_up);
    let mut files: BTreeMap<ObjectId, Vec<Wanted>> = BTreeMap::new();
    let mut processes: BTreeMap<u32, Vec<Wanted>> = BTreeMap::new();
    let (mut vdso, mut has_kernel) = (Vec::new(), false);
    for (frame, target, back) in targets {
        let (list, at) = match target {
            Target::File { object, offset } => (files.entry(object).or_default(), offset),
            Target::Jit { pid, address } => (processes.entry(pid).or_default(), address),
            Target::Vdso { offset } => (&mut vdso, offset),
            // Named when they came.
            Target::Kernel => {
                has_kernel = true;
                continue;
            }
            Target::Nothing => continue,
        };
        list.push(Wanted { at, frame, back });
    }
    if has_kernel && !is_kernel_shown {
        work.note(
            "no symbols: [kernel] (/proc/kallsyms hides where its functions are: see kernel.kptr_restrict)"
                .to_owned(),
        );
    }
    // When time is short, the files with most frames are worth most.
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort_by_key(|(_, wanted)| std::cmp::Reverse(wanted.len()));
    for (object, wanted) in files {
        if let Some(binary) = binaries.take(object) {
            work.file(object, binary, wanted);
        }
    }
    work.vdso(vdso);
    let budget = Budget::until(work.until);
    work.processes(processes, &perf_maps, budget);
    work.finish()
}

impl<'a> Work<'a> {
    /// Nothing is found yet.
    pub fn new(give_up: &'a mut dyn FnMut() -> bool) -> Self {
        Self {
            until: Instant::now() + TOTAL_TIME,
            give_up,
            symbols: Vec::new(),
            bytes: 0,
            build_ids: Vec::new(),
            notes: BTreeSet::new(),
            limits: BTreeSet::new(),
            given_up: false,
        }
    }

    fn file(&mut self, object: ObjectId, binary: Binary, wanted: Vec<Wanted>) {
        if self.given_up {
            return;
        }
        // Where it is no more it is looked for, which whoever made the path can make take long.
        if Instant::now() >= self.until {
            return self.limit(took_too_long());
        }
        let path = binary.path.clone();
        let Some(file) = binary.into_file() else {
            self.note(format!("no symbols: {path} (it is gone)"));
            return;
        };
        match self.look_into(&file, wanted) {
            Ok((found, of, build_id, reason)) => {
                if (1..=BUILD_ID).contains(&build_id.len()) {
                    self.build_ids.push(BuildId { object, id: build_id });
                }
                let reason = reason.unwrap_or_else(|| "stripped".to_owned());
                if found == 0 && of > 0 {
                    self.note(format!("no symbols: {path} ({reason})"));
                } else if found < of / 2 {
                    self.note(format!("few symbols: {path} ({found} of {of} frames; {reason})"));
                }
            }
            Err(Failure::GivenUp) => self.give_up(),
            Err(e) => self.note(format!("no symbols: {path} ({e})")),
        }
    }

    /// How many of how many were found, the build id, and why not all.
    fn look_into(
        &mut self,
        file: &Pinned,
        mut wanted: Vec<Wanted>,
    ) -> Result<(usize, usize, Vec<u8>, Option<String>), Failure> {
        // Neighbours share a unit of debug information.
        wanted.sort_unstable_by_key(|wanted| wanted.at);
        let offsets: Vec<u64> = wanted.iter().map(|wanted| wanted.at).collect();
        let path = file.path();
        let debug = self.debug_file_of(file);
        let mut files = vec![file];
        files.extend(debug.as_ref().ok().and_then(Option::as_ref));
        let mut result = Err(Failure::TooLong);
        for (limit, lines) in FILE_TIME.into_iter().zip([debug.is_ok(), false]) {
            let time = limit.min(self.until.saturating_duration_since(Instant::now()));
            if time.is_zero() {
                break;
            }
            let limits = Limits { time, memory: MEMORY };
            result = sandbox::run(limits, &files, self.give_up, || {
                elf::look_up(&path, &offsets, lines)
            });
            if !matches!(result, Err(Failure::Crashed(_) | Failure::TooLong)) {
                break;
            }
        }
        let Answer {
            build_id,
            found,
            reason,
        } = result?;
        let count = found.len();
        for found in found {
            // What the child says is not to be trusted.
            if let Some(wanted) = wanted.get(found.at) {
                self.keep(to_symbol(found, wanted));
            }
        }
        Ok((count.min(wanted.len()), wanted.len(), build_id, reason))
    }

    /// The file beside it that has its debug information, if it names one. An error when what it names may be anything, and
    /// this kernel would not keep the reader from it.
    fn debug_file_of(&mut self, file: &Pinned) -> Result<Option<Pinned>, ()> {
        let time = FILE_TIME[1].min(self.until.saturating_duration_since(Instant::now()));
        if time.is_zero() {
            return Ok(None);
        }
        let limits = Limits { time, memory: MEMORY };
        let links = sandbox::run(limits, &[file], self.give_up, || debug_link::links_of(file));
        let links = links.unwrap_or_default();
        if links.lead_elsewhere && !sandbox::keeps_paths() {
            return Err(());
        }
        Ok(links.beside.and_then(|name| debug_link::beside(file, &name)))
    }

    /// Every process of this machine's word size has the same one as this process.
    fn vdso(&mut self, wanted: Vec<Wanted>) {
        if wanted.is_empty() || self.given_up {
            return;
        }
        if let Some(copy) = copy_of_vdso()
            && let Ok(file) = Pinned::by_path(format!("/proc/self/fd/{}", copy.as_raw_fd()))
        {
            // Nobody misses these names.
            self.look_into(&file, wanted).ok();
        }
    }

    /// Adds a symbol, if there is room for it.
    pub fn keep(&mut self, symbol: Symbol) {
        self.bytes = self.bytes.saturating_add(size_of_symbol(&symbol));
        if self.bytes <= TEXT {
            self.symbols.push(symbol);
        } else {
            self.limit(only_the_first());
        }
    }

    /// Whoever asked does not want to wait.
    pub fn give_up(&mut self) {
        self.given_up = true;
        self.limit("symbols: the lookup was interrupted, so some are missing".to_owned());
    }

    /// Something has no names, and why.
    pub fn note(&mut self, note: String) {
        self.notes.insert(note);
    }

    /// A limit left something out.
    pub fn limit(&mut self, note: String) {
        self.limits.insert(note);
    }

    /// All of it, as the trace takes it.
    pub fn finish(mut self) -> Symbols {
        self.symbols.sort_by_key(|symbol| symbol.frame);
        let mut dicts = Vec::new();
        let (mut total, mut bytes) = (0, 0);
        let mut entries = Vec::new();
        let mut symbols = self.symbols.into_iter();
        for symbol in symbols.by_ref() {
            let size = size_of_symbol(&symbol);
            total += size;
            if total > TEXT {
                self.limits.insert(only_the_first());
                break;
            }
            if !entries.is_empty() && (bytes + size > RECORD.0 || entries.len() >= RECORD.1) {
                dicts.push(Dict::Symbols {
                    entries: std::mem::take(&mut entries),
                });
                bytes = 0;
            }
            bytes += size;
            entries.push(symbol);
        }
        if !entries.is_empty() {
            dicts.push(Dict::Symbols { entries });
        }
        for chunk in self.build_ids.chunks(RECORD.0 / (BUILD_ID + 16)) {
            dicts.push(Dict::BuildIds {
                entries: chunk.to_vec(),
            });
        }
        Symbols {
            dicts,
            notes: self.limits.into_iter().chain(self.notes).collect(),
        }
    }
}

fn to_symbol(found: Found, wanted: &Wanted) -> Symbol {
    let Found {
        function: Function { name, file, line },
        ..
    } = found;
    let inlined = found.inlined.into_iter();
    Symbol {
        frame: wanted.frame,
        name,
        offset: found.offset.saturating_add(wanted.back),
        file,
        line,
        inlined: inlined
            .map(|Function { name, file, line }| Inlined { name, file, line })
            .collect(),
    }
}

fn took_too_long() -> String {
    format!(
        "symbols: the lookup was stopped after {} s, so some are missing",
        TOTAL_TIME.as_secs()
    )
}

fn only_the_first() -> String {
    format!("symbols: only the first {} MiB are kept", TEXT >> 20)
}

/// An upper bound of its bytes in the trace.
fn size_of_symbol(symbol: &Symbol) -> usize {
    let texts = |name: &str, file: &str| name.len() + file.len() + 24;
    let inlined = symbol.inlined.iter();
    inlined
        .map(|inlined| texts(&inlined.name, &inlined.file))
        .sum::<usize>()
        + texts(&symbol.name, &symbol.file)
        + 16
}

/// Our own vDSO as a file.
fn copy_of_vdso() -> Option<File> {
    let maps = proc::maps(std::process::id())?;
    let map = maps.iter().find(|map| map.path == "[vdso]")?;
    let mut image = vec![0; usize::try_from(map.len).ok()?];
    let mut memory = File::open("/proc/self/mem").ok()?;
    memory.seek(SeekFrom::Start(map.start)).ok()?;
    memory.read_exact(&mut image).ok()?;
    let mut file = File::from(memfd_create(c"vdso", MFdFlags::MFD_CLOEXEC).ok()?);
    file.write_all(&image).ok()?;
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(symbols: Vec<Symbol>) -> Symbols {
        let mut never = || false;
        let mut work = Work::new(&mut never);
        work.symbols = symbols;
        work.finish()
    }

    fn sizes(symbols: &Symbols) -> Vec<usize> {
        let records = symbols.dicts.iter();
        records
            .map(|dict| match dict {
                Dict::Symbols { entries } => entries.len(),
                _ => 0,
            })
            .collect()
    }

    fn symbols(count: u32, name: &str) -> Vec<Symbol> {
        let symbol = |frame| Symbol {
            frame: FrameId(frame),
            name: name.to_owned(),
            ..Symbol::default()
        };
        (1..=count).map(symbol).collect()
    }

    #[test]
    fn no_record_has_too_many_symbols_or_bytes() {
        let short = finished(symbols(40_000, "f"));
        assert!(sizes(&short).iter().all(|&entries| entries <= RECORD.1));
        assert_eq!(sizes(&short).iter().sum::<usize>(), 40_000);
        let long = finished(symbols(1000, &"f".repeat(4096)));
        assert!(sizes(&long).iter().all(|entries| entries * 4200 <= 2 * RECORD.0));
        assert_eq!(sizes(&long).iter().sum::<usize>(), 1000);
    }

    #[test]
    fn symbols_that_find_no_room_are_not_kept_until_the_end_either() {
        let mut never = || false;
        let mut work = Work::new(&mut never);
        symbols(40_000, &"f".repeat(4096))
            .into_iter()
            .for_each(|symbol| work.keep(symbol));
        assert!(work.symbols.len() * 4096 <= TEXT, "{}", work.symbols.len());
        assert_eq!(work.finish().notes, ["symbols: only the first 64 MiB are kept"]);
    }

    #[test]
    fn all_symbols_together_are_bounded_and_the_note_says_so() {
        let all = finished(symbols(20_000, &"f".repeat(4096)));
        let kept = sizes(&all).iter().sum::<usize>();
        assert!(kept * 4096 <= TEXT && (kept + 100) * 4200 > TEXT, "{kept}");
        assert_eq!(all.notes, ["symbols: only the first 64 MiB are kept"]);
    }
}
