//! Names of functions.

use std::{
    fs,
    path::Path,
    process::{self, Command},
    time::{Duration, Instant},
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use pf_formats::{BuildId, Header, Meta, Symbol, Totals, TraceWriter};

use super::program::{Program, locate};
use crate::{session::proc, stacks::*};

/// Takes in the stack of `program`.
fn intern(table: &mut StackTable, program: &Program) {
    let stack = RawStack {
        hash: 1,
        pid: program.pid(),
        addresses: &program.addresses[..3],
        truncated: 0,
    };
    assert_ne!(
        table.intern(&stack, |address| program.locate(address)),
        StackId(0)
    );
}

fn look_up(table: StackTable) -> (Vec<Symbol>, Vec<BuildId>, Vec<String>) {
    let found = table.symbolise(|| false);
    let (mut symbols, mut ids) = (Vec::new(), Vec::new());
    for dict in found.dicts {
        match dict {
            Dict::Symbols { entries } => symbols.extend(entries),
            Dict::BuildIds { entries } => ids.extend(entries),
            other => panic!("{other:?}"),
        }
    }
    (symbols, ids, found.notes)
}

/// Frames are numbered from the outermost.
fn names(symbols: &[Symbol]) -> Vec<(u32, &str)> {
    symbols
        .iter()
        .map(|symbol| (symbol.frame.0, symbol.name.as_str()))
        .collect()
}

const ALL: [(u32, &str); 3] = [(1, "main"), (2, "middle"), (3, "innermost")];

#[test]
fn frames_get_functions_lines_and_what_was_inlined() {
    let program = Program::start(&["-g"]);
    let mut table = StackTable::default();
    intern(&mut table, &program);
    let (symbols, ids, notes) = look_up(table);
    assert_eq!(names(&symbols), ALL);
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!((ids.len(), ids[0].object, ids[0].id.len()), (1, ObjectId(1), 20));
    let [main, middle, innermost] = &symbols[..] else {
        panic!("{symbols:?}");
    };
    assert!(innermost.file.ends_with("/program.c"), "{innermost:?}");
    assert_eq!((innermost.offset, innermost.line), (0, 8));
    assert_eq!(main.line, 26);
    assert!(main.offset > 0);
    assert_eq!(middle.line, 20, "where it calls");
    assert_eq!(middle.inlined.len(), 1);
    assert_eq!(
        (middle.inlined[0].name.as_str(), middle.inlined[0].line),
        ("inlined", 17)
    );
}

#[test]
fn the_symbol_table_is_enough_and_cpp_names_are_demangled() {
    let program = Program::start(&[]);
    let mut table = StackTable::default();
    intern(&mut table, &program);
    let stack = RawStack {
        hash: 2,
        pid: program.pid(),
        addresses: &program.addresses[3..],
        truncated: 0,
    };
    table.intern(&stack, |address| program.locate(address));
    let (symbols, ..) = look_up(table);
    assert_eq!(names(&symbols)[..3], ALL);
    assert_eq!(symbols[3].name, "outer::inner(int)");
}

#[test]
fn a_stripped_binary_costs_a_note_and_has_its_build_id() {
    let program = Program::start(&["-s"]);
    let mut table = StackTable::default();
    intern(&mut table, &program);
    let (symbols, ids, notes) = look_up(table);
    assert_eq!(symbols, []);
    assert_eq!(ids.len(), 1);
    assert_eq!(
        notes,
        [format!("no symbols: {} (stripped)", program.path().display())]
    );
}

#[test]
fn debug_information_in_a_file_of_its_own_is_found_by_its_link() {
    let separate = |program: &Path| {
        for arguments in [
            &[
                "--only-keep-debug",
                "--compress-debug-sections",
                "program",
                "program.debug",
            ][..],
            &["--strip-all", "--add-gnu-debuglink=program.debug", "program"],
        ] {
            let status = Command::new("objcopy")
                .args(arguments)
                .current_dir(program.parent().unwrap())
                .status();
            assert!(status.unwrap().success());
        }
    };
    let program = Program::start_after(&["-g"], separate);
    let mut table = StackTable::default();
    intern(&mut table, &program);
    let (symbols, _, notes) = look_up(table);
    assert_eq!(names(&symbols), ALL, "{notes:?}");
    assert_eq!(symbols[0].line, 26);
}

/// The name in the link may be any path, and what is there may wait for ever.
#[test]
fn a_link_to_debug_information_leads_nowhere_but_beside_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let (fifo, content) = (folder.path().join("fifo"), folder.path().join("content"));
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let beside = |name: &str| fs::write(&content, [name.as_bytes(), &[0; 8]].concat()).unwrap();
    for name in [
        fifo.to_str().unwrap(),
        "/dev/zero",
        "../../../../../../dev/zero",
        "fifo",
    ] {
        beside(name);
        let link = |program: &Path| {
            let section = format!(".gnu_debuglink={}", content.display());
            let status = Command::new("objcopy")
                .args(["--strip-debug", "--add-section", &section])
                .arg(program)
                .status();
            assert!(status.unwrap().success());
            mkfifo(&program.with_file_name("fifo"), Mode::S_IRWXU).unwrap();
        };
        let program = Program::start_after(&["-g"], link);
        let mut table = StackTable::default();
        intern(&mut table, &program);
        let began = Instant::now();
        let (symbols, _, notes) = look_up(table);
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{name}: {:?}",
            began.elapsed()
        );
        assert_eq!(names(&symbols), ALL, "{name}: {notes:?}");
    }
}

#[test]
fn a_trace_takes_all_of_it() {
    let program = Program::start(&["-g"]);
    let mut table = StackTable::default();
    intern(&mut table, &program);
    let mut dicts = table.take_new();
    dicts.extend(table.symbolise(|| false).dicts);
    assert_eq!(dicts.len(), 4);
    let mut trace = TraceWriter::create(Vec::new(), &Header::new([1; 16], 0), &Meta::default()).unwrap();
    for dict in &dicts {
        trace.dict(dict).unwrap();
    }
    trace.finish(Totals::default()).unwrap();
}

#[test]
fn the_user_need_not_wait_for_names() {
    let program = Program::start(&["-g"]);
    let mut table = StackTable::default();
    intern(&mut table, &program);
    let found = table.symbolise(|| true);
    assert_eq!(found.dicts, []);
    assert_eq!(
        found.notes,
        ["symbols: the lookup was interrupted, so some are missing"]
    );
}

#[test]
fn a_binary_that_is_deleted_after_it_was_seen_still_has_names() {
    let mut program = Program::start(&["-g"]);
    let mut table = StackTable::default();
    intern(&mut table, &program);
    program.end();
    fs::remove_file(program.path()).unwrap();
    assert_eq!(names(&look_up(table).0), ALL);
}

#[test]
#[ignore = "needs root"]
fn a_binary_that_was_replaced_before_it_was_seen_still_has_names() {
    let program = Program::start(&["-g"]);
    fs::remove_file(program.path()).unwrap();
    fs::copy("/proc/self/exe", program.path()).unwrap();
    let mut table = StackTable::default();
    intern(&mut table, &program);
    assert_eq!(names(&look_up(table).0), ALL);
}

#[test]
#[ignore = "needs root"]
fn a_binary_in_a_container_has_names_when_the_container_is_gone() {
    // With the numbers that /proc/PID/maps has, and with those of the file under the overlay.
    for off_by in [0, 1] {
        let mut program = Program::start_in_container();
        for map in &mut program.maps {
            map.inode += off_by;
        }
        let mut table = StackTable::default();
        intern(&mut table, &program);
        program.end();
        let (symbols, _, notes) = look_up(table);
        assert_eq!(names(&symbols), ALL, "{notes:?}");
    }
}

#[test]
fn another_file_under_the_name_of_a_binary_is_not_taken_for_it() {
    let mut program = Program::start(&["-g"]);
    let path = program.path();
    program.end();
    let other = path.with_extension("other");
    fs::copy(&path, &other).unwrap();
    fs::rename(&other, &path).unwrap();
    let mut table = StackTable::default();
    intern(&mut table, &program);
    let (symbols, ids, notes) = look_up(table);
    assert_eq!((symbols, ids), (vec![], vec![]));
    assert_eq!(notes, [format!("no symbols: {} (it is gone)", path.display())]);
}

#[test]
fn damage_in_a_binary_costs_only_its_own_names() {
    let program = Program::start(&["-g"]);
    let whole = fs::read(program.path()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("damaged");
    let shown = path.to_str().unwrap();
    for (at, byte) in [
        (0, 0),
        (0x28, 0xff),
        (whole.len() / 2, 0xff),
        (whole.len() - 8, 0xff),
    ] {
        let mut damaged = whole.clone();
        damaged[at..]
            .iter_mut()
            .take(4096)
            .for_each(|there| *there = byte);
        fs::write(&path, damaged).unwrap();
        let mut table = StackTable::default();
        intern(&mut table, &program);
        let broken = |address| {
            let file = MappedFile {
                path: shown,
                start: 0,
                end: 0,
                device: (0, 0),
                inode: 0,
            };
            Some(Place {
                object: ObjectId(9),
                offset: address,
                memory: Memory::File(file),
            })
        };
        let addresses: Vec<u64> = (0..64).map(|n| n * 64).collect();
        let stack = RawStack {
            hash: 2,
            pid: 1,
            addresses: &addresses,
            truncated: 0,
        };
        table.intern(&stack, broken);
        let (symbols, ..) = look_up(table);
        assert_eq!(names(&symbols)[..3], ALL);
    }
}

#[inline(never)]
fn a_rust_function() -> u64 {
    std::hint::black_box(a_rust_function as fn() -> u64) as usize as u64
}

#[test]
fn rust_names_are_demangled() {
    let maps = proc::maps(process::id()).unwrap();
    let mut table = StackTable::default();
    let stack = RawStack {
        hash: 1,
        pid: process::id(),
        addresses: &[a_rust_function()],
        truncated: 0,
    };
    table.intern(&stack, |address| locate(&maps, Path::new("/"), address));
    let (symbols, ..) = look_up(table);
    assert!(
        symbols[0]
            .name
            .ends_with("stacks::tests::symbols::a_rust_function"),
        "{symbols:?}"
    );
    assert!(
        symbols[0].file.ends_with("stacks/tests/symbols.rs"),
        "{symbols:?}"
    );
}

#[test]
fn the_vdso_has_names() {
    let maps = proc::maps(process::id()).unwrap();
    let vdso = maps.iter().find(|map| map.path == "[vdso]").unwrap();
    let addresses: Vec<u64> = (vdso.start..vdso.start + vdso.len).step_by(64).collect();
    let mut table = StackTable::default();
    let stack = RawStack {
        hash: 1,
        pid: process::id(),
        addresses: &addresses,
        truncated: 0,
    };
    table.intern(&stack, |address| locate(&maps, Path::new("/"), address));
    let (symbols, _, notes) = look_up(table);
    assert!(
        symbols.iter().any(|symbol| symbol.name.contains("gettime")),
        "{symbols:?}"
    );
    assert_eq!(notes, Vec::<String>::new());
}

#[test]
fn code_made_by_a_process_is_named_by_its_map_even_when_it_is_gone() {
    let mut program = Program::start(&[]);
    let pid = program.pid();
    let map = format!("/tmp/perf-{pid}.map");
    fs::write(&map, "100000 20 caller\n100020 20 next\n").unwrap();
    let mut table = StackTable::default();
    let stack = RawStack {
        hash: 1,
        pid,
        addresses: &[0x10_0024, 0x10_0020],
        truncated: 0,
    };
    table.intern(&stack, |address| {
        Some(Place {
            object: ObjectId(1),
            offset: address,
            memory: Memory::Anonymous,
        })
    });
    program.end();
    let (symbols, _, notes) = look_up(table);
    fs::remove_file(&map).unwrap();
    assert_eq!(names(&symbols), [(1, "caller"), (2, "next")]);
    assert_eq!(
        (symbols[0].offset, symbols[1].offset),
        (0x20, 4),
        "up to the return address"
    );
    assert_eq!(notes, Vec::<String>::new());
}
