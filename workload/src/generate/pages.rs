//! Numbered pages: 512 little-endian words of 8 bytes. Word 0 is the page's number, from 0; word 1 is
//! its check word; both and all that follow are decided by the number, so that a page which is
//! damaged, or in the wrong place, shows.

use thiserror::Error;

/// Bytes of a numbered page, on every machine.
pub const PAGE_BYTES: usize = 4096;

const WORD_BYTES: usize = 8;

/// What is wrong with a page.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PageError {
    /// It is another page.
    #[error("it says it is page {found}")]
    WrongNumber {
        /// The number it bears.
        found: u64,
    },
    /// Number and check word do not belong together.
    #[error("its check word is {found:#018x}, expected {expected:#018x}")]
    WrongCheckWord {
        /// The word in the page.
        found: u64,
        /// The word that belongs to its number.
        expected: u64,
    },
    /// Its head is right, its body is not.
    #[error("its body differs from byte {byte} on")]
    WrongBody {
        /// Offset in the page of the first word that differs.
        byte: usize,
    },
    /// The file ends within it.
    #[error("it ends after {found} of {PAGE_BYTES} bytes")]
    Cut {
        /// Bytes that are there.
        found: usize,
    },
}

/// Fills `bytes`, which start at `offset` (a multiple of the page), with numbered pages.
pub fn fill(offset: u64, bytes: &mut [u8]) {
    for (page, bytes) in (offset / PAGE_BYTES as u64..).zip(bytes.chunks_mut(PAGE_BYTES)) {
        for (index, slot) in bytes.chunks_exact_mut(WORD_BYTES).enumerate() {
            slot.copy_from_slice(&word(page, index).to_le_bytes());
        }
    }
}

/// Checks that `bytes` are page number `page`.
pub fn check(page: u64, bytes: &[u8]) -> Result<(), PageError> {
    if bytes.len() != PAGE_BYTES {
        return Err(PageError::Cut { found: bytes.len() });
    }
    let (words, _) = bytes.as_chunks::<WORD_BYTES>();
    let words = words.iter().map(|&word| u64::from_le_bytes(word)).enumerate();
    for (index, found) in words {
        let expected = word(page, index);
        if found != expected {
            return Err(match index {
                0 => PageError::WrongNumber { found },
                1 => PageError::WrongCheckWord { found, expected },
                _ => PageError::WrongBody {
                    byte: index * WORD_BYTES,
                },
            });
        }
    }
    Ok(())
}

fn word(page: u64, index: usize) -> u64 {
    if index == 0 {
        page
    } else {
        scramble(page.wrapping_mul(512).wrapping_add(index as u64))
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014) on a Weyl step: one to one, so words of
/// a file never repeat, and no compressor finds a pattern.
fn scramble(value: u64) -> u64 {
    let value = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u64) -> Vec<u8> {
        let mut bytes = vec![0; PAGE_BYTES];
        fill(number * PAGE_BYTES as u64, &mut bytes);
        bytes
    }

    #[test]
    fn a_page_begins_with_its_number_and_passes_its_check() {
        assert_eq!(page(258)[..8], [2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(check(258, &page(258)), Ok(()));
        let mut both = vec![0; 2 * PAGE_BYTES];
        fill(257 * PAGE_BYTES as u64, &mut both);
        assert_eq!(both[PAGE_BYTES..], page(258));
    }

    #[test]
    fn each_kind_of_damage_has_its_own_name() {
        assert_eq!(check(4, &page(5)), Err(PageError::WrongNumber { found: 5 }));
        assert_eq!(check(4, &page(4)[..100]), Err(PageError::Cut { found: 100 }));
        let mut damaged = page(4);
        damaged[4095] ^= 1;
        assert_eq!(check(4, &damaged), Err(PageError::WrongBody { byte: 4088 }));
        damaged[8] ^= 1;
        assert!(matches!(
            check(4, &damaged),
            Err(PageError::WrongCheckWord { .. })
        ));
    }
}
