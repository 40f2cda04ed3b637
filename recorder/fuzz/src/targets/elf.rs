//! One ELF file, as it is or described (see `elf_file`): its functions, its probes and where its debug information is.

use std::io::Cursor;

use super::{check_arguments, comes_over, elf_file, memory};
use crate::{
    files::demangle::{NAME, demangled},
    queries::binary::{Binary, Function, Note},
    stacks::debug_link::{is_bare, links_in},
};

/// Bytes of memory for inputs of some kilobytes.
const MEMORY: usize = 16 << 20;
/// Bytes of a word of a note; what is not UTF-8 grows by two thirds.
const WORD: usize = 3 * 1024;

/// Reads everything that the recorder reads.
pub fn target(data: &[u8]) {
    let peak = memory::bounded(|| {
        if data.starts_with(b"\x7fELF") {
            read(data);
        } else {
            read(&elf_file::described(data));
        }
    });
    assert!(peak <= MEMORY, "{peak} bytes of memory");
}

fn read(file: &[u8]) {
    let links = links_in(Cursor::new(file));
    if let Some(name) = &links.beside {
        assert!(is_bare(name), "{name:?}");
    }
    assert_eq!(comes_over(&links).beside, links.beside);
    let Ok(binary) = Binary::of(Cursor::new(file), "it") else {
        return;
    };
    // Any answer will do.
    let _ = (binary.check_machine("it"), binary.is_go());
    if let Ok(functions) = binary.functions() {
        check_functions(&functions);
    }
    if let Ok(notes) = binary.notes() {
        check_notes(&notes);
    }
}

fn check_functions(functions: &[Function]) {
    assert!(functions.is_sorted_by_key(|function| (function.offset, &function.symbol)));
    for function in functions {
        let Function { name, symbol, .. } = function;
        assert!(!symbol.contains('@'));
        assert_eq!(*name, demangled(symbol));
        assert!(name == symbol || name.len() <= NAME, "{} bytes", name.len());
    }
    if !functions.is_empty() {
        assert_eq!(comes_over(&functions.to_vec()), functions);
    }
}

fn check_notes(notes: &[Note]) {
    assert!(notes.is_sorted());
    for note in notes {
        for word in [&note.provider, &note.name, &note.arguments] {
            assert!(word.len() <= WORD && !word.contains('\0'), "{word:?}");
        }
        check_arguments(&note.arguments);
    }
    if !notes.is_empty() {
        assert_eq!(comes_over(&notes.to_vec()), notes);
    }
}
