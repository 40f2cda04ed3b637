//! Changes of inputs for the tests, which have no libFuzzer. The recorder's fuzz targets share it.

/// The finalizer of SplitMix64: noise from a number.
pub(super) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A seed with a few changes: bytes set, runs put in, taken out, repeated, or put together with another seed. `number`
/// decides everything.
#[must_use]
pub fn changed(seeds: &[Vec<u8>], number: u64) -> Vec<u8> {
    let mut state = mix(number);
    let mut below = |limit: usize| {
        state = mix(state);
        (state >> 16) as usize % limit.max(1)
    };
    let mut input = seeds[below(seeds.len())].clone();
    for _ in 0..=below(6) {
        let at = below(input.len() + 1);
        let len = below(9).min(input.len() - at);
        match below(7) {
            0 => {
                input.drain(at..at + len);
            }
            1 => {
                let run = input[at..at + len].to_vec();
                input.splice(at..at, run);
            }
            2 => {
                let other = &seeds[below(seeds.len())];
                let from = below(other.len() + 1);
                input.truncate(at);
                input.extend(&other[from..]);
            }
            3 => {
                let word = [0, 1, 255, 65_536, u32::MAX, 1 << 31, 8 << 20][below(7)].to_le_bytes();
                for (byte, value) in input[at..].iter_mut().zip(word) {
                    *byte = value;
                }
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = match below(3) {
                        0 => *byte ^ 1 << below(8),
                        1 => below(8) as u8,
                        _ => below(256) as u8,
                    };
                }
            }
        }
    }
    input
}
