//! The order of pages: endless, decided by a seed, and without any allocation once it exists.
//! Knows page numbers only, nothing of memory.

use std::ops::Range;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};

/// Share of sequential touches in [`Shape::Mixed`].
const MIXED_SEQUENTIAL: f64 = 0.3;
/// The exponent most caches are measured with (YCSB's default).
const ZIPF_EXPONENT: f64 = 0.99;

/// Which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// 0, 1, 2, … and again from 0.
    Sequential,
    /// Uniform.
    Random,
    /// Every n-th page, then the same from one page further: 0, n, 2n, …, 1, n+1, …
    Stride(u64),
    /// 70 % random, 30 % sequential; the sequential touches go on where the last one was.
    Mixed,
    /// Page k in proportion to 1/(k+1)^0.99: the start of the file is hot.
    Zipf,
}

impl Shape {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sequential => "seq",
            Self::Random => "random",
            Self::Stride(_) => "stride",
            Self::Mixed => "mixed",
            Self::Zipf => "zipf",
        }
    }
}

/// A shape and the seed that decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Which order.
    pub shape: Shape,
    /// Decides all that is random.
    pub seed: u64,
}

impl Pattern {
    /// The pages that thread number `thread` touches, of `pages` in all (0 counts as 1). Threads get
    /// different seeds; the shapes without chance are the same in all of them.
    pub fn pages(self, pages: u64, thread: u32) -> PageSequence {
        let pages = pages.max(1);
        // Page counts stay far below 2^53, so the float is exact; and a count of at least 1 and a
        // positive exponent are all that `Zipf` asks for.
        let zipf = match self.shape {
            Shape::Zipf => Zipf::new(pages as f64, ZIPF_EXPONENT).ok(),
            _ => None,
        };
        PageSequence {
            shape: self.shape,
            pages,
            next_page: 0,
            offset: 0,
            zipf,
            rng: StdRng::seed_from_u64(thread_seed(self.seed, thread)),
        }
    }
}

/// An endless sequence of page numbers below the number of pages. See [`Pattern::pages`].
#[derive(Debug)]
pub struct PageSequence {
    shape: Shape,
    pages: u64,
    next_page: u64,
    offset: u64,
    zipf: Option<Zipf<f64>>,
    rng: StdRng,
}

impl PageSequence {
    /// The next page.
    pub(crate) fn next_page(&mut self) -> u64 {
        match self.shape {
            Shape::Sequential => self.sequential(),
            Shape::Random => self.random(),
            Shape::Stride(stride) => self.stride(stride.clamp(1, self.pages)),
            Shape::Mixed if self.rng.random_bool(MIXED_SEQUENTIAL) => self.sequential(),
            Shape::Mixed => self.random(),
            Shape::Zipf => self.zipf(),
        }
    }

    fn sequential(&mut self) -> u64 {
        let page = self.next_page;
        self.next_page = (page + 1) % self.pages;
        page
    }

    fn random(&mut self) -> u64 {
        self.rng.random_range(0..self.pages)
    }

    fn stride(&mut self, stride: u64) -> u64 {
        let page = self.next_page;
        self.next_page = page.saturating_add(stride);
        if self.next_page >= self.pages {
            self.offset = (self.offset + 1) % stride;
            self.next_page = self.offset;
        }
        page
    }

    fn zipf(&mut self) -> u64 {
        let Some(zipf) = self.zipf else { return 0 };
        // Ranks are whole numbers from 1 to the number of pages.
        let rank = zipf.sample(&mut self.rng) as u64;
        rank.clamp(1, self.pages) - 1
    }
}

impl Iterator for PageSequence {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        Some(self.next_page())
    }
}

/// The share of thread `number` when `pages` are dealt out to `threads`, in order and as evenly as they go.
/// Where there are more threads than pages some share is empty, and starts at a page that exists.
pub fn part(pages: u64, number: u32, threads: u32) -> Range<u64> {
    let start = |number: u32| {
        let exact = u128::from(pages) * u128::from(number) / u128::from(threads.max(1));
        // A number of at most `threads` gives at most `pages`.
        u64::try_from(exact).unwrap_or(pages)
    };
    start(number)..start(number.saturating_add(1))
}

/// Neighbouring threads and neighbouring seeds must not share a sequence: seed 1 of thread 1 is not
/// seed 2 of thread 0. An odd factor of 64 bits keeps them apart.
fn thread_seed(seed: u64, thread: u32) -> u64 {
    seed.wrapping_add(u64::from(thread).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(shape: Shape, pages: u64, count: usize) -> Vec<u64> {
        Pattern { shape, seed: 7 }.pages(pages, 0).take(count).collect()
    }

    #[test]
    fn sequential_counts_up_and_starts_again() {
        assert_eq!(take(Shape::Sequential, 3, 7), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn a_stride_reaches_every_page_once_before_it_repeats() {
        assert_eq!(take(Shape::Stride(3), 8, 10), [0, 3, 6, 1, 4, 7, 2, 5, 0, 3]);
        assert_eq!(take(Shape::Stride(4), 8, 9), [0, 4, 1, 5, 2, 6, 3, 7, 0]);
    }

    #[test]
    fn a_stride_beyond_the_file_still_visits_every_page() {
        assert_eq!(take(Shape::Stride(u64::MAX), 3, 4), [0, 1, 2, 0]);
        assert_eq!(take(Shape::Stride(0), 3, 4), [0, 1, 2, 0]);
    }

    #[test]
    fn random_is_even_over_the_pages() {
        let mut hits = [0_u32; 10];
        for page in take(Shape::Random, 10, 100_000) {
            hits[usize::try_from(page).unwrap_or(10)] += 1;
        }
        assert!(hits.iter().all(|hit| (9_500..=10_500).contains(hit)), "{hits:?}");
    }

    #[test]
    fn mixed_is_three_tenths_sequential() {
        // With so many pages, a random touch practically never meets the sequential cursor.
        let mut cursor = 0;
        let pages = take(Shape::Mixed, 1 << 40, 100_000);
        let sequential = pages
            .iter()
            .filter(|&&page| {
                page == cursor && {
                    cursor += 1;
                    true
                }
            })
            .count();
        assert!((29_000..=31_000).contains(&sequential), "{sequential}");
    }

    #[test]
    fn zipf_follows_its_formula() {
        let pages = 1000_u32;
        let count = 200_000;
        let total: f64 = (1..=pages).map(|rank| f64::from(rank).powf(-ZIPF_EXPONENT)).sum();
        let touched = take(Shape::Zipf, u64::from(pages), count);
        assert!(touched.iter().all(|&page| page < u64::from(pages)));
        for page in [0_u32, 1, 9, 99] {
            let hits = touched.iter().filter(|&&other| other == u64::from(page)).count() as f64;
            let expected = count as f64 * f64::from(page + 1).powf(-ZIPF_EXPONENT) / total;
            assert!(
                (hits - expected).abs() < 5.0 * expected.sqrt(),
                "page {page}: {hits} for {expected}"
            );
        }
    }

    #[test]
    fn the_seed_decides_and_threads_differ() {
        for shape in [Shape::Random, Shape::Mixed, Shape::Zipf] {
            let walk = |seed, thread| {
                Pattern { shape, seed }
                    .pages(5000, thread)
                    .take(100)
                    .collect::<Vec<_>>()
            };
            assert_eq!(walk(1, 0), walk(1, 0));
            assert_ne!(walk(1, 0), walk(1, 1));
            assert_ne!(walk(1, 1), walk(2, 0));
        }
    }

    #[test]
    fn the_parts_of_the_threads_join_and_cover_every_page() {
        for (pages, threads) in [(10, 3), (7, 7), (2, 3), (u64::MAX, 4096)] {
            let parts: Vec<_> = (0..threads).map(|number| part(pages, number, threads)).collect();
            assert_eq!(parts.first().map(|first| first.start), Some(0));
            assert_eq!(parts.last().map(|last| last.end), Some(pages));
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert!(parts.iter().all(|part| part.start < pages));
        }
    }

    #[test]
    fn one_page_is_enough_for_every_shape() {
        for shape in [
            Shape::Sequential,
            Shape::Random,
            Shape::Stride(5),
            Shape::Mixed,
            Shape::Zipf,
        ] {
            assert_eq!(take(shape, 1, 3), [0, 0, 0], "{shape:?}");
        }
    }
}
