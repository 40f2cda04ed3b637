//! The kernel's own code: which object an address is in, and what its functions are called.
//!
//! Both from `/proc/kallsyms`, which is read when the first stack comes, so that the names are in the trace before the faults
//! that need them. Frames have no address of the running kernel, which differs from boot to boot.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    ops::Range,
    time::{Duration, Instant},
};

const SYMBOLS: &str = "/proc/kallsyms";

/// The object of what is in no module.
pub const KERNEL: &str = "[kernel]";

/// The function that switches to another task: what it calls is how the stack was taken.
const SWITCH: &str = "__schedule";

/// Bytes that are read at most: 5 to 20 MB are there.
const BYTES: u64 = 256 << 20;
/// Bytes of names of functions: 4 to 8 MB are there.
const NAMES: usize = 64 << 20;
/// Modules that are told apart.
const PARTS: usize = 4096;
/// What may follow the begin of the last function of an object.
const LAST_FUNCTION: u64 = 64 << 10;
/// How often the places are read, and how far apart: modules may be loaded while the recording goes on.
const READS: u32 = 16;
const BETWEEN: Duration = Duration::from_secs(2);

/// Where the kernel's code is.
#[derive(Debug, Default)]
pub struct KernelCode {
    /// From the lowest function to the highest one, by the lowest; with names as `[NAME]`.
    parts: Vec<(Range<u64>, String)>,
    switch: Range<u64>,
    /// Where each function begins, sorted, and where its name does in `names`.
    functions: Vec<(u64, u32)>,
    /// A line for each.
    names: String,
    reads: u32,
    read_at: Option<Instant>,
}

/// A line of the list that names code.
struct Function<'a> {
    address: u64,
    name: &'a str,
    part: &'a str,
}

impl KernelCode {
    /// The callers of the switch to another task, innermost first, and the switch itself; all of the stack where it is not
    /// in it. Reads where code is, if that is not known of these.
    pub fn meet<'a>(&mut self, stack: &'a [u64]) -> &'a [u64] {
        if self.reads == 0 {
            self.read();
        }
        let kept = self.without_tracing(stack);
        let is_new = kept.iter().any(|address| self.find(*address).is_none());
        let is_time = self.read_at.is_none_or(|at| at.elapsed() >= BETWEEN);
        if is_new && self.is_shown() && is_time && self.reads < READS {
            self.read();
        }
        kept
    }

    /// The object that a return address is in, and how many bytes behind its lowest function.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<(&str, u64)> {
        let before = self.parts.partition_point(|(part, _)| part.start < address);
        // Programs of BPF lie between modules, so theirs is around others.
        let mut around = self.parts[..before].iter().rev();
        let (part, name) = around.find(|(part, _)| address <= part.end.saturating_add(LAST_FUNCTION))?;
        Some((name.as_str(), address - part.start))
    }

    /// Whether the kernel shows where its code is, as far as it was asked.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        !self.parts.is_empty()
    }

    /// The function that a return address is in, and how many bytes behind its begin.
    #[must_use]
    pub fn function(&self, address: u64) -> Option<(&str, u64)> {
        let (_, from_part) = self.find(address)?;
        let before = self.functions.partition_point(|(start, _)| *start < address);
        let (start, _) = *self.functions.get(before.checked_sub(1)?)?;
        // Of those that begin there, the one that is listed first.
        let first = self.functions.partition_point(|(other, _)| *other < start);
        let (_, name) = self.functions.get(first)?;
        let offset = address - start;
        let is_of_part = offset <= from_part;
        is_of_part.then(|| {
            (
                self.names[*name as usize..].lines().next().unwrap_or_default(),
                offset,
            )
        })
    }

    fn without_tracing<'a>(&self, stack: &'a [u64]) -> &'a [u64] {
        let switch = stack.iter().position(|address| self.switch.contains(address));
        &stack[switch.unwrap_or(0)..]
    }

    fn read(&mut self) {
        self.reads += 1;
        self.read_at = Some(Instant::now());
        if let Ok(list) = open() {
            self.read_places(list);
        }
    }

    fn read_places(&mut self, list: impl BufRead) {
        let mut parts: BTreeMap<String, Range<u64>> = BTreeMap::new();
        let mut switch = 0..0;
        let (mut functions, mut names) = (Vec::new(), String::new());
        each_function(list, |function| {
            let at = function.address;
            if names.len() < NAMES {
                functions.push((at, names.len() as u32));
                names.push_str(function.name);
                names.push('\n');
            }
            if function.part == KERNEL && is_switch(function.name) {
                switch = at..u64::MAX;
            } else if at > switch.start {
                switch.end = switch.end.min(at);
            }
            if let Some(part) = parts.get_mut(function.part) {
                *part = part.start.min(at)..part.end.max(at);
            } else if parts.len() < PARTS {
                parts.insert(function.part.to_owned(), at..at);
            }
        });
        // A module that is gone keeps its frames: the same offsets would mean the same code if it came again.
        self.parts = parts.into_iter().map(|(name, part)| (part, name)).collect();
        self.parts.sort_unstable_by_key(|(part, _)| part.start);
        // Stable: of one address the first stays before the others.
        functions.sort_by_key(|&(at, _)| at);
        (self.functions, self.names) = (functions, names);
        self.switch = if switch.end == u64::MAX { 0..0 } else { switch };
    }
}

fn is_switch(name: &str) -> bool {
    is_variant(name, SWITCH)
}

/// Compilers make variants of a function, as `NAME.constprop.0`.
fn is_variant(name: &str, of: &str) -> bool {
    let rest = name.strip_prefix(of);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Where functions of these names are, the variants of each included; none where the kernel hides that.
#[must_use]
pub fn places_of(names: &[&str]) -> Vec<Range<u64>> {
    open().map_or_else(|_| Vec::new(), |list| places_in(list, names))
}

/// A place ends where the next function begins.
fn places_in(list: impl BufRead, names: &[&str]) -> Vec<Range<u64>> {
    let mut functions = Vec::new();
    each_function(list, |function| {
        let is_wanted = function.part == KERNEL && names.iter().any(|name| is_variant(function.name, name));
        functions.push((function.address, is_wanted));
    });
    functions.sort_unstable();
    let pairs = functions.iter().zip(functions.iter().skip(1));
    let places = pairs.filter(|((_, is_wanted), _)| *is_wanted);
    places.map(|((start, _), (end, _))| *start..*end).collect()
}

/// Whether `/proc/kallsyms` shows where code is.
#[must_use]
pub fn is_shown() -> bool {
    let mut is_shown = false;
    if let Ok(list) = open() {
        // Where addresses are hidden all of them are.
        each_function(list.take(64 << 10), |_| is_shown = true);
    }
    is_shown
}

fn open() -> io::Result<impl BufRead> {
    Ok(BufReader::with_capacity(1 << 16, File::open(SYMBOLS)?).take(BYTES))
}

/// Calls `take` for each line `ADDRESS TYPE NAME [MODULE]` that names code; one that hides its address does not.
fn each_function(mut list: impl BufRead, mut take: impl FnMut(Function<'_>)) {
    let mut line = Vec::new();
    loop {
        line.clear();
        match list.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let Ok(text) = std::str::from_utf8(&line) else {
            continue;
        };
        let mut words = text.split_ascii_whitespace();
        let (Some(address), Some("t" | "T" | "w" | "W"), Some(name)) =
            (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let address = u64::from_str_radix(address, 16).unwrap_or(0);
        let part = words.next().unwrap_or(KERNEL);
        if address != 0 {
            take(Function { address, name, part });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LIST: &str = "\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000400 t handle_userfault
ffffffff81000500 t __schedule
ffffffff81000600 T schedule
ffffffff81001000 D jiffies
ffffffffc0000100 t fuse_readahead\t[fuse]
ffffffffc0000040 t request_wait_answer\t[fuse]
ffffffffc0000010 t bpf_prog_11\t[bpf]
ffffffffc0090000 t bpf_prog_12\t[bpf]
not a line
";

    fn code() -> KernelCode {
        let mut code = KernelCode {
            reads: READS,
            ..KernelCode::default()
        };
        code.read_places(LIST.as_bytes());
        code
    }

    #[test]
    fn an_address_is_told_from_the_lowest_function_of_its_object() {
        let code = code();
        assert_eq!(code.find(0xffff_ffff_8100_0405), Some((KERNEL, 0x405)));
        assert_eq!(code.find(0xffff_ffff_c000_0105), Some(("[fuse]", 0xc5)));
        assert_eq!(code.find(0xffff_ffff_c009_0005), Some(("[bpf]", 0x8_fff5)));
        // Of the last function nobody knows the end.
        assert_eq!(code.find(0xffff_ffff_8100_0605), Some((KERNEL, 0x605)));
        for outside in [0, 5, 0xffff_ffff_8000_0000, 0xffff_ffff_8200_0000, u64::MAX] {
            assert_eq!(code.find(outside), None, "{outside:#x}");
        }
    }

    #[test]
    fn how_the_stack_was_taken_is_no_part_of_it() {
        let mut code = code();
        let stack = [
            0xffff_ffff_c009_0010,
            0xffff_ffff_8100_0510,
            0xffff_ffff_8100_0610,
        ];
        assert_eq!(code.meet(&stack), &stack[1..]);
        assert_eq!(code.meet(&stack[2..]), &stack[2..]);
        assert_eq!(code.meet(&[]), &[] as &[u64]);
    }

    #[test]
    fn each_frame_gets_the_function_it_is_in() {
        let code = code();
        for (address, function) in [
            (0xffff_ffff_c000_0105, Some(("fuse_readahead", 5))),
            (0xffff_ffff_8100_0405, Some(("handle_userfault", 5))),
            (0xffff_ffff_8100_04ff, Some(("handle_userfault", 0xff))),
            (0xffff_ffff_c000_0050, Some(("request_wait_answer", 0x10))),
            // Of two that begin at one place the first.
            (0xffff_ffff_8100_0010, Some(("_stext", 0x10))),
            (0xffff_ffff_8200_0000, None),
            (0, None),
        ] {
            assert_eq!(code.function(address), function, "{address:#x}");
        }
    }

    #[test]
    fn a_function_is_between_its_begin_and_that_of_the_next_one() {
        let list = "\
ffffffff81000400 t __get_user_pages.part.0
ffffffff81000300 t __get_user_pages_fast
ffffffff81000200 t __get_user_pages
ffffffffc0000100 t __get_user_pages\t[other]
ffffffff81000500 T fixup_user_fault
";
        let found = places_in(list.as_bytes(), &["__get_user_pages", "fixup_user_fault"]);
        let expected = [
            0xffff_ffff_8100_0200..0xffff_ffff_8100_0300,
            0xffff_ffff_8100_0400..0xffff_ffff_8100_0500,
            0xffff_ffff_8100_0500..0xffff_ffff_c000_0100,
        ];
        assert_eq!(found, expected);
        assert!(
            places_in(
                "0000000000000000 T __get_user_pages\n".as_bytes(),
                &["__get_user_pages"]
            )
            .is_empty()
        );
    }

    #[test]
    fn hidden_addresses_are_no_places() {
        let hidden = "0000000000000000 T _stext\n0000000000000000 t __schedule\n";
        let mut code = KernelCode {
            reads: READS,
            ..KernelCode::default()
        };
        code.read_places(hidden.as_bytes());
        assert!(!code.is_shown());
        assert_eq!(code.find(0xffff_ffff_8100_0405), None);
        assert_eq!(code.meet(&[5, 6]), &[5, 6]);
    }
}
