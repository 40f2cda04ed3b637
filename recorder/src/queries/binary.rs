//! What an ELF file offers to attach to: its functions and its USDT probes.

use std::{borrow::Cow, collections::BTreeMap, fs::File, path::Path};

use anyhow::{Context, Result, bail};
use object::{
    Endianness, Object, ObjectSegment, ObjectSymbol, SymbolKind, elf,
    read::{
        ReadCache,
        elf::{ElfFile64, SectionHeader as _},
    },
};

use crate::open;

/// Where systemtap's macros, and all that follow them, describe probes.
const NOTES: &str = ".note.stapsdt";
const PROBE_NOTE: u32 = 3;
/// What every program of Go has, stripped or not.
const GO: &str = ".go.buildinfo";

/// Names that are told when one is not found.
const SUGGESTIONS: usize = 5;
/// How much alike a name must be to be told, of 1.
const ALIKE: f64 = 0.7;

/// A file that programs are run from. It is read, not mapped: whoever owns it may cut it meanwhile.
pub struct Binary {
    contents: ReadCache<File>,
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl Binary {
    /// Opens a file; `shown` is how the user knows it.
    pub fn open(path: &Path, shown: &str) -> Result<Self> {
        let file = open::regular(path).with_context(|| shown.to_owned())?;
        let binary = Self {
            contents: ReadCache::new(file),
        };
        binary
            .parse()
            .with_context(|| format!("{shown}: not a 64-bit ELF file"))?;
        Ok(binary)
    }

    fn parse(&self) -> object::Result<ElfFile64<'_, Endianness, &ReadCache<File>>> {
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
        let segments: Vec<_> = file
            .segments()
            .map(|segment| (segment.address(), segment.size(), segment.file_range().0))
            .collect();
        let offset_of = |address: u64| {
            let inside = segments
                .iter()
                .find(|(start, size, _)| address >= *start && address - start < *size);
            inside.map(|(start, _, offset)| address - start + offset)
        };
        let mut found = BTreeMap::new();
        for symbol in file.symbols().chain(file.dynamic_symbols()) {
            if symbol.kind() != SymbolKind::Text || symbol.is_undefined() {
                continue;
            }
            let (Ok(name), Some(offset)) = (symbol.name(), offset_of(symbol.address())) else {
                continue;
            };
            // Versions are told in the names of some symbol tables.
            let symbol = name.split('@').next().unwrap_or(name);
            found.entry((offset, symbol.to_owned())).or_insert(());
        }
        Ok(found
            .into_keys()
            .map(|(offset, symbol)| Function {
                name: demangled(&symbol).into_owned(),
                symbol,
                offset,
            })
            .collect())
    }

    /// All USDT probes: provider and name.
    pub fn probes(&self) -> Result<Vec<(String, String)>> {
        let file = self.parse()?;
        let Some(section) = file.section_by_name(NOTES) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        let Some(mut notes) = section.elf_section_header().notes(file.endian(), file.data())? else {
            return Ok(found);
        };
        while let Some(note) = notes.next()? {
            if note.name() != b"stapsdt" || note.n_type(file.endian()) != PROBE_NOTE {
                continue;
            }
            // Three addresses, then provider, name and arguments.
            let mut words = note.desc().get(24..).unwrap_or_default().split(|&byte| byte == 0);
            let mut word = || String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
            found.push((word(), word()));
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
            bail!("{shown}: built for another kind of machine");
        }
        Ok(())
    }
}

fn demangled(symbol: &str) -> Cow<'_, str> {
    if let Ok(name) = rustc_demangle::try_demangle(symbol) {
        // Without the hash.
        return Cow::Owned(format!("{name:#}"));
    }
    if symbol.starts_with("_Z") {
        let name = cpp_demangle::Symbol::new(symbol)
            .ok()
            .and_then(|symbol| symbol.demangle().ok());
        if let Some(name) = name {
            return Cow::Owned(name);
        }
    }
    Cow::Borrowed(symbol)
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
        let functions = Binary::open(&own, "own").unwrap().functions().unwrap();
        let wanted = "tests::a_function_to_be_found";
        assert!(functions.iter().any(|function| function.name.contains(wanted)));
    }

    #[test]
    fn names_are_demangled() {
        assert_eq!(
            demangled("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE"),
            "core::fmt::Formatter::pad"
        );
        assert_eq!(demangled("_ZN6engine5Query3runEi"), "engine::Query::run(int)");
        assert_eq!(demangled("sqlite3_step"), "sqlite3_step");
    }

    #[test]
    fn a_name_with_a_slip_has_neighbours() {
        let names = ["sqlite3_step", "sqlite3_stmt_readonly", "main"];
        assert_eq!(alike("sqlite_step", names.into_iter())[0], "sqlite3_step");
        assert!(alike("zzz", names.into_iter()).is_empty());
    }

    #[test]
    fn what_is_no_elf_file_is_named() {
        let error = format!(
            "{:#}",
            Binary::open(Path::new("Cargo.toml"), "Cargo.toml").err().unwrap()
        );
        assert!(error.contains("Cargo.toml") && error.contains("ELF"), "{error}");
    }
}
