//! The members of a zip archive: names and sizes from its central directory, the place of the data from the local header.

use crate::verbs::regions::region::{Collected, Region, RegionError};
use rawzip::{CompressionMethod, ErrorKind, MAX_CENTRAL_DIRECTORY_RECORD_SIZE, ReaderAt, ZipLocator};

/// The signature of a local header, with which an archive with members begins.
pub(crate) const MAGIC: [u8; 4] = *b"PK\x03\x04";
/// Room for a comment behind the directory, and the records there.
const SEARCHED: u64 = (1 << 16) + 1024;

/// Reads the directory; it is a region, too.
///
/// # Errors
/// What is wrong, and at which byte.
pub fn read<R: ReaderAt>(file: R, file_len: u64) -> Result<Vec<Region>, RegionError> {
    let mut buffer = vec![0; MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let archive = ZipLocator::new()
        .max_search_space(SEARCHED)
        .locate_in_reader(file, &mut buffer, file_len)
        .map_err(|(_, error)| {
            let at = error
                .eocd_offset()
                .unwrap_or_else(|| file_len.saturating_sub(SEARCHED));
            damaged(at, "the end of the directory", error)
        })?;
    let mut regions = Collected::default();
    let mut entries = archive.entries(&mut buffer);
    let (mut begin, mut count) = (archive.eocd_offset(), 0u64);
    loop {
        let entry = entries.next_entry();
        let entry = entry.map_err(|error| damaged(begin, &format!("member {count}"), error))?;
        let Some(entry) = entry else { break };
        if count == 0 {
            begin = entry.central_directory_offset();
        }
        count += 1;
        let name = String::from_utf8_lossy(entry.file_path().as_ref()).into_owned();
        let local = archive.get_entry(entry.wayfinder());
        let local = local.map_err(|error| {
            damaged(
                entry.local_header_offset(),
                &format!("the header of member '{name}'"),
                error,
            )
        })?;
        let (offset, end) = local.compressed_data_range();
        let len = end.checked_sub(offset).filter(|_| end <= file_len);
        let Some(len) = len else {
            return Err(RegionError::Damaged {
                offset: entry.central_directory_offset(),
                what: format!("member '{name}' has bytes {offset} to {end}, and the file ends at {file_len}"),
            });
        };
        regions.push(Region {
            name,
            offset,
            len,
            kind: Some(method(entry.compression_method())),
            shape: None,
        })?;
    }
    if count != archive.entries_hint() {
        return Err(RegionError::Damaged {
            offset: archive.eocd_offset(),
            what: format!(
                "{} members are announced, and {count} are there",
                archive.entries_hint()
            ),
        });
    }
    regions.push(Region {
        name: "(directory)".to_owned(),
        offset: begin.min(file_len),
        len: file_len.saturating_sub(begin),
        kind: None,
        shape: None,
    })?;
    Ok(regions.into_regions())
}

fn method(method: CompressionMethod) -> String {
    match method {
        CompressionMethod::STORE => "stored".to_owned(),
        other => other
            .name()
            .map_or_else(|| format!("method {}", other.as_u16()), str::to_lowercase),
    }
}

fn damaged(offset: u64, what: &str, error: rawzip::Error) -> RegionError {
    match error.into_kind() {
        ErrorKind::IO(source) => RegionError::Io { offset, source },
        kind => RegionError::Damaged {
            offset,
            what: format!("{what} of the archive: {}", kind.to_string().to_lowercase()),
        },
    }
}
