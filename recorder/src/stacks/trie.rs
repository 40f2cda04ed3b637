//! Frames and stacks with their ids: each is kept once, a stack as a path from its outermost frame.

use std::collections::HashMap;

use pf_formats::{Dict, Frame, FrameId, ObjectId, StackId, StackNode};

/// Frames that get an id: 21 MiB with what is needed to name them.
const FRAMES: usize = 1 << 18;
/// Nodes that get an id, a quarter of what the format allows: 34 MiB.
const NODES: usize = 1 << 20;
/// Entries of one dictionary record: the largest take 13 bytes each, and a record holds 1 MiB.
const ENTRIES: usize = 1 << 15;

/// A frame and how its function is found: frames that are stored alike may be named differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spot {
    /// What is mapped there.
    pub object: ObjectId,
    /// As the trace stores it.
    pub offset: u64,
    /// What to look up.
    pub target: Target,
}

/// The byte whose function is the function of a frame: the byte before a return address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// In a file.
    File {
        /// Which file.
        object: ObjectId,
        /// Byte offset in it.
        offset: u64,
    },
    /// In code that a process made itself.
    Jit {
        /// The process.
        pid: u32,
        /// Address.
        address: u64,
    },
    /// In the vDSO.
    Vdso {
        /// Bytes from its start.
        offset: u64,
    },
    /// In the kernel.
    Kernel,
    /// Nothing is known of it.
    Nothing,
}

/// Frames and nodes; their ids count from 1.
#[derive(Debug, Default)]
pub struct Trie {
    frames: HashMap<Spot, FrameId>,
    nodes: HashMap<StackNode, StackId>,
    new_frames: Vec<Frame>,
    new_nodes: Vec<StackNode>,
}

impl Trie {
    /// The id of a frame; `None` when the limit is reached.
    pub fn frame(&mut self, spot: Spot) -> Option<FrameId> {
        if let Some(&id) = self.frames.get(&spot) {
            return Some(id);
        }
        if self.frames.len() >= FRAMES {
            return None;
        }
        let id = FrameId(self.frames.len() as u32 + 1);
        self.frames.insert(spot, id);
        self.new_frames.push(Frame {
            object: spot.object,
            offset: spot.offset,
        });
        Some(id)
    }

    /// Frames so far.
    pub fn frame_count(&self) -> usize {
        self.frames.len()
    }

    /// The id of the stack `frame` under its caller's stack; `None` when the limit is reached.
    pub fn node(&mut self, parent: StackId, frame: FrameId, truncated: u8) -> Option<StackId> {
        let node = StackNode {
            parent,
            frame,
            truncated,
        };
        if let Some(&id) = self.nodes.get(&node) {
            return Some(id);
        }
        if self.nodes.len() >= NODES {
            return None;
        }
        let id = StackId(self.nodes.len() as u32 + 1);
        self.nodes.insert(node, id);
        self.new_nodes.push(node);
        Some(id)
    }

    /// Frames, then stacks, parents first: an id is never lower than that of what it refers to.
    pub fn take_new(&mut self) -> Vec<Dict> {
        let frames = std::mem::take(&mut self.new_frames);
        let nodes = std::mem::take(&mut self.new_nodes);
        let mut first_id = (self.frames.len() - frames.len()) as u32 + 1;
        let mut dicts = Vec::new();
        for chunk in frames.chunks(ENTRIES) {
            dicts.push(Dict::Frames {
                first_id,
                entries: chunk.to_vec(),
            });
            first_id += chunk.len() as u32;
        }
        let mut first_id = (self.nodes.len() - nodes.len()) as u32 + 1;
        for chunk in nodes.chunks(ENTRIES) {
            dicts.push(Dict::Stacks {
                first_id,
                entries: chunk.to_vec(),
            });
            first_id += chunk.len() as u32;
        }
        dicts
    }

    /// Whether there is something to take.
    pub fn has_new(&self) -> bool {
        // A new frame is always that of a new node, or of a stack that did not fit.
        !self.new_nodes.is_empty() || !self.new_frames.is_empty()
    }

    /// What to look up for each frame, with how far before the frame's own offset or address it is.
    pub fn into_targets(self) -> Vec<(FrameId, Target, u64)> {
        let frames = self.frames.into_iter().map(|(spot, id)| {
            let back = match spot.target {
                Target::File { offset, .. } => spot.offset.saturating_sub(offset),
                Target::Jit { address, .. } => spot.offset.saturating_sub(address),
                Target::Vdso { .. } | Target::Kernel | Target::Nothing => 0,
            };
            (id, spot.target, back)
        });
        let mut frames: Vec<_> = frames.collect();
        frames.sort_unstable_by_key(|(id, ..)| *id);
        frames
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn spot(offset: u64) -> Spot {
        Spot {
            object: ObjectId(1),
            offset,
            target: Target::Nothing,
        }
    }

    #[test]
    fn frames_over_the_limit_get_no_id_and_those_before_keep_theirs() {
        let mut trie = Trie::default();
        for offset in 0..FRAMES as u64 {
            assert!(trie.frame(spot(offset)).is_some());
        }
        assert_eq!(trie.frame(spot(FRAMES as u64)), None);
        assert_eq!(trie.frame(spot(5)), Some(FrameId(6)));
        let dicts = trie.take_new();
        assert_eq!(dicts.len(), FRAMES / ENTRIES);
        assert!(
            matches!(&dicts[1], Dict::Frames { first_id, entries } if *first_id as usize == ENTRIES + 1 && entries.len() == ENTRIES)
        );
        assert!(!trie.has_new());
    }

    #[test]
    fn nodes_over_the_limit_get_no_id() {
        let mut trie = Trie::default();
        let mut node = StackId(0);
        for _ in 0..NODES {
            node = trie.node(node, FrameId(1), 0).unwrap();
        }
        assert_eq!(trie.node(node, FrameId(1), 0), None);
        assert_eq!(trie.node(StackId(0), FrameId(1), 0), Some(StackId(1)));
    }
}
