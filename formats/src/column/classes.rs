//! Log-linear classes: of each number the power of two and some bits below go into one byte, the rest into a stream of
//! bits. Times are noise over several powers of two: there a plane of bytes sees only a part of what is likely.
//!
//! With a mantissa of k bits, `shift` = max(0, floor(log2 v) - k) and the class is (shift << k) + (v >> shift), as in
//! an HDR histogram (<http://hdrhistogram.org>); the low `shift` bits follow. Classes from 255 on do not fit the byte: 255
//! stands for all of them, and all 64 bits follow.

use multiversion::multiversion;

use super::bits::{BitWriter, bits_at};

/// With more, class 255 would be a number of its own.
pub(super) const MAX_MANTISSA: u8 = 6;

const ESCAPE: u64 = 255;

/// The class of a number, and how many bits follow it.
#[inline]
pub(super) fn class_of(value: u64, mantissa: u8) -> (u8, u32) {
    let power = 63_u32.wrapping_sub((value | 1).leading_zeros());
    let shift = power.saturating_sub(u32::from(mantissa));
    let class = u64::from(shift)
        .wrapping_shl(u32::from(mantissa))
        .wrapping_add(value.wrapping_shr(shift));
    if class < ESCAPE {
        (class as u8, shift)
    } else {
        (ESCAPE as u8, 64)
    }
}

/// The class of each number, and the bits below one after another, which are appended.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
pub(super) fn write(values: &[u64], mantissa: u8, classes: &mut Vec<u8>, below: &mut Vec<u8>) {
    let mut bits = BitWriter::new(below);
    classes.resize(values.len(), 0);
    for (class, value) in classes.iter_mut().zip(values) {
        let count;
        (*class, count) = class_of(*value, mantissa);
        let kept = u64::MAX.checked_shl(count).unwrap_or(0);
        bits.push(value & !kept, count);
    }
    bits.finish();
}

/// Undoes [`write`]. `below` must hold exactly the bits that the classes ask for.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
pub(super) fn read(classes: &[u8], mantissa: u8, below: &[u8], values: &mut Vec<u64>) -> Result<(), String> {
    let table = table(mantissa);
    let mut total = 0_usize;
    for class in classes {
        total = total.wrapping_add(table[usize::from(*class)].1 as usize);
    }
    if total.div_ceil(8) != below.len() {
        return Err(format!(
            "{} bytes of bits follow its classes, which ask for {}",
            below.len(),
            total.div_ceil(8)
        ));
    }
    let mut at = 0_usize;
    values.resize(classes.len(), 0);
    for (value, class) in values.iter_mut().zip(classes) {
        let (base, count) = table[usize::from(*class)];
        *value = base | bits_at(below, at, count);
        at = at.wrapping_add(count as usize);
    }
    Ok(())
}

/// More bits than a record can hold: for classes that no number of 64 bits has.
const NO_NUMBER: u32 = 8 * 2 * crate::limits::PAYLOAD as u32;

/// For each class its smallest number, and how many bits follow.
fn table(mantissa: u8) -> [(u64, u32); 256] {
    let mut table = [(0, 64); 256];
    for (class, entry) in (0_u64..ESCAPE).zip(&mut table) {
        let shift = (class >> mantissa).saturating_sub(1);
        *entry = if shift < 64 - u64::from(mantissa) {
            ((class - (shift << mantissa)) << shift, shift as u32)
        } else {
            (0, NO_NUMBER)
        };
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn numbers_around_every_power_of_two_come_back_with_every_mantissa() {
        let around = (0..64).flat_map(|power| {
            let two = 1_u64 << power;
            [two - 1, two, two + 1, two | two >> 1, two.wrapping_mul(3)]
        });
        let values: Vec<u64> = around.chain([0, u64::MAX]).collect();
        for mantissa in 0..=MAX_MANTISSA {
            let (mut classes, mut below, mut back) = (Vec::new(), Vec::new(), Vec::new());
            write(&values, mantissa, &mut classes, &mut below);
            read(&classes, mantissa, &below, &mut back).unwrap();
            assert_eq!(back, values, "mantissa of {mantissa} bits");
        }
    }

    #[test]
    fn classes_rise_with_the_numbers() {
        for mantissa in 0..=MAX_MANTISSA {
            let classes: Vec<u8> = (0..5000).map(|value| class_of(value, mantissa).0).collect();
            assert!(classes.is_sorted(), "mantissa of {mantissa} bits");
        }
    }

    #[test]
    fn classes_beyond_64_bits_are_refused() {
        for (class, mantissa) in [(64, 0), (254, 0), (254, 1), (252, 2)] {
            let outcome = read(&[class], mantissa, &[0; 8], &mut Vec::new());
            assert_eq!(
                outcome.is_ok(),
                class_of(u64::MAX, mantissa).0 >= class,
                "{class}"
            );
        }
    }

    #[test]
    fn bits_that_are_missing_or_left_over_are_refused() {
        let (mut classes, mut below, mut back) = (Vec::new(), Vec::new(), Vec::new());
        write(&[1000, 70_000], 3, &mut classes, &mut below);
        assert!(read(&classes, 3, &below[1..], &mut back).is_err());
        below.push(0);
        assert!(read(&classes, 3, &below, &mut back).is_err());
    }
}
