//! Looks into one ELF file for the functions at given offsets. Runs in the confined child.

use std::{
    iter,
    panic::{self, AssertUnwindSafe},
    path::Path,
};

use blazesym::{
    helper::read_elf_build_id,
    symbolize::{CodeInfo, Input, Reason, Sym, Symbolized, Symbolizer, source},
};
use serde::{Deserialize, Serialize};

use crate::files::demangle::{demangled, shortened};

/// Bytes of all names of one file. What would exceed it is left without a name.
const TEXT: usize = 32 << 20;
/// Functions inlined at one place.
const INLINED: usize = 64;
/// No symbol there.
const STRIPPED: &str = "stripped";

/// What a file tells.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Answer {
    /// Its build id; empty when it has none.
    pub build_id: Vec<u8>,
    /// What was found, at most one for each offset.
    pub found: Vec<Found>,
    /// Why not everything was.
    pub reason: Option<String>,
}

/// The function at an offset.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Found {
    /// Which of the offsets, counted from 0.
    pub at: usize,
    /// Bytes from its start.
    pub offset: u64,
    /// It itself.
    pub function: Function,
    /// Functions inlined into it there, innermost first.
    pub inlined: Vec<Function>,
}

/// A function and the line in it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Function {
    /// Name, demangled.
    pub name: String,
    /// Source file; empty when not known.
    pub file: String,
    /// Line in it; 0 when not known.
    pub line: u32,
}

/// Finds functions, with `lines` source lines and inlined functions too.
pub fn look_up(path: &Path, offsets: &[u64], lines: bool) -> Answer {
    let build_id = panic::catch_unwind(|| read_elf_build_id(path))
        .ok()
        .and_then(Result::ok);
    let mut answer = Answer {
        build_id: build_id.flatten().map(|id| id.to_vec()).unwrap_or_default(),
        ..Answer::default()
    };
    // Debug information may be damaged, or that of another build, where the symbol table is good.
    let plain = functions(path, offsets, false);
    let full = if lines {
        functions(path, offsets, true)
    } else {
        Vec::new()
    };
    let mut full = full.into_iter().chain(iter::repeat_with(|| Err(String::new())));
    let mut text = TEXT;
    for (at, (plain, full)) in plain.into_iter().zip(full.by_ref()).enumerate() {
        let found = match (full, plain) {
            (Ok(full), Ok(plain)) => full.with(plain),
            (Ok(found), Err(_)) | (Err(_), Ok(found)) => found,
            (Err(why), Err(plain)) => {
                // Without debug information it is the symbol table that says more.
                answer.reason = Some(if plain == STRIPPED && !why.is_empty() {
                    why
                } else {
                    plain
                });
                continue;
            }
        };
        match text.checked_sub(found.text()) {
            Some(rest) => {
                text = rest;
                answer.found.push(Found { at, ..found });
            }
            None => answer.reason = Some("too many names".to_owned()),
        }
    }
    answer
}

/// The function at each offset, or why there is none.
fn functions(path: &Path, offsets: &[u64], lines: bool) -> Vec<Result<Found, String>> {
    let attempt = || -> blazesym::Result<Vec<Result<Found, String>>> {
        let symbolizer = Symbolizer::builder()
            .enable_auto_reload(false)
            .enable_code_info(lines)
            .enable_inlined_fns(lines)
            // A name can be made to take gigabytes there.
            .enable_demangling(false)
            .build();
        let mut elf = source::Elf::new(path);
        elf.debug_syms = lines;
        let symbols = symbolizer.symbolize(&source::Source::Elf(elf), Input::FileOffset(offsets))?;
        let functions = symbols.into_iter().map(|symbol| match symbol {
            Symbolized::Sym(symbol) if !symbol.name.is_empty() => Ok(Found::new(&symbol)),
            Symbolized::Sym(_) => Err(STRIPPED.to_owned()),
            Symbolized::Unknown(why) => Err(explain(why)),
        });
        Ok(functions.collect())
    };
    let failed = match panic::catch_unwind(AssertUnwindSafe(attempt)) {
        Ok(Ok(functions)) => return functions,
        Ok(Err(e)) => format!("{e:#}"),
        Err(_) => "the parser panicked".to_owned(),
    };
    vec![Err(failed); offsets.len()]
}

fn explain(reason: Reason) -> String {
    match reason {
        Reason::MissingSyms | Reason::UnknownAddr => STRIPPED.to_owned(),
        reason => reason.to_string(),
    }
}

impl Found {
    fn new(symbol: &Sym<'_>) -> Self {
        // Reported as they are nested, so the innermost comes last.
        let inlined = symbol.inlined.iter().rev().take(INLINED);
        Self {
            at: 0,
            // The piece of a function that lies before its start, as compilers place unlikely code.
            offset: i64::try_from(symbol.offset).map_or(0, i64::unsigned_abs),
            function: Function::new(&symbol.name, symbol.code_info.as_deref()),
            inlined: inlined
                .map(|function| Function::new(&function.name, function.code_info.as_ref()))
                .collect(),
        }
    }

    /// What the symbol table adds: lean debug information, such as Rust's line tables, has names without
    /// the modules they are in; and of a function in several pieces, each has a symbol.
    fn with(mut self, plain: Self) -> Self {
        let bare = !self.function.name.contains("::") || self.function.name.contains('<');
        if bare && self.offset == plain.offset && plain.function.name.contains("::") {
            self.function.name = plain.function.name;
        }
        self.offset = self.offset.min(plain.offset);
        self
    }

    fn text(&self) -> usize {
        let all = self.inlined.iter().chain([&self.function]);
        all.map(|function| function.name.len() + function.file.len())
            .sum()
    }
}

impl Function {
    fn new(name: &str, code: Option<&CodeInfo<'_>>) -> Self {
        Self {
            name: shortened(demangled(name).into_owned()),
            file: code.map_or_else(String::new, |code| {
                shortened(code.to_path().to_string_lossy().into_owned())
            }),
            line: code.and_then(|code| code.line).unwrap_or(0),
        }
    }
}
