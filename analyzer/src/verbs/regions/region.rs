//! Named parts of a file: where they come from, and which byte belongs to which. It counts no faults.

pub use crate::verbs::regions::layout::{Layout, Owner, Region};

/// Regions of one file that are kept; more are an error. About 100 bytes each, and their names.
pub const MOST_REGIONS: usize = 1 << 18;
/// Bytes of a name or shape that are kept.
const LONGEST_TEXT: usize = 256;

/// What is wrong with a file that regions are read from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// It cannot be read.
    #[error("cannot be read at byte {offset}")]
    Io {
        /// Where.
        offset: u64,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("byte {offset}: {what}")]
    Damaged {
        /// Where.
        offset: u64,
        /// What is there, and what should be.
        what: String,
    },
    /// A list of regions that cannot be used.
    #[error("line {line}: {what}")]
    Line {
        /// From 1.
        line: u64,
        /// What is there, and what should be.
        what: String,
    },
    /// More than is kept.
    #[error("more than {MOST_REGIONS} regions")]
    TooMany,
}

/// The regions of a file, collected within bounds.
#[derive(Debug, Default)]
pub struct Collected {
    regions: Vec<Region>,
}

impl Collected {
    /// Adds one.
    ///
    /// # Errors
    /// When there are too many.
    pub fn push(&mut self, mut region: Region) -> Result<(), RegionError> {
        if self.regions.len() >= MOST_REGIONS {
            return Err(RegionError::TooMany);
        }
        shorten(&mut region.name);
        [&mut region.kind, &mut region.shape]
            .into_iter()
            .flatten()
            .for_each(shorten);
        self.regions.push(region);
        Ok(())
    }

    /// All of them.
    #[must_use]
    pub(crate) fn into_regions(self) -> Vec<Region> {
        self.regions
    }
}

pub(crate) fn shorten(text: &mut String) {
    if text.len() > LONGEST_TEXT {
        let end = (0..=LONGEST_TEXT).rev().find(|&end| text.is_char_boundary(end));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text.shrink_to_fit();
}
