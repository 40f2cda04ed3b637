//! Call stacks: frames, the trie of stacks, and what is known of their code.
//!
//! A stack is stored once, as a path in a trie: the node of its innermost frame, whose parent is the
//! node of the caller. Names come when the recording ends and are keyed by the frame.

use bincode::{Decode, Encode};

use crate::error::{FormatError, Result};
use crate::limits;
use crate::records::meta::shorten;
use crate::{ObjectId, StackId};

/// Index into the dictionary of frames; 0 means not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct FrameId(pub u32);

/// One place in the code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Frame {
    /// What is mapped there; 0 when that is not known.
    pub object: ObjectId,
    /// Byte offset in the file when the object is one, else the address.
    pub offset: u64,
}

/// A stack: its innermost frame, and the stack of the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct StackNode {
    /// The caller, with a smaller id than this node; 0 for the outermost frame.
    pub parent: StackId,
    /// Where this function was.
    pub frame: FrameId,
    /// Why callers are missing: one of the constants below. It counts on outermost nodes only; a value that is
    /// not among them means that they are missing for a reason of a later version.
    pub truncated: u8,
}

impl StackNode {
    /// Nothing is missing.
    pub const WHOLE: u8 = 0;
    /// The next frame was in memory that was not resident.
    pub const NOT_RESIDENT: u8 = 1;
    /// There are more frames than the recorder looks at.
    pub const DEPTH_LIMIT: u8 = 2;
    /// The chain of frame pointers ends in garbage: code that was compiled without them.
    pub const NO_FRAME_POINTERS: u8 = 3;
}

/// The name of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Symbol {
    /// Whose name it is.
    pub frame: FrameId,
    /// The function that the compiler emitted here, demangled.
    pub name: String,
    /// Bytes from the start of the function.
    pub offset: u64,
    /// Source file; empty when not known.
    pub file: String,
    /// Line in it; 0 when not known.
    pub line: u32,
    /// Functions inlined at this place, innermost first: the last one was called by `name`.
    pub inlined: Vec<Inlined>,
}

/// A function inlined into another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Inlined {
    /// Its name, demangled.
    pub name: String,
    /// Source file; empty when not known.
    pub file: String,
    /// Line in it; 0 when not known.
    pub line: u32,
}

/// The build id of a mapped file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct BuildId {
    /// Which file.
    pub object: ObjectId,
    /// The bytes of its NT_GNU_BUILD_ID note, 1 to 64.
    pub id: Vec<u8>,
}

impl Symbol {
    /// A copy within the limits: one monstrous name must not cost a recording its end.
    pub(crate) fn bounded(&self) -> Self {
        let mut symbol = self.clone();
        shorten(&mut symbol.name);
        shorten(&mut symbol.file);
        symbol.inlined.truncate(limits::INLINED);
        let mut bytes = 0;
        let too_many = symbol.inlined.iter_mut().position(|inlined| {
            shorten(&mut inlined.name);
            shorten(&mut inlined.file);
            bytes += inlined.stored();
            bytes > limits::METADATA_CHUNK as u64
        });
        symbol.inlined.truncate(too_many.unwrap_or(limits::INLINED));
        symbol
    }

    /// Bytes in the file.
    pub(crate) fn stored(&self) -> u64 {
        let inlined: u64 = self.inlined.iter().map(Inlined::stored).sum();
        4 + 8 + 4 + 3 * limits::LENGTH + (self.name.len() + self.file.len()) as u64 + inlined
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.inlined.len() > limits::INLINED {
            return Err(FormatError::Limit {
                what: "functions inlined at one place",
                limit: limits::INLINED as u64,
                actual: self.inlined.len() as u64,
            });
        }
        let inlined = self
            .inlined
            .iter()
            .flat_map(|inlined| [&inlined.name, &inlined.file]);
        [&self.name, &self.file]
            .into_iter()
            .chain(inlined)
            .try_for_each(|text| limits::check_string(text.len()))
    }
}

impl Inlined {
    fn stored(&self) -> u64 {
        4 + 2 * limits::LENGTH + (self.name.len() + self.file.len()) as u64
    }
}

impl BuildId {
    /// Bytes in the file.
    pub(crate) fn stored(&self) -> u64 {
        4 + limits::LENGTH + self.id.len() as u64
    }

    pub(crate) fn check(&self) -> Result<()> {
        if (1..=limits::BUILD_ID).contains(&self.id.len()) {
            return Ok(());
        }
        Err(FormatError::Limit {
            what: "bytes in a build id, counted from 1",
            limit: limits::BUILD_ID as u64,
            actual: self.id.len() as u64,
        })
    }
}
