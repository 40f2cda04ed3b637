//! Files that name their parts, whole and damaged: the parts are right, or the error says what is wrong and where.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod model_files;

use model_files::{TENSORS, gguf, safetensors, zip};
use pfanalyze::verbs::regions::local::{Found, read};
use pfanalyze::verbs::regions::region::{Region, RegionError};
use std::io::Write;

fn parts(bytes: &[u8]) -> Result<Option<(Vec<Region>, &'static str)>, RegionError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Ok(match read(file)? {
        Found::Regions(regions, format) => Some((regions, format)),
        Found::Other => None,
    })
}

fn whole(bytes: &[u8]) -> (Vec<Region>, &'static str) {
    parts(bytes).unwrap().unwrap()
}

fn places(regions: &[Region]) -> Vec<(&str, u64, u64)> {
    let place = |region: &'_ Region| (region.offset, region.len);
    let each = regions.iter();
    each.map(|region| (region.name.as_str(), place(region).0, place(region).1))
        .collect()
}

#[test]
fn tensors_of_a_gguf_file_are_where_its_header_says() {
    for (version, alignment) in [(2, 32), (3, 32), (3, 64), (3, 4096)] {
        let (bytes, offsets, data) = gguf(version, alignment, &TENSORS);
        let (regions, format) = whole(&bytes);
        assert_eq!(format, "GGUF");
        let mut expected = vec![("(header)", 0, data)];
        for (index, (tensor, &offset)) in TENSORS.iter().zip(&offsets).enumerate() {
            // A type that is not known reaches to the next tensor.
            let to_next = offsets.get(index + 1).map_or(0, |next| next - offset);
            let len = if tensor.2 > 100 { to_next } else { tensor.3 };
            expected.push((tensor.0, offset, len));
        }
        assert_eq!(places(&regions), expected);
        let described = |index: usize| (regions[index].kind.as_deref(), regions[index].shape.as_deref());
        assert_eq!(described(1), (Some("F32"), Some("64x100")));
        assert_eq!(described(3), (Some("Q4_K"), Some("256x16")));
        assert_eq!(described(4), (Some("type 9999"), Some("7")));
    }
}

#[test]
fn tensors_of_a_safetensors_file_are_where_its_header_says() {
    let (bytes, data) = safetensors(&[("a.weight", 512), ("b.bias", 0), ("c", 6)]);
    let (regions, format) = whole(&bytes);
    assert_eq!(format, "safetensors");
    let mut found = places(&regions);
    found.sort_by_key(|&(name, offset, _)| (offset, name == "c"));
    let expected = [
        ("(header)", 0, data),
        ("a.weight", data, 512),
        ("b.bias", data + 512, 0),
        ("c", data + 512, 6),
    ];
    assert_eq!(found, expected);
    assert_eq!(regions[1].shape.as_deref(), Some("256x1"));
}

#[test]
fn members_of_a_zip_are_where_their_local_headers_end() {
    let members = [("dir/a.bin", 5_000), ("b", 0), ("grün.txt", 77)];
    for zip64 in [false, true] {
        let (bytes, offsets) = zip(&members, zip64);
        let (regions, format) = whole(&bytes);
        assert_eq!(format, "zip");
        let mut expected: Vec<(&str, u64, u64)> = members
            .iter()
            .zip(&offsets)
            .map(|(&(name, len), &offset)| (name, offset, u64::from(len)))
            .collect();
        let directory = offsets[2] + 77;
        expected.push(("(directory)", directory, bytes.len() as u64 - directory));
        assert_eq!(places(&regions), expected, "zip64 {zip64}");
        assert_eq!(regions[0].kind.as_deref(), Some("stored"));
    }
}

#[test]
fn other_files_are_no_error() {
    for bytes in [
        &b""[..],
        b"GGU",
        b"PK\x05\x06",
        b"plain text, not short at all",
        &[0; 100],
    ] {
        assert!(parts(bytes).unwrap().is_none());
    }
}

#[test]
fn errors_say_where_and_what() {
    let (gguf, ..) = gguf(3, 32, &TENSORS);
    let (zip, _) = zip(&[("a", 10)], false);
    let with = |bytes: &[u8], at: usize, new: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[at..at + new.len()].copy_from_slice(new);
        bytes
    };
    let safetensors = |header: &str| {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([0; 16]);
        bytes
    };
    let huge = u64::MAX.to_le_bytes();
    for (bytes, says) in [
        (with(&gguf, 4, &[1]), "byte 8: GGUF version 1"),
        (with(&gguf, 4, &[0, 0, 0, 3]), "big-endian"),
        (with(&gguf, 8, &huge), "more than 262144 regions"),
        (with(&gguf, 24, &huge), "key of 18446744073709551615 bytes"),
        (gguf[..60].to_vec(), "and the file ends after"),
        (gguf[..gguf.len() - 300].to_vec(), "tensor 'output_norm.weight'"),
        (
            safetensors("{\"a\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[2,99]}}"),
            "bytes 2 to 99",
        ),
        (safetensors("{\"a\":{\"dtype\":\"F16\"}}"), "missing field"),
        (safetensors("{\"a\":1}"), "byte 1"),
        (safetensors("{}junk"), "byte 1"),
        (zip[..30].to_vec(), "the end of the directory of the archive"),
        (with(&zip, zip.len() - 19, &[9, 0, 9, 0]), "announced"),
    ] {
        let error = parts(&bytes).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

/// Numbers that look random and are the same every time.
fn random(state: &mut u64) -> usize {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

#[test]
fn thousands_of_damaged_copies_give_regions_or_an_error() {
    let originals = [
        gguf(3, 32, &TENSORS).0,
        safetensors(&[("a.weight", 512), ("b.bias", 64), ("c", 6)]).0,
        zip(&[("dir/a.bin", 500), ("b", 0), ("c", 77)], false).0,
        zip(&[("dir/a.bin", 500), ("b", 0), ("c", 77)], true).0,
    ];
    let mut state = 1;
    let (mut read, mut refused) = (0, 0);
    for original in &originals {
        // Where the structure is: data does not matter.
        let begin = if original.starts_with(b"PK") {
            original.len() - 500
        } else {
            0
        };
        let end = original.len().min(begin + 2_500);
        for round in 0..1_500 {
            let mut copy = original.clone();
            for _ in 0..=random(&mut state) % 3 {
                let at = begin + random(&mut state) % (end - begin);
                match random(&mut state) % 4 {
                    0 => copy[at] ^= 1 << (random(&mut state) % 8),
                    1 => copy[at] = [0, 0xff, 0x7f, 0x80][random(&mut state) % 4],
                    2 => {
                        let end = (at + 8).min(copy.len());
                        copy[at..end].fill(0xff);
                    }
                    _ => {
                        let from = random(&mut state) % copy.len();
                        let value = copy[from];
                        copy[at] = value;
                    }
                }
            }
            if round % 5 == 0 {
                copy.truncate(random(&mut state) % copy.len());
            }
            match parts(&copy) {
                Ok(Some((regions, _))) => {
                    read += 1;
                    for region in regions {
                        let end = region.offset.checked_add(region.len);
                        assert!(end.is_some_and(|end| end <= copy.len() as u64), "{region:?}");
                    }
                }
                Ok(None) => {}
                Err(_) => refused += 1,
            }
        }
    }
    assert!(read > 500 && refused > 500, "{read} {refused}");
}
