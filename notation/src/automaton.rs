//! [`Names`] as tables, for the kernel, which can look up but not call: for each byte of a name a set of states is taken to the
//! next one. A state is how much of a pattern the name has met so far, a bit of 64; patterns stand beside each other. (The
//! *shift-and* algorithm, Baeza-Yates and Gonnet 1992.)

use crate::names::{Names, Token};

/// The tables. After each byte `c`: `states = ((states & step[c]) << 1) | (states & stay[c >> 6])`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Automaton {
    /// States that a byte takes one further.
    pub step: Box<[u64; 256]>,
    /// States that a byte leaves where they are, by its two highest bits: 2 is within a character of several bytes.
    pub stay: [u64; 4],
    /// States before the first byte.
    pub start: u64,
    /// States in which a name has met all of a pattern.
    pub accept: u64,
}

/// The states that there are.
const STATES: u32 = u64::BITS;
/// What `stay` has for bytes within a character.
const WITHIN: usize = 2;

impl Automaton {
    /// Of all alternatives together.
    ///
    /// # Errors
    /// When they take more states than there are.
    pub fn new(names: &[Names]) -> Result<Self, String> {
        let mut tables = Self {
            step: Box::new([0; 256]),
            stay: [0; 4],
            start: 0,
            accept: 0,
        };
        let mut next = 0;
        for given in names {
            for pattern in given.patterns() {
                next = tables.add(pattern, next)?;
            }
            if let Some(name) = given.as_it_stands() {
                let name: Vec<Token> = name.chars().map(Token::Char).collect();
                next = tables.add(&name, next)?;
            }
        }
        Ok(tables)
    }

    /// Puts a pattern into the states from `first` on; returns the first that is free behind it.
    fn add(&mut self, pattern: &[Token], first: u32) -> Result<u32, String> {
        let bytes = |token: &Token| match token {
            Token::Char(c) => c.len_utf8(),
            Token::AnyChar => 1,
            Token::AnyText => 0,
        };
        let length = u32::try_from(pattern.iter().map(bytes).sum::<usize>()).unwrap_or(u32::MAX);
        let last = first.saturating_add(length);
        if last >= STATES {
            return Err(format!(
                "too many names: all of them together may have {STATES} letters, the ends of names counted; use a pattern such as \
                 pf-*, or choose with pfanalyze --comm"
            ));
        }
        let mut state = 1u64 << first;
        self.start |= state;
        for token in pattern {
            match token {
                Token::AnyText => self.stay.iter_mut().for_each(|stay| *stay |= state),
                Token::Char(c) => {
                    for &byte in c.encode_utf8(&mut [0; 4]).as_bytes() {
                        self.step[usize::from(byte)] |= state;
                        state <<= 1;
                    }
                }
                Token::AnyChar => {
                    for (byte, step) in self.step.iter_mut().enumerate() {
                        if byte >> 6 != WITHIN {
                            *step |= state;
                        }
                    }
                    state <<= 1;
                    self.stay[WITHIN] |= state;
                }
            }
        }
        self.accept |= state;
        Ok(last + 1)
    }

    /// What the kernel does with the tables.
    #[must_use]
    pub fn accepts(&self, name: &[u8]) -> bool {
        let states = name.iter().fold(self.start, |states, &byte| {
            let (step, stay) = (self.step[usize::from(byte)], self.stay[usize::from(byte >> 6)]);
            ((states & step) << 1) | (states & stay)
        });
        states & self.accept != 0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::names::Kind;
    use proptest::prelude::*;

    fn tables(text: &str) -> Result<Automaton, String> {
        Automaton::new(&[Names::parse(text, Kind::Thread)?])
    }

    #[test]
    fn the_tables_accept_what_the_names_match() {
        for (text, yes, no) in [
            ("worker", "worker", "worker-1"),
            ("pf-*", "pf-", "pf"),
            ("*-1", "pf-worker-1", "pf-worker-12"),
            ("a,b*", "bc", "ab"),
            ("é?", "éß", "é"),
            ("a-name-that-is-too-long", "a-name-that-is-", "a-name-that-is"),
        ] {
            let tables = tables(text).unwrap();
            assert!(
                tables.accepts(yes.as_bytes()) && !tables.accepts(no.as_bytes()),
                "{text}"
            );
        }
    }

    #[test]
    fn more_names_than_there_is_room_for_are_refused() {
        assert!(tables("fifteen-letters,fifteen-letters,fifteen-letters").is_ok());
        let error = tables(&["fifteen-letters"; 5].join(",")).unwrap_err();
        assert!(error.contains("pf-*"), "{error}");
    }

    proptest! {
        #[test]
        fn the_tables_agree_with_the_names(text in "[ab*?\u{e9}]{1,5}(,[ab*?\u{20ac}]{1,4})?", name in "[ab\u{e9}\u{20ac}]{0,5}") {
            let names = Names::parse(&text, Kind::Thread);
            prop_assume!(names.is_ok());
            let names = names.unwrap();
            let tables = Automaton::new(std::slice::from_ref(&names)).unwrap();
            prop_assert_eq!(tables.accepts(name.as_bytes()), names.matches(&name));
        }
    }
}
