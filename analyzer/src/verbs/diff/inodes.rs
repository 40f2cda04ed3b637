//! The pages of the files that have one path. A path can stand for several files in one recording, where one takes the place of
//! another: page 5 of one is not page 5 of the other. Rows are paired by path; here it is told which file is which.

use crate::verbs::diff::page_sample::{Overlap, Pages};
use pf_formats::Object;

/// What tells a file from all others of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode {
    device: (u32, u32),
    inode: u64,
}

impl Inode {
    /// Of what was mapped.
    #[must_use]
    pub fn of(object: &Object) -> Self {
        Self {
            device: (object.dev_major, object.dev_minor),
            inode: object.inode,
        }
    }
}

/// One file with its pages.
#[derive(Clone, Debug)]
pub struct File {
    /// Which.
    pub inode: Inode,
    /// Its distinct pages.
    pub pages: Pages,
}

/// The pages of one path in A and in B, whose files come in the order in which they were met. Those with the same device and inode are
/// the same; of the others the first of A is taken for the first of B, and so on: a file that was made anew has another inode.
#[must_use]
pub fn overlap(a: &[File], b: &[File]) -> Overlap {
    let in_other = |file: &File, others: &[File]| others.iter().position(|other| other.inode == file.inode);
    let alone = |own: &[File], others: &[File]| -> Vec<usize> {
        let alone = own.iter().enumerate();
        let alone = alone.filter(|(_, file)| in_other(file, others).is_none());
        alone.map(|(index, _)| index).collect()
    };
    let (mut of_a, mut of_b) = (alone(a, b), alone(b, a));
    let left = of_a.len().min(of_b.len());
    let rest = (of_a.split_off(left), of_b.split_off(left));
    let same = a.iter().enumerate();
    let same = same.filter_map(|(index, file)| Some((index, in_other(file, b)?)));
    let nothing = Pages::default();
    let pages = |files: &'_ [File], index: usize| files.get(index).map(|file| file.pages.clone());
    let mut all = Overlap::default();
    for (index, other) in same.chain(of_a.into_iter().zip(of_b)) {
        if let (Some(in_a), Some(in_b)) = (pages(a, index), pages(b, other)) {
            all.add(in_a.overlap(&in_b));
        }
    }
    for index in rest.0 {
        pages(a, index)
            .iter()
            .for_each(|in_a| all.add(in_a.overlap(&nothing)));
    }
    for index in rest.1 {
        pages(b, index)
            .iter()
            .for_each(|in_b| all.add(nothing.overlap(in_b)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::diff::page_sample::ROOM;
    use pf_formats::ObjectKind;
    use std::ops::Range;

    fn files(given: &[(u64, Range<u64>)]) -> Vec<File> {
        let file = |(inode, pages): &(u64, Range<u64>)| {
            let mut of_file = Pages::default();
            pages
                .clone()
                .for_each(|page| of_file.insert(page, &mut ROOM.clone()));
            File {
                inode: Inode::of(&Object {
                    kind: ObjectKind::File,
                    dev_major: 8,
                    dev_minor: 1,
                    inode: *inode,
                    path: "/x".into(),
                }),
                pages: of_file,
            }
        };
        given.iter().map(file).collect()
    }

    fn told(a: &[(u64, Range<u64>)], b: &[(u64, Range<u64>)]) -> (u64, u64, u64) {
        let overlap = overlap(&files(a), &files(b));
        (overlap.a, overlap.b, overlap.both)
    }

    #[test]
    fn a_page_of_two_files_of_one_path_is_two_pages() {
        assert_eq!(told(&[(1, 0..100), (2, 0..100)], &[]), (200, 0, 0));
        assert_eq!(told(&[], &[(1, 0..7), (2, 0..9)]), (0, 16, 0));
    }

    #[test]
    fn files_of_one_path_are_the_same_by_inode_and_then_by_their_order() {
        let a = [(1, 0..10), (2, 50..60), (3, 0..5)];
        assert_eq!(told(&a, &a), (25, 25, 25));
        // 2 is 2, then 1 is 7 and 3 is 8.
        assert_eq!(
            told(&a, &[(7, 0..4), (2, 55..99), (8, 2..4)]),
            (25, 50, 4 + 5 + 2)
        );
        // A file that was made anew.
        assert_eq!(told(&[(1, 0..10)], &[(4, 5..20)]), (10, 15, 5));
        assert_eq!(told(&[(1, 0..10)], &[(4, 5..20), (5, 0..10)]), (10, 25, 5));
    }
}
