//! The thread that prints. Nobody waits for it: what it cannot take because its reader is slow is counted, and
//! told by it when it can again.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use crossbeam_channel::{Receiver, Sender, bounded};
use pf_formats::{Dict, Event};
use serde::Serialize;

use super::{faults::FaultLines, lines::push};
use crate::cli::Format;

/// Messages that may wait.
const QUEUE: usize = 64;

/// Faults in one message: with the queue some 40 MB.
const FAULTS: usize = 4096;

/// Bytes of text that may wait: an interval has a line for each thread that lived in it.
const TEXT: usize = 16 << 20;

/// How long the last words wait for a reader.
const PATIENCE: Duration = Duration::from_secs(2);

enum Message {
    Text(Text),
    Faults {
        dicts: Vec<Dict>,
        faults: Vec<Event>,
        /// Faults since the message before that could not be passed on.
        lost: u64,
    },
}

/// Text that waits, and takes room for so long.
struct Text {
    lines: String,
    room: Arc<AtomicUsize>,
}

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paper {
    /// Standard output.
    Stdout,
    /// Standard error, where the trace has the other one.
    Stderr,
}

/// The thread.
pub struct Printer {
    queue: Sender<Message>,
    waiting: Arc<AtomicUsize>,
    reader_gone: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

/// Takes text to the printer.
#[derive(Clone)]
pub struct TextSlot {
    queue: Sender<Message>,
    /// Bytes of text that wait.
    waiting: Arc<AtomicUsize>,
}

/// Takes faults to the printer.
pub struct FaultSlot {
    queue: Sender<Message>,
    dicts: Vec<Dict>,
    faults: Vec<Event>,
    lost: u64,
    lost_in_all: Arc<AtomicU64>,
}

#[derive(Serialize)]
struct LostLine {
    r#type: &'static str,
    faults: u64,
}

impl Printer {
    /// Starts it.
    pub fn start(paper: Paper, format: Format, faults: FaultLines) -> Result<Self> {
        let (queue, messages) = bounded(QUEUE);
        let reader_gone = Arc::new(AtomicBool::new(false));
        let gone = Arc::clone(&reader_gone);
        let body = move || {
            let outcome = match paper {
                Paper::Stdout => print(&messages, faults, format, pf_printing::text_out()),
                Paper::Stderr => print(&messages, faults, format, pf_printing::text_err()),
            };
            gone.store(outcome.is_err(), Relaxed);
        };
        let thread = Builder::new()
            .name("pfrec-print".to_owned())
            .spawn(body)
            .context("cannot start pfrec-print")?;
        Ok(Self {
            queue,
            waiting: Arc::default(),
            reader_gone,
            lost: Arc::default(),
            thread,
        })
    }

    /// An end for text.
    #[must_use]
    pub fn text(&self) -> TextSlot {
        TextSlot {
            queue: self.queue.clone(),
            waiting: Arc::clone(&self.waiting),
        }
    }

    /// An end for faults.
    #[must_use]
    pub fn faults(&self) -> FaultSlot {
        FaultSlot {
            queue: self.queue.clone(),
            dicts: Vec::new(),
            faults: Vec::new(),
            lost: 0,
            lost_in_all: Arc::clone(&self.lost),
        }
    }

    /// Whoever read the lines wants no more of them.
    #[must_use]
    pub fn reader_gone(&self) -> bool {
        self.reader_gone.load(Relaxed)
    }

    /// Waits until all is printed; the other ends must be gone. Returns how many faults were not.
    pub fn finish(self) -> u64 {
        drop(self.queue);
        // A panic was reported by its thread.
        self.thread.join().ok();
        self.lost.load(Relaxed)
    }
}

impl TextSlot {
    /// Whether there was room for it. True also when nobody reads any more.
    #[must_use]
    pub fn try_print(&self, text: String) -> bool {
        let waiting = self.waiting.load(Relaxed);
        let is_room = waiting == 0 || waiting + text.len() <= TEXT;
        is_room
            && !matches!(
                self.queue.try_send(self.message(text)),
                Err(crossbeam_channel::TrySendError::Full(_))
            )
    }

    /// Waits a while for room.
    pub fn print(&self, text: String) {
        // What is too late is lost to a reader who did not read.
        self.queue.send_timeout(self.message(text), PATIENCE).ok();
    }

    fn message(&self, lines: String) -> Message {
        self.waiting.fetch_add(lines.len(), Relaxed);
        Message::Text(Text {
            lines,
            room: Arc::clone(&self.waiting),
        })
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.room.fetch_sub(self.lines.len(), Relaxed);
    }
}

impl FaultSlot {
    /// New names.
    pub fn learn(&mut self, dict: &Dict) {
        if matches!(dict, Dict::Comms { .. } | Dict::Objects { .. }) {
            self.dicts.push(dict.clone());
        }
    }

    /// A fault, printed at the latest when [`FaultSlot::flush`] is called.
    pub fn push(&mut self, fault: &Event) {
        self.faults.push(*fault);
        if self.faults.len() >= FAULTS {
            self.flush();
        }
    }

    /// Hands over what there is, or drops it: faults only, names wait.
    pub fn flush(&mut self) {
        let Some(message) = self.message() else {
            return;
        };
        match self.queue.try_send(message) {
            Err(crossbeam_channel::TrySendError::Full(message)) => self.take_back(message),
            // Nobody reads any more.
            Err(crossbeam_channel::TrySendError::Disconnected(_)) | Ok(()) => {}
        }
    }

    /// Hands over the last ones, and waits a while for that.
    pub fn finish(mut self) {
        if let Some(message) = self.message()
            && let Err(crossbeam_channel::SendTimeoutError::Timeout(message)) =
                self.queue.send_timeout(message, PATIENCE)
        {
            self.take_back(message);
        }
    }

    fn message(&mut self) -> Option<Message> {
        let any = !self.faults.is_empty() || self.lost > 0;
        any.then(|| Message::Faults {
            dicts: std::mem::take(&mut self.dicts),
            faults: std::mem::take(&mut self.faults),
            lost: std::mem::take(&mut self.lost),
        })
    }

    fn take_back(&mut self, message: Message) {
        if let Message::Faults { dicts, faults, lost } = message {
            self.lost_in_all.fetch_add(faults.len() as u64, Relaxed);
            self.lost = lost + faults.len() as u64;
            self.dicts = dicts;
        }
    }
}

fn print(
    messages: &Receiver<Message>,
    mut lines: FaultLines,
    format: Format,
    mut out: impl Write,
) -> io::Result<()> {
    for message in messages {
        let mut text = String::new();
        match message {
            Message::Text(waiting) => {
                out.write_all(waiting.lines.as_bytes())?;
            }
            Message::Faults { dicts, faults, lost } => {
                dicts.into_iter().for_each(|dict| lines.learn(dict));
                if lost > 0 {
                    lost_line(&mut text, format, lost);
                }
                faults.iter().for_each(|fault| lines.write(&mut text, fault));
            }
        }
        out.write_all(text.as_bytes())?;
        out.flush()?;
    }
    Ok(())
}

fn lost_line(text: &mut String, format: Format, faults: u64) {
    match format {
        Format::Json => push(
            text,
            &LostLine {
                r#type: "lost",
                faults,
            },
        ),
        Format::Table => text.push_str(&format!(
            "LOST {faults} lines of -v: the reader is too slow; counts and trace include these faults\n"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(queue: Sender<Message>) -> FaultSlot {
        FaultSlot {
            queue,
            dicts: Vec::new(),
            faults: Vec::new(),
            lost: 0,
            lost_in_all: Arc::default(),
        }
    }

    #[test]
    fn what_a_slow_reader_cannot_take_is_counted_and_told_and_names_are_kept() {
        let (queue, messages) = bounded(1);
        let mut slot = slot(queue);
        let name = |comm: &str, first_id| Dict::Comms {
            first_id,
            entries: vec![comm.to_owned()],
        };
        let fault = |comm| Event {
            comm: pf_formats::CommId(comm),
            ..Event::default()
        };
        slot.learn(&name("first", 1));
        slot.push(&fault(1));
        slot.flush();
        slot.learn(&name("second", 2));
        slot.push(&fault(2));
        slot.push(&fault(2));
        slot.flush();
        let first = messages.recv();
        slot.push(&fault(2));
        slot.flush();
        assert_eq!(slot.lost_in_all.load(Relaxed), 2);
        drop(slot);

        let mut out = Vec::new();
        let (again, all) = bounded(2);
        first.into_iter().chain(&messages).for_each(|message| {
            again.send(message).ok();
        });
        drop(again);
        let lines = FaultLines::new(Format::Table, 4096, 0);
        assert!(print(&all, lines, Format::Table, &mut out).is_ok());
        let text = String::from_utf8_lossy(&out).into_owned();
        let shown: Vec<&str> = text.lines().collect();
        assert_eq!(shown.len(), 4, "{text}");
        assert!(shown[1].contains(" first "), "{text}");
        assert_eq!(
            shown[2],
            "LOST 2 lines of -v: the reader is too slow; counts and trace include these faults"
        );
        assert!(shown[3].contains(" second "), "{text}");
    }

    #[test]
    fn text_that_nobody_reads_is_given_back() {
        let (queue, messages) = bounded(1);
        let waiting = Arc::default();
        let slot = TextSlot { queue, waiting };
        assert!(slot.try_print("one".to_owned()));
        assert!(!slot.try_print("two".to_owned()));
        drop(messages);
        assert!(slot.try_print("three".to_owned()), "nobody is left to be slow");
    }

    #[test]
    fn no_more_text_waits_than_there_is_room_for() {
        let (queue, messages) = bounded(QUEUE);
        let slot = TextSlot {
            queue,
            waiting: Arc::default(),
        };
        let third = || "x".repeat(TEXT / 3);
        let taken = std::iter::repeat_with(|| slot.try_print(third())).take_while(|taken| *taken);
        assert_eq!(taken.count(), 3);
        drop(messages.recv());
        assert!(slot.try_print(third()));
        assert!(!slot.try_print(third()));
        while messages.try_recv().is_ok() {}
        assert!(slot.try_print("x".repeat(TEXT + 1)), "one at least");
    }
}
