//! Texts without a file around them: names of functions, arguments of probes, maps of just-in-time compiled code. The first
//! byte says which.

use super::{check_arguments, comes_over, memory};
use crate::{
    files::demangle::{NAME, demangled, shortened},
    queries::binary::alike,
    stacks::{
        debug_link::is_bare,
        perf_map::{Named, parse},
    },
};

/// Bytes of memory for inputs of some kilobytes.
const MEMORY: usize = 8 << 20;
/// What is asked for in maps, in ascending order.
const ADDRESSES: [u64; 10] = [
    0,
    1,
    0xfff,
    0x1000,
    0x1001,
    0x10ff,
    0x2000,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// What a file has instead of the name that was asked for.
const NEIGHBOURS: [&str; 3] = ["main", "engine::Query::run(int)", "sqlite3_step"];

/// What a text is.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A name as the file has it.
    Symbol,
    /// The arguments of a probe.
    Arguments,
    /// A map.
    Map,
}

/// Reads a text.
pub fn target(data: &[u8]) {
    let Some((kind, text)) = data.split_first() else {
        return;
    };
    let peak = memory::bounded(|| match kind % 3 {
        kind if kind == Kind::Symbol as u8 => symbol(&String::from_utf8_lossy(text)),
        kind if kind == Kind::Arguments as u8 => check_arguments(&String::from_utf8_lossy(text)),
        _ => map(text),
    });
    assert!(peak <= MEMORY, "{peak} bytes of memory");
}

fn symbol(symbol: &str) {
    let name = demangled(symbol);
    assert!(name == symbol || name.len() <= NAME, "{} bytes", name.len());
    let short = shortened(name.into_owned());
    assert!(short.len() <= NAME);
    assert!(!is_bare(&short) || !short.contains('/'));
    let alike = alike(&short, NEIGHBOURS.into_iter());
    assert!(alike.len() <= NEIGHBOURS.len(), "{alike:?}");
}

fn map(mut text: &[u8]) {
    let named = parse(&mut text, &ADDRESSES);
    assert!(named.is_sorted_by(|a, b| a.at < b.at));
    for Named { at, name, offset } in &named {
        assert!(*offset <= ADDRESSES[*at], "{offset:#x} into {at}");
        assert!(name.len() <= NAME && !name.is_empty(), "{name:?}");
    }
    if !named.is_empty() {
        assert_eq!(comes_over(&named), named);
    }
}
