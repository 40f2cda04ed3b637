//! What the writer has put in the dictionaries: what is new, what must come again, and in which frames.

use std::collections::BTreeMap;

use crate::error::{FormatError, Result};
use crate::{BuildId, Dict, Frame, Object, StackNode, Symbol, limits};

/// Entries written so far, by id. Symbols and build ids come at the end and are not kept.
#[derive(Default)]
pub(crate) struct Tables {
    comms: BTreeMap<u32, String>,
    objects: BTreeMap<u32, Object>,
    frames: BTreeMap<u32, Frame>,
    stacks: BTreeMap<u32, StackNode>,
}

impl Tables {
    /// Keeps the entries that are new, and returns them in pieces that fit a frame each.
    pub(crate) fn learn(&mut self, dict: &Dict) -> Result<Vec<Dict>> {
        Ok(match dict {
            Dict::Comms { first_id, entries } => comms(keep(&mut self.comms, "comm", *first_id, entries)?),
            Dict::Objects { first_id, entries } => {
                objects(keep(&mut self.objects, "object", *first_id, entries)?)
            }
            Dict::Frames { first_id, entries } => {
                frames(keep(&mut self.frames, "frame", *first_id, entries)?)
            }
            Dict::Stacks { first_id, entries } => {
                stacks(keep(&mut self.stacks, "stack", *first_id, entries)?)
            }
            Dict::Symbols { entries } => symbols(entries),
            Dict::BuildIds { entries } => build_ids(entries),
        })
    }

    /// All entries once more; what is referred to comes before what refers to it.
    pub(crate) fn snapshot(&self) -> Vec<Dict> {
        let mut dicts = comms(numbered(&self.comms));
        dicts.extend(objects(numbered(&self.objects)));
        dicts.extend(frames(numbered(&self.frames)));
        dicts.extend(stacks(numbered(&self.stacks)));
        dicts
    }
}

fn numbered<T>(table: &BTreeMap<u32, T>) -> Vec<(u32, &T)> {
    table.iter().map(|(id, entry)| (*id, entry)).collect()
}

fn comms(entries: Vec<(u32, &String)>) -> Vec<Dict> {
    let groups = split(entries, String::len).into_iter();
    groups
        .map(|(first_id, entries)| Dict::Comms { first_id, entries })
        .collect()
}

fn objects(entries: Vec<(u32, &Object)>) -> Vec<Dict> {
    let groups = split(entries, |object| object.path.len()).into_iter();
    groups
        .map(|(first_id, entries)| Dict::Objects { first_id, entries })
        .collect()
}

fn frames(entries: Vec<(u32, &Frame)>) -> Vec<Dict> {
    let groups = split(entries, |_| 0).into_iter();
    groups
        .map(|(first_id, entries)| Dict::Frames { first_id, entries })
        .collect()
}

fn stacks(entries: Vec<(u32, &StackNode)>) -> Vec<Dict> {
    let groups = split(entries, |_| 0).into_iter();
    groups
        .map(|(first_id, entries)| Dict::Stacks { first_id, entries })
        .collect()
}

fn symbols(entries: &[Symbol]) -> Vec<Dict> {
    // Numbered as if they had ids, to be cut by size.
    let groups = split((1..).zip(entries).collect(), |symbol| symbol.stored() as usize);
    groups
        .into_iter()
        .map(|(_, entries)| Dict::Symbols { entries })
        .collect()
}

fn build_ids(entries: &[BuildId]) -> Vec<Dict> {
    let groups = split((1..).zip(entries).collect(), |build_id| build_id.id.len());
    groups
        .into_iter()
        .map(|(_, entries)| Dict::BuildIds { entries })
        .collect()
}

/// Keeps entries for later snapshots and returns those that are new.
fn keep<'a, T: Clone + PartialEq>(
    known: &mut BTreeMap<u32, T>,
    table: &'static str,
    first_id: u32,
    entries: &'a [T],
) -> Result<Vec<(u32, &'a T)>> {
    let numbered = || (first_id..).zip(entries);
    let reused = numbered().find(|(id, entry)| known.get(id).is_some_and(|before| before != *entry));
    if let Some((id, _)) = reused {
        return Err(FormatError::IdReused { table, id });
    }
    let fresh: Vec<_> = numbered().filter(|(id, _)| !known.contains_key(id)).collect();
    known.extend(fresh.iter().map(|(id, entry)| (*id, (*entry).clone())));
    Ok(fresh)
}

/// Cuts entries into groups of consecutive ids, none larger than one frame should be.
fn split<T: Clone>(entries: Vec<(u32, &T)>, text_len: fn(&T) -> usize) -> Vec<(u32, Vec<T>)> {
    let mut groups: Vec<(u32, Vec<T>)> = Vec::new();
    let mut next_id = 0;
    let mut bytes = 0;
    for (id, entry) in entries {
        let cost = size_of::<T>() + text_len(entry);
        bytes += cost;
        match groups.last_mut() {
            Some((_, group))
                if id == next_id && bytes <= limits::METADATA_CHUNK && group.len() < limits::LIST =>
            {
                group.push(entry.clone());
            }
            _ => {
                groups.push((id, vec![entry.clone()]));
                bytes = cost;
            }
        }
        next_id = id + 1;
    }
    groups
}
