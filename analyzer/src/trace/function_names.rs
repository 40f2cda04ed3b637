//! From frames to functions: what a frame is called, which functions were inlined into it, and what is known of each.
//! Frames of one function are one function, as in other profilers; what they do not agree on is left out.

use crate::trace::dicts::Dicts;
use pf_formats::{StackNode, Symbol};
use polars::prelude::PlHashMap;

/// What a line of a tree stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A function that has a name.
    #[default]
    Function,
    /// A function inlined into its caller.
    Inlined,
    /// Code without a name.
    Unnamed,
    /// Callers that are missing from the stack.
    Missing,
    /// Faults without a stack.
    NoStack,
    /// A thread's name.
    Thread,
}

impl Kind {
    /// The name in exports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Inlined => "inlined",
            Self::Unnamed => "unnamed",
            Self::Missing => "missing",
            Self::NoStack => "no_stack",
            Self::Thread => "thread",
        }
    }
}

/// What is known of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// Its name; or `[object+0x1f]`, `[0x1f]`, or what stands for missing frames in square brackets.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Path of the file it is in.
    pub object: Option<String>,
    /// Build id of that file, hexadecimal.
    pub build_id: Option<String>,
    /// Byte offset in that file, or the address where there is no file, if it is the same for all frames.
    pub offset: Option<u64>,
    /// Source file, if it is the same for all frames.
    pub file: Option<String>,
    /// Source line, if it is the same for all frames.
    pub line: Option<u32>,
}

/// Callers that are missing from a stack, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// The next frame was in memory that was not resident.
    NotResident,
    /// The recorder looks at no more frames.
    DepthLimit,
    /// Code without frame pointers.
    NoFramePointers,
    /// A reason of a later version.
    Other,
    /// The trace is damaged where the stack was.
    Damaged,
}

impl Missing {
    /// All reasons.
    pub const ALL: [Self; 5] = [
        Self::NotResident,
        Self::DepthLimit,
        Self::NoFramePointers,
        Self::Other,
        Self::Damaged,
    ];

    /// Why the callers of an outermost frame are missing; `None` when there are none.
    #[must_use]
    pub fn of(node: StackNode) -> Option<Self> {
        match node.truncated {
            StackNode::WHOLE => None,
            StackNode::NOT_RESIDENT => Some(Self::NotResident),
            StackNode::DEPTH_LIMIT => Some(Self::DepthLimit),
            StackNode::NO_FRAME_POINTERS => Some(Self::NoFramePointers),
            _ => Some(Self::Other),
        }
    }

    /// In words.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotResident => "frame not resident",
            Self::DepthLimit => "depth limit",
            Self::NoFramePointers => "no frame pointers",
            Self::Other => "a reason that this version does not know",
            Self::Damaged => "the trace is damaged there",
        }
    }

    /// The label that takes the place of the callers.
    #[must_use]
    pub fn label(self) -> String {
        format!("[truncated: {}]", self.reason())
    }
}

/// The label of faults without a stack.
pub(crate) const NO_STACK: &str = "[no stack]";

/// The label of stacks that were too many to be kept apart.
pub(crate) const OTHER_STACKS: &str = "[all other stacks]";

/// What makes two functions one.
type Key = (Kind, String, Option<String>);

/// Numbers functions as they are met.
#[derive(Clone, Debug, Default)]
pub struct Names {
    functions: Vec<Function>,
    index: PlHashMap<Key, u32>,
    /// The functions of a frame, outermost first.
    frames: PlHashMap<u32, Vec<u32>>,
}

impl Names {
    /// What is known of a function.
    #[must_use]
    pub fn get(&self, function: u32) -> Option<&Function> {
        self.functions.get(function as usize)
    }

    /// All functions, by their numbers.
    #[must_use]
    pub fn all(&self) -> &[Function] {
        &self.functions
    }

    /// The number of something that is no code.
    pub fn label(&mut self, kind: Kind, name: &str) -> u32 {
        self.number(Function {
            name: name.to_owned(),
            kind,
            ..Function::default()
        })
    }

    /// The functions of a frame, outermost first: the one that the compiler emitted, then those inlined into it.
    pub fn functions(&mut self, frame: u32, dicts: &Dicts) -> Vec<u32> {
        if let Some(known) = self.frames.get(&frame) {
            return known.clone();
        }
        let numbers: Vec<u32> = describe(frame, dicts)
            .into_iter()
            .map(|function| self.number(function))
            .collect();
        self.frames.insert(frame, numbers.clone());
        numbers
    }

    fn number(&mut self, function: Function) -> u32 {
        let key = (function.kind, function.name.clone(), function.object.clone());
        let next = self.functions.len() as u32;
        let number = *self.index.entry(key).or_insert(next);
        match self.functions.get_mut(number as usize) {
            Some(known) => known.agree(&function),
            None => self.functions.push(function),
        }
        number
    }
}

impl Function {
    /// Keeps what both say.
    fn agree(&mut self, other: &Self) {
        self.build_id.take_if(|id| other.build_id.as_ref() != Some(id));
        self.offset.take_if(|offset| other.offset != Some(*offset));
        self.file.take_if(|file| other.file.as_ref() != Some(file));
        self.line.take_if(|line| other.line != Some(*line));
    }

    /// `app.c:20`, the file alone where its frames are on several lines, or the file that the code is in.
    #[must_use]
    pub fn source(&self) -> Option<String> {
        match (&self.file, self.line) {
            (Some(file), Some(line)) if line > 0 => Some(format!("{file}:{line}")),
            (Some(file), _) => Some(file.clone()),
            // Its name has the object.
            (None, _) if self.kind == Kind::Unnamed => None,
            (None, _) => self.object.clone(),
        }
    }

    /// As people see it: perf marks inlined functions the same way.
    #[must_use]
    pub fn label(&self) -> String {
        if self.kind == Kind::Inlined {
            format!("{} (inlined)", self.name)
        } else {
            self.name.clone()
        }
    }
}

/// The functions of a frame, outermost first.
fn describe(id: u32, dicts: &Dicts) -> Vec<Function> {
    let Some(frame) = dicts.stacks.frame(id) else {
        let name = if id == 0 {
            "[unknown]".to_owned()
        } else {
            format!("[unknown#{id}]")
        };
        return vec![Function {
            name,
            kind: Kind::Unnamed,
            ..Function::default()
        }];
    };
    let object = frame.object.0;
    let path = dicts.file(object);
    let place = Function {
        object: path.as_deref().map(str::to_owned),
        build_id: dicts.stacks.build_id(object),
        offset: Some(frame.offset),
        ..Function::default()
    };
    let Some(symbol) = dicts.stacks.symbol(id).filter(|symbol| !symbol.name.is_empty()) else {
        let name = match &path {
            Some(path) => format!("[{}+{:#x}]", base_name(path), frame.offset),
            None => format!("[{:#x}]", frame.offset),
        };
        let kind = Kind::Unnamed;
        return vec![Function { name, kind, ..place }];
    };
    with_inlined(symbol, &place)
}

fn with_inlined(symbol: &Symbol, place: &Function) -> Vec<Function> {
    let named = |kind, name: &str, file: &str, line: u32| Function {
        name: name.to_owned(),
        kind,
        file: (!file.is_empty()).then(|| file.to_owned()),
        line: (line != 0).then_some(line),
        ..place.clone()
    };
    let outer = named(Kind::Function, &symbol.name, &symbol.file, symbol.line);
    let inner = symbol.inlined.iter().rev();
    let inner = inner.map(|inlined| named(Kind::Inlined, &inlined.name, &inlined.file, inlined.line));
    std::iter::once(outer).chain(inner).collect()
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
