//! What the fuzzer runs, for some seconds and the same each time.
#![allow(clippy::panic)]

use std::{io::Cursor, panic};

use super::{change::changed, elf, elf_file::described, memory, names, seeds};
use crate::{queries::binary::Binary, stacks::debug_link::links_in};

/// Runs a target over its seeds and changes of them. A panic tells the number of the seed or change.
fn pass(target: fn(&[u8]), seeds: &[Vec<u8>], changes: u64) {
    let run = |input: &[u8], what: String| {
        let outcome = panic::catch_unwind(|| memory::run(target, input));
        assert!(
            outcome.is_ok(),
            "{what}, of {} bytes: see the panic above",
            input.len()
        );
    };
    for (number, seed) in seeds.iter().enumerate() {
        run(seed, format!("seed {number}"));
    }
    for number in 0..changes {
        run(&changed(seeds, number), format!("change {number}"));
    }
}

#[test]
fn changed_elf_files_are_read_or_refused() {
    pass(elf::target, &seeds::elf(), 30_000);
}

#[test]
fn changed_names_arguments_and_maps_are_read_or_refused() {
    pass(names::target, &seeds::names(), 50_000);
}

/// Or the fuzzer would start from files that nobody reads.
#[test]
fn everything_in_the_described_file_is_found() {
    let file = described(&seeds::whole());
    let binary = Binary::of(Cursor::new(&file), "it").expect("an ELF file");
    let functions = binary.functions().expect("functions");
    let functions: Vec<_> = functions
        .iter()
        .map(|function| (function.offset, function.name.as_str()))
        .collect();
    assert_eq!(
        functions,
        [
            (0x800, "main"),
            (0x840, "engine::Query::run(int)"),
            (0x880, "core::fmt::Formatter::pad"),
            (0x8c0, "mycrate::foo"),
            (0x900, "sqlite3_step"),
        ]
    );
    let notes = binary.notes().expect("notes");
    let notes: Vec<_> = notes
        .iter()
        .map(|note| {
            (
                note.name.as_str(),
                note.offset,
                note.semaphore,
                note.arguments.as_str(),
            )
        })
        .collect();
    assert_eq!(
        notes,
        [
            // 16 bytes on, as its base was.
            ("moved", Some(0x840), Some(0x1820), "-8@x0 4@[sp, 8]"),
            ("query_begin", Some(0x810), Some(0), "-4@%eax 8@16(%rsp)"),
            ("query_end", Some(0x820), Some(0x1800), "8@$7 1@-96(%rbp,%rax,8)"),
        ]
    );
    assert!(binary.is_go());
    let links = links_in(Cursor::new(&file));
    assert_eq!(
        (links.beside.as_deref(), links.lead_elsewhere),
        (Some("program.debug"), false)
    );
}
