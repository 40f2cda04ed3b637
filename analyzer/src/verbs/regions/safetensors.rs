//! The tensors of a safetensors file: eight bytes of length, a JSON object with an entry per tensor, then the data.

use crate::verbs::regions::bytes::Bytes;
use crate::verbs::regions::region::{Collected, Region, RegionError};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::io::{Read, Seek};

/// Room for a hundred thousand tensors; the format's own library allows three times as much.
const LONGEST_HEADER: u64 = 32 << 20;
/// Dimensions of a tensor.
const MOST_DIMENSIONS: usize = 64;

/// The nine bytes with which such a file begins: a length that fits into the file, and a brace.
#[must_use]
pub(crate) fn is_start(start: &[u8], file_len: u64) -> bool {
    let Some((len, rest)) = start.split_first_chunk::<8>() else {
        return false;
    };
    let len = u64::from_le_bytes(*len);
    rest.first() == Some(&b'{') && (2..=LONGEST_HEADER).contains(&len) && len.saturating_add(8) <= file_len
}

/// Reads the header: the part before the data is a region, too.
///
/// # Errors
/// What is wrong, and at which byte.
pub fn read<R: Read + Seek>(bytes: &mut Bytes<R>) -> Result<Vec<Region>, RegionError> {
    let len = bytes.u64("length of the header")?;
    if len > LONGEST_HEADER {
        return Err(bytes.damaged(format!(
            "a header of {len} bytes, and at most {LONGEST_HEADER} are allowed"
        )));
    }
    bytes.check(len, "header")?;
    let data = bytes.offset() + len;
    let data_len = bytes.end() - data;
    let mut regions = Collected::default();
    regions.push(Region {
        name: "(header)".to_owned(),
        offset: 0,
        len: data,
        kind: None,
        shape: None,
    })?;
    let start = bytes.offset();
    let mut json = serde_json::Deserializer::from_reader(bytes.stream(len));
    let collected = Tensors {
        regions,
        data,
        data_len,
    };
    let regions = collected
        .deserialize(&mut json)
        .and_then(|regions| json.end().map(|()| regions));
    let regions = regions.map_err(|error| RegionError::Damaged {
        offset: start.saturating_add((error.column() as u64).saturating_sub(1)),
        what: format!("the header is not as it should be: {error}"),
    })?;
    Ok(regions.into_regions())
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Shape,
    data_offsets: (u64, u64),
}

/// Dimensions, as many as there may be.
struct Shape(Vec<u64>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(Shape(Vec::new()))
    }
}

impl<'de> Visitor<'de> for Shape {
    type Value = Self;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "at most {MOST_DIMENSIONS} dimensions")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<Self, A::Error> {
        use serde::de::Error;
        while let Some(size) = sequence.next_element()? {
            if self.0.len() >= MOST_DIMENSIONS {
                return Err(A::Error::invalid_length(self.0.len() + 1, &self));
            }
            self.0.push(size);
        }
        Ok(self)
    }
}

/// Takes in entry by entry, so that only regions are kept.
struct Tensors {
    regions: Collected,
    data: u64,
    data_len: u64,
}

impl<'de> DeserializeSeed<'de> for Tensors {
    type Value = Collected;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Collected, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Tensors {
    type Value = Collected;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Collected, A::Error> {
        use serde::de::Error;
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let entry: Entry = map.next_value()?;
            let (begin, end) = entry.data_offsets;
            if begin > end || end > self.data_len {
                return Err(A::Error::custom(format!(
                    "tensor '{name}' has bytes {begin} to {end} of {} bytes of data",
                    self.data_len
                )));
            }
            let shape: Vec<String> = entry.shape.0.iter().map(u64::to_string).collect();
            let pushed = self.regions.push(Region {
                name,
                offset: self.data + begin,
                len: end - begin,
                kind: Some(entry.dtype),
                shape: Some(shape.join("x")),
            });
            pushed.map_err(A::Error::custom)?;
        }
        Ok(self.regions)
    }
}
