//! Questions to a column of bytes, in the vector instructions of the machine: the compiler's own answer widens every byte.

use multiversion::multiversion;

/// Bytes that are counted in a byte, in whole vectors.
const CHUNK: usize = 224;

/// How many bytes are `value` under `mask`.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
#[must_use]
pub fn count(bytes: &[u8], mask: u8, value: u8) -> u64 {
    let mut count = 0;
    for chunk in bytes.chunks(CHUNK) {
        let found = chunk.iter().fold(0u8, |found, byte| {
            found.wrapping_add(u8::from(byte & mask == value))
        });
        count += u64::from(found);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts() {
        let bytes: Vec<u8> = (0..100_003u32).map(|i| (i % 251) as u8).collect();
        for (mask, value) in [(0xff, 7), (3, 1), (0, 0), (0x30, 0x20), (0, 1)] {
            let plain = bytes.iter().filter(|&&byte| byte & mask == value).count() as u64;
            assert_eq!(count(&bytes, mask, value), plain);
        }
    }
}
