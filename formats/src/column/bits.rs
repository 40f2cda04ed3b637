//! A stream of bits, the lowest first, in little-endian bytes.

/// Appends to a buffer.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    pending: u64,
    /// Bits in `pending`, below 64.
    filled: u32,
}

impl<'a> BitWriter<'a> {
    #[inline]
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            pending: 0,
            filled: 0,
        }
    }

    /// Appends the low `count` bits of `bits`, at most 64; those above are 0.
    #[inline]
    pub(super) fn push(&mut self, bits: u64, count: u32) {
        self.pending |= bits.wrapping_shl(self.filled);
        let filled = self.filled.wrapping_add(count);
        if filled < 64 {
            self.filled = filled;
            return;
        }
        self.out.extend_from_slice(&self.pending.to_le_bytes());
        let used = 64_u32.wrapping_sub(self.filled);
        self.pending = bits.checked_shr(used).unwrap_or(0);
        self.filled = filled.wrapping_sub(64);
    }

    /// Writes what is left, up to a whole byte.
    #[inline]
    pub(super) fn finish(self) {
        let bytes = self.filled.div_ceil(8) as usize;
        self.out.extend_from_slice(&self.pending.to_le_bytes()[..bytes]);
    }
}

/// The `count` bits from bit `at` on, at most 64; zeros behind the end.
#[inline]
pub(super) fn bits_at(bytes: &[u8], at: usize, count: u32) -> u64 {
    let (byte, bit) = (at >> 3, (at & 7) as u32);
    let mask = u64::MAX.wrapping_shr(64_u32.wrapping_sub(count)) & 0_u64.wrapping_sub(u64::from(count != 0));
    if count <= 57
        && let Some(word) = bytes.get(byte..).and_then(|rest| rest.first_chunk::<8>())
    {
        return (u64::from_le_bytes(*word) >> bit) & mask;
    }
    let mut word = [0; 16];
    let rest = bytes.get(byte..).unwrap_or(&[]);
    let len = rest.len().min(word.len());
    word[..len].copy_from_slice(&rest[..len]);
    (u128::from_le_bytes(word) >> bit) as u64 & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_every_width_come_back() {
        let widths: Vec<u32> = (0..=64).chain((0..=64).rev()).chain([64, 64, 1, 63]).collect();
        let value = |width: u32| 0x9e37_79b9_7f4a_7c15_u64.checked_shr(64 - width).unwrap_or(0);
        let mut bytes = Vec::new();
        let mut writer = BitWriter::new(&mut bytes);
        for &width in &widths {
            writer.push(value(width), width);
        }
        writer.finish();
        let total: u32 = widths.iter().sum();
        assert_eq!(bytes.len(), total.div_ceil(8) as usize);
        let mut at = 0;
        for &width in &widths {
            assert_eq!(bits_at(&bytes, at, width), value(width), "{width} bits at {at}");
            at += width as usize;
        }
    }
}
