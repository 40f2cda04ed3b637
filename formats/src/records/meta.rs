//! Who recorded what, where, and with which means.

use bincode::{Decode, Encode};

use crate::limits;

/// The machine of the recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Host {
    /// `uname -n`.
    pub hostname: String,
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`.
    pub arch: String,
    /// Bytes.
    pub page_size: u32,
    /// CPUs online.
    pub cpus: u32,
    /// Physical memory, bytes.
    pub memory_bytes: u64,
}

/// The circumstances of a recording, known when it starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Meta {
    /// Name and version of the recorder, "pfrec 0.1.0".
    pub recorder: String,
    /// Where it ran.
    pub host: Host,
    /// Arguments of the traced command, empty when attached to running processes.
    pub command: Vec<String>,
    /// The recorder's own arguments.
    pub options: Vec<String>,
    /// "command", "pids 12,13" or "all".
    pub target: String,
    /// The backend in force, such as "perf".
    pub backend: String,
    /// What the backend hooks, in words.
    pub entry: String,
    /// What the backend cannot see, in words: "GUP faults", "failed faults".
    pub blind: Vec<String>,
    /// `CLOCK_MONOTONIC` nanoseconds when the probes were attached.
    pub start_ns: u64,
    /// Filters in force, in words.
    pub filters: Vec<String>,
    /// One minor fault in this many was recorded, chosen by chance; 1 means every one. Major faults are always
    /// recorded.
    pub sample: u32,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            recorder: String::new(),
            host: Host::default(),
            command: Vec::new(),
            options: Vec::new(),
            target: String::new(),
            backend: String::new(),
            entry: String::new(),
            blind: Vec::new(),
            start_ns: 0,
            filters: Vec::new(),
            sample: 1,
        }
    }
}

impl Meta {
    /// A copy within the limits: a command line of megabytes must not keep a recording from starting.
    pub(crate) fn bounded(&self) -> Self {
        let mut meta = self.clone();
        let host = &mut meta.host;
        for text in [
            &mut meta.recorder,
            &mut host.hostname,
            &mut host.kernel,
            &mut host.arch,
            &mut meta.target,
            &mut meta.backend,
            &mut meta.entry,
        ] {
            shorten(text);
        }
        for list in [
            &mut meta.command,
            &mut meta.options,
            &mut meta.blind,
            &mut meta.filters,
        ] {
            shorten_list(list);
        }
        meta.sample = meta.sample.max(1);
        meta
    }
}

/// Cuts a string to the limit, at a character, and marks the cut.
pub(crate) fn shorten(text: &mut String) {
    shorten_to(text, limits::STRING);
}

/// The same for another limit.
pub(crate) fn shorten_to(text: &mut String, limit: usize) {
    const MARK: char = '…';
    if text.len() > limit {
        cut(text, limit - MARK.len_utf8());
        text.push(MARK);
    }
}

/// Cuts a string at the last character that ends within `limit` bytes.
pub(crate) fn cut(text: &mut String, limit: usize) {
    let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or(0));
}

/// Cuts each string, then the list where its bytes exceed what one frame should hold.
fn shorten_list(list: &mut Vec<String>) {
    let mut bytes = 0;
    let too_many = list.iter_mut().position(|text| {
        shorten(text);
        // A string costs 24 bytes in memory besides its own, which the decoder's limit counts.
        bytes += text.len() + size_of::<String>();
        bytes > limits::METADATA_CHUNK
    });
    if let Some(kept) = too_many {
        let dropped = list.len() - kept;
        list.truncate(kept);
        list.push(format!("… and {dropped} more"));
    }
}
