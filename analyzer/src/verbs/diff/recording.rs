//! What is kept of one of the two recordings: summaries by the ids of names, which are resolved once all is read.

use crate::engine::columns::Column;
use crate::engine::frame::{u32s, u64s};
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::stats::bounded_map::{Kept, OTHERS, OTHERS_NAME, Sum};
use crate::stats::by_class::{self, Classes, faults};
use crate::stats::by_query_name::Groups;
use crate::trace::function_names::{Missing, NO_STACK, Names, OTHER_STACKS};
use crate::trace::session::Session;
use crate::verbs::diff::inodes::{File, Inode};
use crate::verbs::diff::page_sample::{Pages, ROOM};
use pf_formats::{Happening, Query as Row, TimelineEntry};
use polars::prelude::{DataFrame, PlHashMap};
use std::collections::BTreeMap;

/// Distinct stacks kept apart; the faults of later ones are put together.
const STACKS: usize = 1 << 14;

/// Files of which pages are kept.
const FILES: usize = 1 << 12;

/// Frames that name a stack, innermost first.
const FRAMES: usize = 3;

/// The faults of one path or kind of memory.
#[derive(Clone, Debug, Default)]
pub struct FileFaults {
    /// Latencies.
    pub classes: Classes,
    /// The files of this path for whose pages there was room, in the order in which they were met.
    pub files: Vec<File>,
    /// How much of it was mapped at least, bytes; 0 when no mapping was recorded.
    pub mapped: u64,
}

/// The faults of one object.
#[derive(Debug, Default)]
struct ObjectFaults {
    classes: Classes,
    /// Its pages, if it is a file and there was room.
    pages: Option<Pages>,
}

impl Sum for ObjectFaults {
    fn weight(&self) -> u128 {
        self.classes.weight()
    }

    /// Pages of many files together say nothing.
    fn merge(&mut self, other: Self) {
        Sum::merge(&mut self.classes, other.classes);
    }
}

/// Collects one recording.
#[derive(Debug)]
pub struct Side {
    comms: Kept<u32, Classes>,
    objects: Kept<u32, ObjectFaults>,
    stacks: PlHashMap<u32, Classes>,
    other_stacks: Classes,
    mapped: PlHashMap<u32, u64>,
    groups: Groups,
    room: usize,
    room_for_files: usize,
}

impl Default for Side {
    fn default() -> Self {
        Self {
            comms: Kept::default(),
            objects: Kept::default(),
            stacks: PlHashMap::default(),
            other_stacks: Classes::default(),
            mapped: PlHashMap::default(),
            groups: Groups::default(),
            room: ROOM,
            room_for_files: FILES,
        }
    }
}

impl Pass for Side {
    fn columns(&self) -> Vec<Column> {
        let own = [
            Column::CommId,
            Column::ObjectId,
            Column::ObjectPage,
            Column::StackId,
        ];
        [&own[..], &by_class::COLUMNS].concat()
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let comms = u32s(frame, Column::CommId)?;
        for (&comm, fault) in comms.iter().zip(faults(frame, session)?) {
            self.comms.of(comm).add(&fault);
        }
        let places = u32s(frame, Column::ObjectId)?
            .iter()
            .zip(u64s(frame, Column::ObjectPage)?);
        for ((&object, &page), fault) in places.zip(faults(frame, session)?) {
            let slot = match self.objects.find(&object) {
                Some(slot) => slot,
                None => self.make(object, session),
            };
            let file = self.objects.at(slot);
            file.classes.add(&fault);
            if let Some(pages) = &mut file.pages {
                pages.insert(page, &mut self.room);
            }
        }
        let stacks = frame.column(Column::StackId.name())?;
        if stacks.null_count() == stacks.len() {
            // Whether any other block has stacks is not known yet.
            let without = self.stack(0);
            faults(frame, session)?.for_each(|fault| without.add(&fault));
        } else {
            for (stack, fault) in stacks.u32()?.iter().zip(faults(frame, session)?) {
                self.stack(stack.unwrap_or(0)).add(&fault);
            }
        }
        Ok(())
    }

    fn row(&mut self, row: &Row, _: &Session) {
        self.groups.add(row);
    }

    fn timeline(&mut self, entries: &[TimelineEntry], _: &Session) {
        for entry in entries {
            if let Happening::Map {
                len, offset, object, ..
            } = entry.what
            {
                let mapped = self.mapped.entry(object.0).or_default();
                *mapped = offset.saturating_add(len).max(*mapped);
            }
        }
    }
}

impl Side {
    fn make(&mut self, object: u32, session: &Session) -> usize {
        let slot = self.objects.slot(object);
        if slot != OTHERS && self.room_for_files > 0 && session.dicts.is_file_backed(object) {
            self.room_for_files -= 1;
            self.objects.at(slot).pages = Some(Pages::default());
        }
        slot
    }

    /// Thread names and files that are not kept apart.
    pub fn remarks(&self) -> impl Iterator<Item = String> {
        let names = self.comms.describe_others("thread names");
        let files = self.objects.describe_others("files and kinds of memory");
        names.into_iter().chain(files).map(|others| {
            format!(
                "too many to keep apart: {OTHERS_NAME} has the faults of those with the shortest waits together, {others}"
            )
        })
    }

    fn stack(&mut self, stack: u32) -> &mut Classes {
        if self.stacks.len() >= STACKS && !self.stacks.contains_key(&stack) {
            return &mut self.other_stacks;
        }
        self.stacks.entry(stack).or_default()
    }

    /// All faults.
    #[must_use]
    pub fn classes(&self) -> Classes {
        let mut all = Classes::default();
        let kept = self.comms.iter().map(|(_, classes)| classes);
        kept.chain(self.comms.others())
            .for_each(|classes| all.merge(classes));
        all
    }

    /// By thread name.
    #[must_use]
    pub fn threads(&self, session: &Session) -> BTreeMap<String, Classes> {
        let mut threads: BTreeMap<String, Classes> = BTreeMap::new();
        for (&comm, classes) in self.comms.iter() {
            let name = session.dicts.comm(comm).into_owned();
            threads.entry(name).or_default().merge(classes);
        }
        if let Some(classes) = self.comms.others() {
            threads.entry(OTHERS_NAME.to_owned()).or_default().merge(classes);
        }
        threads
    }

    /// By path or kind of memory.
    #[must_use]
    pub fn files(&self, session: &Session) -> BTreeMap<String, FileFaults> {
        let mut files: BTreeMap<String, FileFaults> = BTreeMap::new();
        let mut objects: Vec<_> = self.objects.iter().collect();
        // As they were met: the first object of a recording has the smallest id.
        objects.sort_unstable_by_key(|&(id, _)| *id);
        for (&id, faults) in objects {
            let file = files.entry(session.dicts.label(id).into_owned()).or_default();
            file.classes.merge(&faults.classes);
            if let (Some(pages), Some(object)) = (&faults.pages, session.dicts.object(id)) {
                file.files.push(File {
                    inode: Inode::of(object),
                    pages: pages.clone(),
                });
            }
            let mapped = self.mapped.get(&id).copied().unwrap_or(0);
            file.mapped = file.mapped.max(mapped);
        }
        if let Some(others) = self.objects.others() {
            let file = files.entry(OTHERS_NAME.to_owned()).or_default();
            file.classes.merge(&others.classes);
        }
        files
    }

    /// Files of which no pages were kept, because there were too many.
    #[must_use]
    pub(crate) fn files_without_pages(&self, session: &Session) -> u64 {
        let objects = self.objects.iter();
        let without = objects.filter(|(id, file)| file.pages.is_none() && session.dicts.is_file_backed(**id));
        without.count() as u64
    }

    /// Queries by name, from their rows.
    #[must_use]
    pub fn queries(&self) -> &Groups {
        &self.groups
    }

    /// Whether a fault has a stack.
    #[must_use]
    pub(crate) fn has_stacks(&self) -> bool {
        self.stacks.keys().any(|&stack| stack != 0)
    }

    /// By the innermost frames of their stacks.
    #[must_use]
    pub fn stacks(&self, session: &Session) -> BTreeMap<String, Classes> {
        let mut names = Names::default();
        let mut stacks: BTreeMap<String, Classes> = BTreeMap::new();
        for (&stack, classes) in &self.stacks {
            let name = top_frames(stack, &mut names, session);
            stacks.entry(name).or_default().merge(classes);
        }
        if self.other_stacks.count() > 0 {
            stacks.insert(OTHER_STACKS.to_owned(), self.other_stacks.clone());
        }
        stacks
    }
}

/// `walk ← main ← _start`.
fn top_frames(stack: u32, names: &mut Names, session: &Session) -> String {
    if stack == 0 {
        return NO_STACK.to_owned();
    }
    let mut frames: Vec<String> = Vec::new();
    let mut id = stack;
    while frames.len() < FRAMES {
        let Some(node) = session.dicts.stacks.node(id) else {
            frames.push(Missing::Damaged.label());
            break;
        };
        let functions = names.functions(node.frame.0, &session.dicts);
        let inner_first = functions.into_iter().rev();
        frames.extend(inner_first.filter_map(|function| Some(names.get(function)?.name.clone())));
        // Parents have smaller ids, which the reader of the trace has checked, so the walk ends.
        id = node.parent.0;
        if id == 0 {
            frames.extend(Missing::of(node).map(Missing::label));
            break;
        }
    }
    frames.truncate(FRAMES);
    frames.join(" ← ")
}
