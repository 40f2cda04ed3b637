//! Looks into one ELF file for the functions at given offsets. Runs in the confined child.

use std::{
    panic::{self, AssertUnwindSafe},
    path::Path,
};

use blazesym::{
    helper::read_elf_build_id,
    symbolize::{CodeInfo, Input, Reason, Sym, Symbolized, Symbolizer, source},
};
use serde::{Deserialize, Serialize};

/// Bytes of one name. Those of C++ have no bound.
const NAME: usize = 4096;
/// Bytes of all names of one file. What would exceed it is left without a name.
const TEXT: usize = 32 << 20;
/// Functions inlined at one place.
const INLINED: usize = 64;

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
#[derive(Debug, Deserialize, Serialize)]
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
#[derive(Debug, Default, Deserialize, Serialize)]
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
    let mut text = TEXT;
    let mut left: Vec<usize> = (0..offsets.len()).collect();
    // Debug information may be damaged, or that of another build, where the symbol table is good.
    let ways: &[bool] = if lines { &[true, false] } else { &[false] };
    for &lines in ways {
        if left.is_empty() {
            break;
        }
        let attempt = || attempt(path, offsets, lines, &mut left, &mut text, &mut answer.found);
        answer.reason = match panic::catch_unwind(AssertUnwindSafe(attempt)) {
            Ok(Ok(reason)) => reason,
            Ok(Err(e)) => Some(format!("{e:#}")),
            Err(_) => Some("the parser panicked".to_owned()),
        };
    }
    answer
}

/// Moves what it finds from `left` to `found`; why something is left.
fn attempt(
    path: &Path,
    offsets: &[u64],
    lines: bool,
    left: &mut Vec<usize>,
    text: &mut usize,
    found: &mut Vec<Found>,
) -> blazesym::Result<Option<String>> {
    let symbolizer = Symbolizer::builder()
        .enable_auto_reload(false)
        .enable_code_info(lines)
        .enable_inlined_fns(lines)
        .build();
    let mut elf = source::Elf::new(path);
    elf.debug_syms = lines;
    let wanted: Vec<u64> = left.iter().map(|&at| offsets[at]).collect();
    let symbols = symbolizer.symbolize(&source::Source::Elf(elf), Input::FileOffset(&wanted))?;
    let mut reason = None;
    let mut still_left = Vec::new();
    for (at, symbol) in left.drain(..).zip(symbols) {
        match symbol {
            Symbolized::Sym(symbol) if !symbol.name.is_empty() => {
                let symbol = Found::new(at, &symbol);
                match text.checked_sub(symbol.text()) {
                    Some(rest) => {
                        *text = rest;
                        found.push(symbol);
                    }
                    None => reason = Some("too many names".to_owned()),
                }
            }
            Symbolized::Sym(_) => still_left.push(at),
            Symbolized::Unknown(why) => {
                reason = Some(explain(why));
                still_left.push(at);
            }
        }
    }
    *left = still_left;
    Ok(reason)
}

fn explain(reason: Reason) -> String {
    match reason {
        Reason::MissingSyms | Reason::UnknownAddr => "stripped".to_owned(),
        reason => reason.to_string(),
    }
}

impl Found {
    fn new(at: usize, symbol: &Sym<'_>) -> Self {
        // Reported as they are nested, so the innermost comes last.
        let inlined = symbol.inlined.iter().rev().take(INLINED);
        Self {
            at,
            offset: symbol.offset as u64,
            function: Function::new(&symbol.name, symbol.code_info.as_deref()),
            inlined: inlined
                .map(|function| Function::new(&function.name, function.code_info.as_ref()))
                .collect(),
        }
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
            name: shortened(name.to_owned()),
            file: code.map_or_else(String::new, |code| {
                shortened(code.to_path().to_string_lossy().into_owned())
            }),
            line: code.and_then(|code| code.line).unwrap_or(0),
        }
    }
}

/// At most [`NAME`] bytes of it.
pub fn shortened(mut name: String) -> String {
    let end = (0..=NAME.min(name.len()))
        .rev()
        .find(|&at| name.is_char_boundary(at));
    name.truncate(end.unwrap_or(0));
    name
}
