//! Which region a byte of the file belongs to, overlaps and gaps included. Regions are made into pieces that do not overlap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A named part of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// Its name, as its source has it.
    pub name: String,
    /// First byte in the file.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// Type of its content, where the source tells.
    pub kind: Option<String>,
    /// Shape of its content, where the source tells.
    pub shape: Option<String>,
}

impl Region {
    fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

/// Whose a byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The region of this number.
    Region(u32),
    /// No region's: the gap in front of the piece of this number.
    Gap(u32),
}

/// Bytes from `start` on, up to the next piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    start: u64,
    owner: Owner,
}

/// All regions of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    regions: Vec<Region>,
    pieces: Vec<Piece>,
    overlapping: usize,
}

impl Layout {
    /// Where regions overlap, a byte belongs to the one that begins last, of these to the shortest, of these to the last one.
    #[must_use]
    pub fn new(regions: Vec<Region>) -> Self {
        let mut order: Vec<usize> = (0..regions.len()).collect();
        let key = |&index: &usize| regions.get(index).map(|r| (r.offset, Reverse(r.len), index));
        order.sort_unstable_by_key(key);
        let mut edges: Vec<u64> = regions
            .iter()
            .filter(|region| region.len > 0)
            .flat_map(|region| [region.offset, region.end()])
            .chain([0])
            .collect();
        edges.sort_unstable();
        edges.dedup();
        let mut waiting = order
            .into_iter()
            .filter_map(|index| Some((index, regions.get(index)?)))
            .filter(|(_, region)| region.len > 0)
            .peekable();
        // Those that the edge lies in: the one that owns it on top.
        let mut open: BinaryHeap<(u64, Reverse<u64>, usize)> = BinaryHeap::new();
        let mut pieces: Vec<Piece> = Vec::new();
        let (mut overlapping, mut furthest) = (0, 0);
        for edge in edges {
            while let Some((index, region)) = waiting.next_if(|(_, region)| region.offset <= edge) {
                overlapping += usize::from(region.offset < furthest);
                furthest = furthest.max(region.end());
                open.push((region.offset, Reverse(region.len), index));
            }
            while let Some(&(offset, Reverse(len), _)) = open.peek()
                && offset.saturating_add(len) <= edge
            {
                open.pop();
            }
            let owner = open.peek().and_then(|&(_, _, index)| u32::try_from(index).ok());
            let number = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
            let owner = owner.map_or(Owner::Gap(number), Owner::Region);
            if pieces.last().is_none_or(|last| last.owner != owner) {
                pieces.push(Piece { start: edge, owner });
            }
        }
        Self {
            regions,
            pieces,
            overlapping,
        }
    }

    /// Whose this byte is.
    #[must_use]
    pub fn owner(&self, byte: u64) -> Owner {
        let after = self.pieces.partition_point(|piece| piece.start <= byte);
        let piece = after.checked_sub(1).and_then(|index| self.pieces.get(index));
        piece.map_or(Owner::Gap(0), |piece| piece.owner)
    }

    /// All regions, in the order of their source.
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// How many begin inside another one.
    #[must_use]
    pub(crate) fn overlapping(&self) -> usize {
        self.overlapping
    }

    /// An owner as a region; gaps are named after their neighbours. A gap behind all regions ends at `file_end`.
    #[must_use]
    pub fn region(&self, owner: Owner, file_end: u64) -> Region {
        let index = match owner {
            Owner::Region(index) => {
                let region = self.regions.get(index as usize);
                return region.cloned().unwrap_or_default();
            }
            Owner::Gap(index) => index as usize,
        };
        let name = |piece: Option<&Piece>| match piece.map(|piece| piece.owner) {
            Some(Owner::Region(index)) => self
                .regions
                .get(index as usize)
                .map(|region| region.name.as_str()),
            _ => None,
        };
        let offset = self.pieces.get(index).map_or(0, |piece| piece.start);
        let before = index.checked_sub(1).and_then(|index| self.pieces.get(index));
        let after = self.pieces.get(index + 1);
        let end = after.map_or(file_end.max(offset), |piece| piece.start);
        let name = match (name(before), name(after)) {
            (Some(before), Some(after)) => format!("(between {before} and {after})"),
            (None, Some(after)) => format!("(before {after})"),
            (Some(before), None) => format!("(after {before})"),
            (None, None) => "(no region)".to_owned(),
        };
        Region {
            name,
            offset,
            len: end - offset,
            kind: None,
            shape: None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn layout(regions: &[(u64, u64)]) -> Layout {
        let region = |(index, &(offset, len)): (usize, &(u64, u64))| Region {
            name: format!("r{index}"),
            offset,
            len,
            ..Region::default()
        };
        Layout::new(regions.iter().enumerate().map(region).collect())
    }

    fn names(layout: &Layout, bytes: &[u64]) -> Vec<String> {
        let name = |&byte| layout.region(layout.owner(byte), 1_000).name;
        bytes.iter().map(name).collect()
    }

    #[test]
    fn gaps_are_named_after_their_neighbours() {
        let layout = layout(&[(100, 50), (10, 20), (150, 10)]);
        assert_eq!(
            names(&layout, &[0, 10, 29, 30, 99, 100, 149, 150, 160, u64::MAX]),
            [
                "(before r1)",
                "r1",
                "r1",
                "(between r1 and r0)",
                "(between r1 and r0)",
                "r0",
                "r0",
                "r2",
                "(after r2)",
                "(after r2)"
            ]
        );
        let gap = |byte| layout.region(layout.owner(byte), 1_000);
        assert_eq!((gap(35).offset, gap(35).len), (30, 70));
        assert_eq!((gap(160).offset, gap(160).len), (160, 840));
        assert_eq!(layout.overlapping(), 0);
    }

    #[test]
    fn no_regions_and_empty_ones_own_nothing() {
        assert_eq!(names(&layout(&[]), &[0, 7]), ["(no region)", "(no region)"]);
        assert_eq!(names(&layout(&[(5, 0)]), &[5]), ["(no region)"]);
        assert_eq!(names(&layout(&[(0, u64::MAX)]), &[0, u64::MAX - 1]), ["r0", "r0"]);
    }

    #[test]
    fn every_byte_belongs_to_the_innermost_region() {
        let cases: [&[(u64, u64)]; 6] = [
            &[(0, 100), (20, 10), (25, 50), (20, 5)],
            &[(5, 10), (5, 10), (0, 8)],
            &[(u64::MAX - 5, 100), (3, u64::MAX)],
            &[(0, 3), (1, 3), (2, 3), (3, 3), (9, 0)],
            &[(10, 1), (12, 1), (11, 1)],
            &[(0, 1)],
        ];
        for regions in cases {
            let layout = layout(regions);
            for byte in (0..120).chain(u64::MAX - 10..u64::MAX) {
                let holds = |&(_, &(offset, len)): &(usize, &(u64, u64))| {
                    byte >= offset && byte < offset.saturating_add(len)
                };
                let innermost = regions
                    .iter()
                    .enumerate()
                    .filter(holds)
                    .max_by_key(|&(index, &(offset, len))| (offset, Reverse(len), index));
                let expected = innermost.map(|(index, _)| Owner::Region(index as u32));
                match expected {
                    Some(owner) => assert_eq!(layout.owner(byte), owner, "{regions:?} {byte}"),
                    None => assert!(matches!(layout.owner(byte), Owner::Gap(_)), "{regions:?} {byte}"),
                }
            }
        }
        assert_eq!(layout(cases[0]).overlapping(), 3);
    }
}
