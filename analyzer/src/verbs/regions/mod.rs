//! `regions`: which named part of a file was waited for.

pub mod bytes;
pub mod gguf;
pub mod layout;
pub mod list;
pub mod local;
pub mod pass;
pub mod region;
pub mod safetensors;
pub mod source;
pub mod zip;
