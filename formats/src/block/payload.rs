//! The bytes of a block's payload: its own buffer, or a stretch of a memory map that is shared.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::block::map::Map;

/// Bytes that a block keeps until it is decoded.
#[derive(Clone)]
pub(crate) enum Payload {
    /// Copied out of a window; [`Window::recycle`](crate::read::window::Window::recycle) takes the buffer back.
    Owned(Vec<u8>),
    /// Left where it is. The range lies within the map.
    Mapped(Arc<Map>, Range<usize>),
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Mapped(map, range) => map.get(range.clone()).unwrap_or_default(),
        }
    }
}

impl PartialEq for Payload {
    /// Equal bytes, wherever they are.
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}
