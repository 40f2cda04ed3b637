//! Names that are not in a dictionary of their own: those of queries, by group, and of stacks, made of their functions.

use crate::trace::dicts::Dicts;
use crate::trace::function_names::{Function, Missing, NO_STACK, Names};
use crate::trace::queries::label;
use crate::trace::queries::nesting::Links;
use pf_formats::Query;
use polars::prelude::PlHashMap;

/// Names of queries kept apart; a program can make up a new one for every query.
const NAMES_KEPT: usize = 4_000;
/// Functions told of a stack.
const FUNCTIONS: usize = 6;

/// Faults outside of any query.
const NONE: u64 = u64::MAX;
/// Faults in a query without a record.
const UNKNOWN: u64 = u64::MAX - 1;
/// Queries with a name beyond those that are kept.
const OTHERS: u64 = u64::MAX - 2;

/// Which query has which name.
#[derive(Debug, Default)]
pub struct QueryNames {
    names: Vec<String>,
    numbers: PlHashMap<String, u32>,
    links: Links,
    has_others: bool,
}

impl QueryNames {
    /// Adds a query.
    pub fn add(&mut self, row: &Query) {
        let name = label(row);
        let next = self.names.len();
        let number = match self.numbers.get(name.as_ref()) {
            Some(&number) => number,
            None if next >= NAMES_KEPT => {
                self.has_others = true;
                u32::MAX
            }
            None => {
                let number = u32::try_from(next).unwrap_or(u32::MAX);
                self.numbers.insert(name.clone().into_owned(), number);
                self.names.push(name.into_owned());
                number
            }
        };
        self.links.add(row.id.0, 0, number);
    }

    /// To be called after the last `add`.
    pub fn settle(&mut self) {
        self.links.settle();
    }

    /// The group of a query: all queries of one name have one.
    #[must_use]
    pub(crate) fn group_of(&self, id: u64) -> u64 {
        match self.links.chain(id).next() {
            None => NONE,
            Some((_, None)) => UNKNOWN,
            Some((_, Some(u32::MAX))) => OTHERS,
            Some((_, Some(number))) => u64::from(number),
        }
    }

    /// What a group is called.
    #[must_use]
    pub fn name(&self, group: u64) -> &str {
        match group {
            NONE => "(no query)",
            UNKNOWN => "(query without a record)",
            OTHERS => "(all other names)",
            number => {
                let number = usize::try_from(number).unwrap_or(usize::MAX);
                self.names.get(number).map_or("", String::as_str)
            }
        }
    }

    /// What to know of the names.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        (self.links.left_out() > 0).then(|| {
            format!(
                "too many queries: {} have no name here",
                crate::output::units::grouped(self.links.left_out())
            )
        })
    }
}

/// The innermost functions, `read_page < search < main`.
#[must_use]
pub(crate) fn describe_stack(stack: u32, dicts: &Dicts) -> String {
    if stack == 0 {
        return NO_STACK.to_owned();
    }
    let mut names = Names::default();
    let mut words: Vec<String> = Vec::new();
    let mut id = stack;
    loop {
        let Some(node) = dicts.stacks.node(id) else {
            words.push(Missing::Damaged.label());
            break;
        };
        let functions = names.functions(node.frame.0, dicts);
        let labels = functions.iter().rev().filter_map(|&function| names.get(function));
        words.extend(labels.map(Function::label));
        // The reader has checked that parents have smaller ids; a walk that does not go down ends all the same.
        let parent = node.parent.0;
        if words.len() > FUNCTIONS || parent == 0 || parent >= id {
            break;
        }
        id = parent;
    }
    if words.len() > FUNCTIONS {
        words.truncate(FUNCTIONS);
        words.push("…".to_owned());
    }
    words.join(" < ")
}
