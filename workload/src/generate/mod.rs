//! `data-generator`: files whose content is known.

pub mod content;
