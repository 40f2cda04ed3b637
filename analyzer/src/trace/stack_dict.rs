//! Stacks by their ids: the trie, its frames, and the names and build ids that came at the end of the recording. It
//! hands out what the trace says; how a frame is called is the business of [`crate::trace::function_names`].

use pf_formats::{BuildId, Frame, StackNode, Symbol};
use polars::prelude::PlHashMap;

/// The dictionaries of stacks as far as they have been read. The first meaning of an id stands.
#[derive(Clone, Debug, Default)]
pub struct StackDict {
    nodes: PlHashMap<u32, StackNode>,
    frames: PlHashMap<u32, Frame>,
    symbols: PlHashMap<u32, Symbol>,
    build_ids: PlHashMap<u32, Vec<u8>>,
}

impl StackDict {
    pub(crate) fn learn_stacks(&mut self, first_id: u32, entries: Vec<StackNode>) {
        for (id, node) in (first_id..=u32::MAX).zip(entries) {
            self.nodes.entry(id).or_insert(node);
        }
    }

    pub(crate) fn learn_frames(&mut self, first_id: u32, entries: Vec<Frame>) {
        for (id, frame) in (first_id..=u32::MAX).zip(entries) {
            self.frames.entry(id).or_insert(frame);
        }
    }

    pub(crate) fn learn_symbols(&mut self, entries: Vec<Symbol>) {
        for symbol in entries {
            self.symbols.entry(symbol.frame.0).or_insert(symbol);
        }
    }

    pub(crate) fn learn_build_ids(&mut self, entries: Vec<BuildId>) {
        for build_id in entries {
            self.build_ids.entry(build_id.object.0).or_insert(build_id.id);
        }
    }

    /// Whether no stack was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A node of the trie; `None` when its record was damaged.
    #[must_use]
    pub fn node(&self, stack: u32) -> Option<StackNode> {
        self.nodes.get(&stack).copied()
    }

    /// Where a frame is; `None` when its record was damaged.
    #[must_use]
    pub fn frame(&self, frame: u32) -> Option<Frame> {
        self.frames.get(&frame).copied()
    }

    /// What a frame is called, if its file had a name for it.
    #[must_use]
    pub fn symbol(&self, frame: u32) -> Option<&Symbol> {
        self.symbols.get(&frame)
    }

    /// The build id of an object in hexadecimal digits, as `file(1)` and debuginfod write it.
    #[must_use]
    pub fn build_id(&self, object: u32) -> Option<String> {
        let id = self.build_ids.get(&object)?;
        Some(id.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
