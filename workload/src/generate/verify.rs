//! The check of a file of numbered pages, from start to end, in one page of memory.

use std::io::{self, BufReader, Read};

use thiserror::Error;

use super::pages::{self, PAGE_BYTES, PageError};

const BUFFER_BYTES: usize = 1 << 20;

/// Why a file is not a whole file of numbered pages.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// The first page that is wrong.
    #[error("page {page} (byte {offset}) is wrong: {problem}{}", hint(*page))]
    Page {
        /// Its place in the file, from 0.
        page: u64,
        /// Where it starts.
        offset: u64,
        /// What is wrong with it.
        problem: PageError,
    },
    /// It cannot be read.
    #[error("cannot read it")]
    Read(#[from] io::Error),
}

/// A file of which not even the start is right is most likely of another kind.
fn hint(page: u64) -> &'static str {
    if page == 0 {
        "; was it made with -p sequential?"
    } else {
        ""
    }
}

/// Checks all pages of `input` and returns their number; `on_checked` hears of each one's bytes.
/// A file cut between two pages passes: its size is not written in it.
pub fn check(input: impl Read, mut on_checked: impl FnMut(u64)) -> Result<u64, VerifyError> {
    let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
    let mut bytes = Vec::with_capacity(PAGE_BYTES);
    let mut page = 0_u64;
    loop {
        bytes.clear();
        if input.by_ref().take(PAGE_BYTES as u64).read_to_end(&mut bytes)? == 0 {
            break;
        }
        let offset = page.saturating_mul(PAGE_BYTES as u64);
        pages::check(page, &bytes).map_err(|problem| VerifyError::Page {
            page,
            offset,
            problem,
        })?;
        on_checked(PAGE_BYTES as u64);
        page += 1;
    }
    if page == 0 {
        Err(VerifyError::Empty)
    } else {
        Ok(page)
    }
}
