//! Files that name their parts, built in memory: GGUF, safetensors and zip.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    missing_docs
)]

/// Name, dimensions, code of the type, bytes.
pub type Tensor<'a> = (&'a str, &'a [u64], u32, u64);

pub const TENSORS: [Tensor<'static>; 5] = [
    ("token_embd.weight", &[64, 100], 0, 64 * 100 * 4),
    ("blk.0.attn_q.weight", &[64, 64], 8, 64 * 64 / 32 * 34),
    ("blk.0.ffn_up.weight", &[256, 16], 12, 16 * 144),
    ("odd.of.later.times", &[7], 9_999, 640),
    ("output_norm.weight", &[64], 0, 256),
];

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// A GGUF file, the offsets of its tensors, and where its data begins.
pub fn gguf(version: u32, alignment: u32, tensors: &[Tensor<'_>]) -> (Vec<u8>, Vec<u64>, u64) {
    let mut out = b"GGUF".to_vec();
    out.extend(version.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend(5u64.to_le_bytes());
    let mut pair = |key: &str, kind: u32, value: &[u8]| {
        out.extend(string(key));
        out.extend(kind.to_le_bytes());
        out.extend(value);
    };
    pair("general.architecture", 8, &string("llama"));
    pair("general.alignment", 4, &alignment.to_le_bytes());
    let words: Vec<u8> = (0..50).flat_map(|i| string(&format!("token{i}"))).collect();
    let array = |kind: u32, count: u64, values: &[u8]| {
        [&kind.to_le_bytes()[..], &count.to_le_bytes(), values].concat()
    };
    pair("tokenizer.ggml.tokens", 9, &array(8, 50, &words));
    pair("tokenizer.ggml.scores", 9, &array(6, 50, &[0; 200]));
    let nested = array(9, 2, &[array(0, 3, &[1, 2, 3]), array(7, 1, &[1])].concat());
    pair("arrays.in.arrays", 9, &nested);
    let mut data = Vec::new();
    let mut offsets = Vec::new();
    for &(name, dimensions, kind, len) in tensors {
        data.resize(data.len().next_multiple_of(alignment as usize), 0);
        out.extend(string(name));
        out.extend((dimensions.len() as u32).to_le_bytes());
        dimensions.iter().for_each(|size| out.extend(size.to_le_bytes()));
        out.extend(kind.to_le_bytes());
        out.extend((data.len() as u64).to_le_bytes());
        offsets.push(data.len() as u64);
        data.resize(data.len() + len as usize, 7);
    }
    out.resize(out.len().next_multiple_of(alignment as usize), 0);
    let begin = out.len() as u64;
    out.extend(data);
    (out, offsets.iter().map(|offset| begin + offset).collect(), begin)
}

/// A safetensors file of tensors of so many bytes each, and where its data begins.
pub fn safetensors(tensors: &[(&str, u64)]) -> (Vec<u8>, u64) {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), serde_json::json!({"format": "pt"}));
    let mut end = 0;
    for &(name, len) in tensors {
        let entry =
            serde_json::json!({"dtype": "F16", "shape": [len / 2, 1], "data_offsets": [end, end + len]});
        header.insert(name.into(), entry);
        end += len;
    }
    let mut header = serde_json::to_vec(&header).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    let begin = 8 + header.len() as u64;
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header);
    out.resize((begin + end) as usize, 9);
    (out, begin)
}

/// A zip archive of stored members, as name and length, and the offsets of their data. With `zip64`, sizes and offsets
/// are where large archives have them.
pub fn zip(members: &[(&str, u32)], zip64: bool) -> (Vec<u8>, Vec<u64>) {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    let mut offsets = Vec::new();
    let u16s = |values: &[u16]| {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    for (index, &(name, len)) in members.iter().enumerate() {
        let header = out.len() as u64;
        let small = if zip64 { u32::MAX } else { len };
        let times = u16s(&[0, 0]);
        let sizes = [0u32, small, small].map(u32::to_le_bytes).concat();
        // Local headers may have other extra fields than the directory.
        let extra = vec![0xfe, 0xca, index as u8 * 4, 0];
        let extra = [extra, vec![0; index * 4]].concat();
        let sizes64 = [u64::from(len); 2].map(u64::to_le_bytes).concat();
        let local64 = if zip64 {
            [u16s(&[1, 16]), sizes64.clone()].concat()
        } else {
            Vec::new()
        };
        out.extend(b"PK\x03\x04");
        out.extend(u16s(&[45, 0, 0]));
        out.extend(&times);
        out.extend(&sizes);
        out.extend(u16s(&[name.len() as u16, (extra.len() + local64.len()) as u16]));
        out.extend(name.as_bytes());
        out.extend(&local64);
        out.extend(&extra);
        offsets.push(out.len() as u64);
        out.resize(out.len() + len as usize, 3);
        let central64 = if zip64 {
            [u16s(&[1, 24]), sizes64, header.to_le_bytes().to_vec()].concat()
        } else {
            Vec::new()
        };
        let at = if zip64 { u32::MAX } else { header as u32 };
        directory.extend(b"PK\x01\x02");
        directory.extend(u16s(&[45, 45, 0, 0]));
        directory.extend(&times);
        directory.extend(&sizes);
        directory.extend(u16s(&[name.len() as u16, central64.len() as u16, 0, 0, 0, 0, 0]));
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
        directory.extend(&central64);
    }
    let begin = out.len() as u64;
    let len = directory.len() as u64;
    let count = members.len() as u64;
    out.extend(directory);
    if zip64 {
        let record = out.len() as u64;
        out.extend(b"PK\x06\x06");
        out.extend(44u64.to_le_bytes());
        out.extend(u16s(&[45, 45]));
        out.extend([0u32; 2].map(u32::to_le_bytes).concat());
        out.extend([count, count, len, begin].map(u64::to_le_bytes).concat());
        out.extend(b"PK\x06\x07");
        out.extend(0u32.to_le_bytes());
        out.extend(record.to_le_bytes());
        out.extend(1u32.to_le_bytes());
    }
    out.extend(b"PK\x05\x06");
    let (count, len, begin) = if zip64 {
        (u16::MAX, u32::MAX, u32::MAX)
    } else {
        (count as u16, len as u32, begin as u32)
    };
    out.extend(u16s(&[0, 0, count, count]));
    out.extend([len, begin].map(u32::to_le_bytes).concat());
    out.extend(7u16.to_le_bytes());
    out.extend(b"comment");
    (out, offsets)
}
