//! The tensors of a GGUF file, versions 2 and 3, little-endian: key-value pairs, of which only the alignment matters, then a
//! record per tensor, then the data. Layout: the GGUF specification in the ggml repository, `docs/gguf.md`.

use crate::verbs::regions::bytes::Bytes;
use crate::verbs::regions::region::{Collected, MOST_REGIONS, Region, RegionError, shorten};
use std::io::{Read, Seek};

/// The first four bytes.
pub(crate) const MAGIC: [u8; 4] = *b"GGUF";
/// Longest name of a key or tensor.
const LONGEST_NAME: u64 = 65_535;
/// Arrays in arrays.
const DEEPEST_ARRAY: u32 = 8;
const ALIGNMENT_KEY: &str = "general.alignment";
const DEFAULT_ALIGNMENT: u64 = 32;
/// Dimensions of a tensor.
const MOST_DIMENSIONS: u32 = 8;

const U32: u32 = 4;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// (code, name, values per block, bytes per block). Of other types the data is taken to reach to the next tensor.
const TYPES: [(u32, &str, u64, u64); 31] = [
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (30, "BF16", 1, 2),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
];

struct Tensor {
    region: Region,
    /// Where its record is in the file.
    at: u64,
    /// `None` of an unknown type.
    len: Option<u64>,
}

/// Reads the header: the part before the data is a region, too.
///
/// # Errors
/// What is wrong, and at which byte.
pub fn read<R: Read + Seek>(bytes: &mut Bytes<R>) -> Result<Vec<Region>, RegionError> {
    bytes.skip(4, "magic")?;
    let version = bytes.u32("version")?;
    match version {
        2 | 3 => {}
        swapped if (1..=16).contains(&swapped.swap_bytes()) => {
            return Err(bytes.damaged("a big-endian GGUF file, and only little-endian ones can be read"));
        }
        other => return Err(bytes.damaged(format!("GGUF version {other}, and only 2 and 3 can be read"))),
    }
    let tensor_count = bytes.u64("number of tensors")?;
    if tensor_count > MOST_REGIONS as u64 {
        return Err(RegionError::TooMany);
    }
    let pairs = bytes.u64("number of key-value pairs")?;
    let mut alignment = DEFAULT_ALIGNMENT;
    for _ in 0..pairs {
        let key = name(bytes, "key")?;
        let kind = bytes.u32("type of a value")?;
        if key == ALIGNMENT_KEY && kind == U32 {
            alignment = u64::from(bytes.u32(ALIGNMENT_KEY)?);
            if !alignment.is_power_of_two() || alignment > 1 << 30 {
                return Err(bytes.damaged(format!(
                    "{ALIGNMENT_KEY} {alignment} is not a power of two up to 2^30"
                )));
            }
        } else {
            skip_value(bytes, kind, DEEPEST_ARRAY)?;
        }
    }
    let mut tensors = Vec::new();
    for _ in 0..tensor_count {
        tensors.push(tensor(bytes)?);
    }
    let data = bytes.offset().next_multiple_of(alignment);
    place(tensors, data, bytes)
}

/// Offsets in the file instead of in the data, and lengths where the type does not tell.
fn place<R: Read + Seek>(
    mut tensors: Vec<Tensor>,
    data: u64,
    bytes: &Bytes<R>,
) -> Result<Vec<Region>, RegionError> {
    let mut starts: Vec<u64> = tensors.iter().map(|tensor| tensor.region.offset).collect();
    starts.sort_unstable();
    let mut regions = Collected::default();
    regions.push(Region {
        name: "(header)".to_owned(),
        offset: 0,
        len: data.min(bytes.end()),
        kind: None,
        shape: None,
    })?;
    for tensor in &mut tensors {
        let region = &mut tensor.region;
        let wrong = |what: String| RegionError::Damaged {
            offset: tensor.at,
            what,
        };
        let offset = data
            .checked_add(region.offset)
            .filter(|&offset| offset <= bytes.end());
        let Some(offset) = offset else {
            return Err(wrong(format!(
                "tensor '{}' begins {} bytes into the data, behind the end of the file",
                region.name, region.offset
            )));
        };
        let next = starts.get(starts.partition_point(|&start| start <= region.offset));
        let room = next.map_or(bytes.end(), |next| data.saturating_add(*next).min(bytes.end())) - offset;
        let len = tensor.len.unwrap_or(room);
        if len > bytes.end() - offset {
            return Err(wrong(format!(
                "tensor '{}' has {len} bytes at byte {offset}, and the file ends at {}",
                region.name,
                bytes.end()
            )));
        }
        (region.offset, region.len) = (offset, len);
        regions.push(std::mem::take(region))?;
    }
    Ok(regions.into_regions())
}

fn tensor<R: Read + Seek>(bytes: &mut Bytes<R>) -> Result<Tensor, RegionError> {
    let at = bytes.offset();
    let mut name = name(bytes, "name of a tensor")?;
    // Many long names would take as much memory as the header.
    shorten(&mut name);
    let count = bytes.u32("number of dimensions")?;
    if count > MOST_DIMENSIONS {
        return Err(bytes.damaged(format!(
            "{count} dimensions, and at most {MOST_DIMENSIONS} are allowed"
        )));
    }
    let mut dimensions = Vec::new();
    for _ in 0..count {
        dimensions.push(bytes.u64("dimension")?);
    }
    let code = bytes.u32("type of a tensor")?;
    let offset = bytes.u64("offset of a tensor")?;
    let known = TYPES.iter().find(|(each, ..)| *each == code);
    let len = match known {
        Some(&(_, _, values, size)) => {
            let blocks = dimensions
                .iter()
                .try_fold(1u64, |product, &dimension| product.checked_mul(dimension))
                .map(|product| product.div_ceil(values));
            let len = blocks.and_then(|blocks| blocks.checked_mul(size));
            Some(len.ok_or_else(|| bytes.damaged(format!("tensor '{name}' is larger than any file")))?)
        }
        None => None,
    };
    let shape: Vec<String> = dimensions.iter().map(u64::to_string).collect();
    Ok(Tensor {
        region: Region {
            name,
            offset,
            len: 0,
            kind: Some(known.map_or_else(|| format!("type {code}"), |known| known.1.to_owned())),
            shape: Some(shape.join("x")),
        },
        at,
        len,
    })
}

fn name<R: Read + Seek>(bytes: &mut Bytes<R>, what: &str) -> Result<String, RegionError> {
    let len = bytes.u64(what)?;
    bytes.text(len, LONGEST_NAME, what)
}

fn skip_value<R: Read + Seek>(bytes: &mut Bytes<R>, kind: u32, depth: u32) -> Result<(), RegionError> {
    match kind {
        STRING => {
            let len = bytes.u64("string")?;
            bytes.skip(len, "string")
        }
        ARRAY => {
            let kind = bytes.u32("type of an array")?;
            let count = bytes.u64("length of an array")?;
            if let Some(size) = size_of(kind) {
                let len = count.checked_mul(size);
                let len = len.ok_or_else(|| bytes.damaged(format!("an array of {count} values")))?;
                return bytes.skip(len, "array");
            }
            let Some(depth) = depth.checked_sub(1) else {
                return Err(bytes.damaged("arrays in arrays in arrays"));
            };
            // Each has a length at least: the file's end is met before a number too large is counted down.
            (0..count).try_for_each(|_| skip_value(bytes, kind, depth))
        }
        kind => match size_of(kind) {
            Some(size) => bytes.skip(size, "value"),
            None => Err(bytes.damaged(format!("a value of type {kind}, which no version knows"))),
        },
    }
}

/// Bytes of a value of fixed size.
fn size_of(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}
