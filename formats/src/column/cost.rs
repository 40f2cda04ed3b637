//! What a column would cost in one storage or another, by the order-0 entropy of a sample of its rows. Trying is
//! cheaper than compressing: the entropy is what the coder of zstd comes close to, and differences matter only when
//! they are large.

use super::classes::class_of;

/// Rows looked at, in slices spread over the column.
const SLICES: usize = 8;
const SLICE_ROWS: usize = 64;

/// With fewer bits classes are too wide for any times that were seen; with more only numbers below 512 fit.
const MANTISSAS: std::ops::RangeInclusive<u8> = 2..=5;

/// Estimates in bits for the whole column.
pub(super) struct Cost {
    sample: Vec<u64>,
    /// n log2 n, for counts in a sample.
    weights: Vec<f32>,
}

impl Cost {
    pub(super) fn new() -> Self {
        let weight = |count: usize| (count as f32) * (count.max(1) as f32).log2();
        Self {
            sample: Vec::with_capacity(SLICES * SLICE_ROWS),
            weights: (0..=SLICES * SLICE_ROWS).map(weight).collect(),
        }
    }

    /// Chooses the rows that the following estimates look at.
    pub(super) fn look_at(&mut self, values: &[u64]) {
        self.sample.clear();
        let stride = values.len().div_ceil(SLICES).max(SLICE_ROWS);
        for slice in values.chunks(stride) {
            self.sample
                .extend_from_slice(&slice[..slice.len().min(SLICE_ROWS)]);
        }
    }

    /// Bits of a row of byte planes.
    pub(super) fn planes(&self, width: usize) -> f32 {
        let used = self.sample.iter().fold(0, |bits, value| bits | value);
        let mut bits = 0.0;
        for index in 0..width {
            let shift = 8 * index as u32;
            if (used >> shift) as u8 != 0 {
                let bytes = self.sample.iter().map(|value| (value >> shift) as u8);
                bits += self.entropy(bytes);
            }
        }
        bits
    }

    /// Bits of a row of log-linear classes, and the mantissa for which they are fewest.
    pub(super) fn classes(&self) -> (f32, u8) {
        let mut best = (f32::INFINITY, 0);
        for mantissa in MANTISSAS {
            let mut below = 0_u64;
            let classes = self.sample.iter().map(|value| {
                let (class, count) = class_of(*value, mantissa);
                below = below.wrapping_add(count.into());
                class
            });
            let bits = self.entropy(classes) + below as f32 / self.sample.len().max(1) as f32;
            if bits < best.0 {
                best = (bits, mantissa);
            }
        }
        best
    }

    /// Bits of a byte.
    fn entropy(&self, bytes: impl Iterator<Item = u8>) -> f32 {
        let mut counts = [0_u16; 256];
        let mut total = 0_usize;
        for byte in bytes {
            let count = &mut counts[usize::from(byte)];
            *count = count.wrapping_add(1);
            total = total.wrapping_add(1);
        }
        let weight = |count: usize| self.weights.get(count).copied().unwrap_or(0.0);
        let sum: f32 = counts.iter().map(|count| weight(usize::from(*count))).sum();
        (weight(total) - sum) / total.max(1) as f32
    }
}
