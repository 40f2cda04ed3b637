//! A file on this machine that says itself what its parts are: GGUF, safetensors or zip, told by how it begins.

use crate::verbs::regions::bytes::Bytes;
use crate::verbs::regions::gguf;
use crate::verbs::regions::region::{Region, RegionError};
use crate::verbs::regions::safetensors;
use crate::verbs::regions::zip;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// What a file turned out to be.
#[derive(Debug)]
pub enum Found {
    /// Its parts, and the name of its format.
    Regions(Vec<Region>, &'static str),
    /// Of no format that names parts.
    Other,
}

/// Opens `path`, if it is a regular file: a trace can name anything, a pipe or a device included.
///
/// # Errors
/// I/O errors.
pub fn open(path: &Path) -> io::Result<File> {
    let metadata = path.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    File::open(path)
}

/// The parts of an open file.
///
/// # Errors
/// When it begins like one of the formats and is damaged.
pub fn read(mut file: File) -> Result<Found, RegionError> {
    let io = |source| RegionError::Io { offset: 0, source };
    let file_len = file.seek(SeekFrom::End(0)).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let mut start = Vec::new();
    Read::by_ref(&mut file)
        .take(9)
        .read_to_end(&mut start)
        .map_err(io)?;
    Ok(if start.starts_with(&gguf::MAGIC) {
        Found::Regions(gguf::read(&mut Bytes::new(file)?)?, "GGUF")
    } else if start.starts_with(&zip::MAGIC) {
        Found::Regions(zip::read(rawzip::FileReader::from(file), file_len)?, "zip")
    } else if safetensors::is_start(&start, file_len) {
        Found::Regions(safetensors::read(&mut Bytes::new(file)?)?, "safetensors")
    } else {
        Found::Other
    })
}
