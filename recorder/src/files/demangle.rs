//! Names of functions as their source has them. A mangled name refers back to its own parts, so that a hundred bytes can
//! stand for gigabytes: what is longer than a name may be stays mangled.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use cpp_demangle::{DemangleOptions, ParseOptions, Symbol};

/// Bytes of one name. Those of C++ have no bound.
pub const NAME: usize = 4096;
/// How deep the parts of a name are looked into. A name that is not one is tried in two ways at each part, so that work
/// doubles with every few levels. Of 487,834 names in the programs and libraries of a machine with Debian 1,333 stay
/// mangled with 64 levels, and 1,080 with 160.
const DEPTH: u32 = 64;

/// Demangles names of Rust and C++; all others stay as they are.
#[must_use]
pub fn demangled(symbol: &str) -> Cow<'_, str> {
    if symbol.len() > NAME {
        return Cow::Borrowed(symbol);
    }
    let of_rust = || {
        let name = rustc_demangle::try_demangle(symbol).ok()?;
        // Without the hash.
        bounded(|out| write!(out, "{name:#}"))
    };
    let of_cpp = || {
        let parsing = ParseOptions::default().recursion_limit(DEPTH);
        let writing = DemangleOptions::new().recursion_limit(DEPTH);
        let name = Symbol::new_with_options(symbol, &parsing).ok()?;
        bounded(|out| name.structured_demangle(out, &writing))
    };
    let name = if symbol.starts_with("_Z") {
        of_rust().or_else(of_cpp)
    } else {
        of_rust()
    };
    name.map_or(Cow::Borrowed(symbol), Cow::Owned)
}

/// At most [`NAME`] bytes of it.
pub fn shortened(mut name: String) -> String {
    let end = (0..=NAME.min(name.len()))
        .rev()
        .find(|&at| name.is_char_boundary(at));
    name.truncate(end.unwrap_or(0));
    name
}

fn bounded(write: impl FnOnce(&mut Name) -> fmt::Result) -> Option<String> {
    let mut name = Name(String::new());
    write(&mut name).is_ok().then_some(name.0)
}

struct Name(String);

impl Write for Name {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > NAME {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

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
    fn what_is_no_name_after_all_takes_no_time() {
        let began = Instant::now();
        for parts in 1..240 {
            let name = format!("_Zcore3fmeeeKSt{}", "3mapISse3fmeeeKSt".repeat(parts));
            assert_eq!(demangled(&name), name);
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }

    /// Each parameter is a function that takes the one before it twice.
    #[test]
    fn a_name_that_grows_without_end_stays_mangled_and_takes_no_time() {
        let mut bomb = "_Z1fPFvvE".to_owned();
        for index in 0..40 {
            let digits: String = [index / 36, index % 36]
                .iter()
                .filter_map(|digit| char::from_digit(*digit, 36))
                .collect();
            let before = format!("S{}_", digits.to_uppercase().trim_start_matches('0'));
            bomb.push_str(&format!("PFv{before}{before}E"));
        }
        let began = Instant::now();
        assert_eq!(demangled(&bomb), bomb);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
}
