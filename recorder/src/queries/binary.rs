//! What an ELF file offers to attach to: its functions and its USDT probes. Whoever made the file may have written
//! anything, so this runs in the confined child.

use std::{collections::BTreeSet, fs::File};

use anyhow::{Context, Result, bail, ensure};
use object::{
    Endianness, Object, ObjectSection, ObjectSegment, ObjectSymbol, SegmentFlags, SymbolKind, elf,
    read::{
        ReadCache, ReadCacheOps,
        elf::{ElfFile64, SectionHeader as _},
    },
};
use serde::{Deserialize, Serialize};

use crate::{files::demangle::demangled, files::open::Pinned};

/// Where systemtap's macros, and all that follow them, describe probes.
const NOTES: &str = ".note.stapsdt";
const PROBE_NOTE: u32 = 3;
/// Of a section of this name only the address matters: a program may have been moved since its probes were described.
const BASE: &str = ".stapsdt.base";
/// Bytes of all notes. Those of the largest programs are some hundred thousand.
const NOTE_BYTES: u64 = 16 << 20;
/// Bytes of what one note says.
const NOTE_WORD: usize = 1024;
/// What every program of Go has, stripped or not.
const GO: &str = ".go.buildinfo";

/// Names that are told when one is not found.
const SUGGESTIONS: usize = 5;
/// How much alike a name must be to be told, of 1.
const ALIKE: f64 = 0.7;

/// A file that programs are run from. It is read, not mapped: whoever owns it may cut it meanwhile.
pub struct Binary<S: ReadCacheOps = File> {
    contents: ReadCache<S>,
}

/// A function.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Function {
    /// As the source has it.
    pub name: String,
    /// As the file has it.
    pub symbol: String,
    /// Bytes in the file.
    pub offset: u64,
}

impl Function {
    /// Go names functions with their package; C cannot.
    #[must_use]
    pub fn is_of_go(&self) -> bool {
        self.symbol.contains('.')
    }
}

/// A USDT probe at one of its places.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Note {
    /// Whose it is.
    pub provider: String,
    /// What it is called.
    pub name: String,
    /// Bytes in the file; `None` where its address is not in the program.
    pub offset: Option<u64>,
    /// The same of its semaphore; 0: it has none.
    pub semaphore: Option<u64>,
    /// Where its arguments are.
    pub arguments: String,
}

/// A part of the file as it is loaded.
struct Loaded {
    address: u64,
    /// Bytes of it that are in the file.
    size: u64,
    offset: u64,
    is_executable: bool,
}

impl Binary {
    /// Opens a file; `shown` is how the user knows it.
    pub fn open(file: &Pinned, shown: &str) -> Result<Self> {
        Self::of(file.open().with_context(|| shown.to_owned())?, shown)
    }
}

impl<S: ReadCacheOps> Binary<S> {
    /// One that is open; `shown` is how the user knows it.
    pub fn of(contents: S, shown: &str) -> Result<Self> {
        let binary = Self {
            contents: ReadCache::new(contents),
        };
        binary
            .parse()
            .with_context(|| format!("{shown}: not a 64-bit ELF file"))?;
        Ok(binary)
    }

    fn parse(&self) -> object::Result<ElfFile64<'_, Endianness, &ReadCache<S>>> {
        ElfFile64::parse(&self.contents)
    }

    /// Made by the compiler of Go, perhaps with parts in C.
    #[must_use]
    pub fn is_go(&self) -> bool {
        let file = self.parse();
        file.is_ok_and(|file| file.section_by_name(GO).is_some())
    }

    /// All functions, one name for each place.
    pub fn functions(&self) -> Result<Vec<Function>> {
        let file = self.parse()?;
        let loaded = loaded(&file);
        let mut found = BTreeSet::new();
        for symbol in file.symbols().chain(file.dynamic_symbols()) {
            if symbol.kind() != SymbolKind::Text || symbol.is_undefined() {
                continue;
            }
            let (Ok(name), Some(offset)) = (symbol.name(), offset_of(&loaded, symbol.address(), true)) else {
                continue;
            };
            // Versions are told in the names of some symbol tables.
            let symbol = name.split('@').next().unwrap_or(name);
            found.insert((offset, symbol.to_owned()));
        }
        Ok(found
            .into_iter()
            .map(|(offset, symbol)| Function {
                name: demangled(&symbol).into_owned(),
                symbol,
                offset,
            })
            .collect())
    }

    /// All USDT probes.
    pub fn notes(&self) -> Result<Vec<Note>> {
        let file = self.parse()?;
        let mut found = Vec::new();
        let Some(section) = file.section_by_name(NOTES) else {
            return Ok(found);
        };
        ensure!(
            section.size() <= NOTE_BYTES,
            "its notes have more than {} MiB",
            NOTE_BYTES >> 20
        );
        let Some(mut notes) = section.elf_section_header().notes(file.endian(), file.data())? else {
            return Ok(found);
        };
        let base = file.section_by_name(BASE).map_or(0, |section| section.address());
        let loaded = loaded(&file);
        while let Some(note) = notes.next()? {
            if note.name() == b"stapsdt" && note.n_type(file.endian()) == PROBE_NOTE {
                found.extend(read_note(note.desc(), base, &loaded));
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// The file is built for the machine it would run on.
    pub fn check_machine(&self, shown: &str) -> Result<()> {
        let native = if cfg!(target_arch = "x86_64") {
            elf::EM_X86_64
        } else {
            elf::EM_AARCH64
        };
        let header = self.parse()?;
        if header.elf_header().e_machine.get(header.endian()) != native {
            bail!("{shown}: built for another architecture");
        }
        Ok(())
    }
}

/// Three addresses (of the probe, of the base when it was described, of the semaphore), then provider, name and arguments.
fn read_note(note: &[u8], base: u64, loaded: &[Loaded]) -> Option<Note> {
    let (addresses, texts) = note.split_at_checked(24)?;
    let mut addresses = addresses
        .chunks_exact(8)
        .filter_map(|bytes| bytes.try_into().ok().map(u64::from_le_bytes));
    let (address, base_then, semaphore) = (addresses.next()?, addresses.next()?, addresses.next()?);
    let mut words = texts.split(|&byte| byte == 0);
    let mut word = || {
        let word = words.next().unwrap_or_default();
        (word.len() <= NOTE_WORD).then(|| String::from_utf8_lossy(word).into_owned())
    };
    let moved = if base == 0 || base_then == 0 {
        0
    } else {
        base.wrapping_sub(base_then)
    };
    Some(Note {
        provider: word()?,
        name: word()?,
        arguments: word()?,
        offset: offset_of(loaded, address.wrapping_add(moved), true),
        semaphore: match semaphore {
            0 => Some(0),
            address => offset_of(loaded, address.wrapping_add(moved), false),
        },
    })
}

fn loaded<'a, S: ReadCacheOps>(file: &ElfFile64<'a, Endianness, &'a ReadCache<S>>) -> Vec<Loaded> {
    file.segments()
        .map(|segment| {
            let (offset, size) = segment.file_range();
            let flags = match segment.flags() {
                SegmentFlags::Elf { p_flags } => p_flags,
                _ => 0,
            };
            Loaded {
                address: segment.address(),
                size: size.min(segment.size()),
                offset,
                is_executable: flags & elf::PF_X != 0,
            }
        })
        .collect()
}

/// Where in the file an address is: of code, or of data.
fn offset_of(loaded: &[Loaded], address: u64, executable: bool) -> Option<u64> {
    let inside = |part: &&Loaded| {
        part.is_executable == executable && address >= part.address && address - part.address < part.size
    };
    let part = loaded.iter().find(inside)?;
    part.offset.checked_add(address - part.address)
}

/// The names most like the one that was not found, best first.
#[must_use]
pub fn alike<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    let mut scored: Vec<(f64, &str)> = names
        .map(|name| {
            let lower = name.to_lowercase();
            let within = lower.contains(&wanted) || wanted.contains(&lower);
            let score = strsim::jaro_winkler(&wanted, &lower) + if within { 0.5 } else { 0.0 };
            (score, name)
        })
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by_key(|(_, name)| *name);
    scored
        .into_iter()
        .take(SUGGESTIONS)
        .map(|(_, name)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A test itself may be inlined into what calls it.
    #[inline(never)]
    fn a_function_to_be_found() -> std::path::PathBuf {
        std::env::current_exe().unwrap()
    }

    #[test]
    fn functions_of_the_own_binary_are_found_by_their_rust_names() {
        let own = std::hint::black_box(a_function_to_be_found as fn() -> std::path::PathBuf)();
        let own = Pinned::by_path(own).unwrap();
        let functions = Binary::open(&own, "own").unwrap().functions().unwrap();
        let wanted = "tests::a_function_to_be_found";
        assert!(functions.iter().any(|function| function.name.contains(wanted)));
    }

    #[test]
    fn an_address_is_in_the_file_where_it_is_loaded_from_and_nowhere_else() {
        let part = |address, size, offset, is_executable| Loaded {
            address,
            size,
            offset,
            is_executable,
        };
        let loaded = [
            part(0x1000, 0x100, 0x40, true),
            part(0x2000, 0x100, 0x140, false),
            part(u64::MAX - 0x10, 0x20, u64::MAX - 4, true),
        ];
        assert_eq!(offset_of(&loaded, 0x10ff, true), Some(0x13f));
        assert_eq!(offset_of(&loaded, 0x1100, true), None);
        assert_eq!(offset_of(&loaded, 0x2000, true), None, "data");
        assert_eq!(offset_of(&loaded, 0x2000, false), Some(0x140));
        assert_eq!(offset_of(&loaded, u64::MAX, true), None, "beyond all files");
    }

    #[test]
    fn a_note_that_is_cut_or_too_long_is_none() {
        let loaded = [Loaded {
            address: 0,
            size: 100,
            offset: 0,
            is_executable: true,
        }];
        let note = |texts: &[u8]| read_note(&[&[0; 24], texts].concat(), 0, &loaded);
        let whole = note(b"pf\0begin\0 8@%rdi\0").unwrap();
        assert_eq!((whole.provider.as_str(), whole.name.as_str()), ("pf", "begin"));
        assert_eq!((whole.offset, whole.semaphore), (Some(0), Some(0)));
        assert!(note(&[b'x'; NOTE_WORD + 1]).is_none());
        assert!(read_note(&[0; 23], 0, &loaded).is_none());
        // Without its arguments it has none.
        assert_eq!(note(b"pf\0begin").unwrap().arguments, "");
    }

    #[test]
    fn a_name_with_a_slip_has_neighbours() {
        let names = ["sqlite3_step", "sqlite3_stmt_readonly", "main"];
        assert_eq!(alike("sqlite_step", names.into_iter())[0], "sqlite3_step");
        assert!(alike("zzz", names.into_iter()).is_empty());
    }

    #[test]
    fn what_is_no_elf_file_is_named() {
        let manifest = Pinned::by_path("Cargo.toml").unwrap();
        let error = format!("{:#}", Binary::open(&manifest, "Cargo.toml").err().unwrap());
        assert!(error.contains("Cargo.toml") && error.contains("ELF"), "{error}");
    }
}
