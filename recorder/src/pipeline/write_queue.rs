//! Third thread of the hot path: writes to the file, so that a slow disk holds up neither the encoder
//! (until the queue is full) nor ever the drain.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, atomic::Ordering::Relaxed},
    thread::{Builder, JoinHandle},
};

use anyhow::{Context, Result, anyhow};
use crossbeam_channel::{Receiver, Sender, bounded};

use crate::{pipeline::drain::Gauges, pipeline::trace_file::TraceFile};

/// Frames that may wait; one is at most a few megabytes, and some hundred kilobytes as a rule.
const QUEUE_FRAMES: usize = 32;

/// A writer whose bytes reach the file on another thread.
pub struct WriteQueue {
    frames: Sender<Vec<u8>>,
    failure: Arc<Mutex<Option<io::Error>>>,
    gauges: Arc<Gauges>,
    thread: JoinHandle<TraceFile>,
}

impl WriteQueue {
    /// Starts the thread.
    pub fn start(file: TraceFile, gauges: Arc<Gauges>) -> Result<Self> {
        let (frames, queue) = bounded(QUEUE_FRAMES);
        let failure = Arc::new(Mutex::new(None));
        let (noted, count) = (Arc::clone(&failure), Arc::clone(&gauges));
        let body = move || {
            let mut file = file;
            if let Err(e) = write_all(&mut file, &queue, &count)
                && let Ok(mut failure) = noted.lock()
            {
                *failure = Some(e);
            }
            // Only now: whoever finds the queue closed finds the reason, too.
            drop(queue);
            file
        };
        let thread = Builder::new().name("pfrec-write".to_owned()).spawn(body);
        Ok(Self {
            frames,
            failure,
            gauges,
            thread: thread.context("cannot start the writing thread")?,
        })
    }

    /// Waits until everything is written. The file comes back also when writing failed.
    pub fn finish(self) -> Result<(TraceFile, io::Result<u64>)> {
        drop(self.frames);
        let file = self
            .thread
            .join()
            .map_err(|_| anyhow!("the writing thread panicked"))?;
        Ok((
            file,
            take(&self.failure).map_or(Ok(self.gauges.bytes.load(Relaxed)), Err),
        ))
    }
}

impl Write for WriteQueue {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.frames.send(bytes.to_vec()) {
            Ok(()) => Ok(bytes.len()),
            // The thread ended, so writing failed.
            Err(_) => Err(take(&self.failure).unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn take(failure: &Mutex<Option<io::Error>>) -> Option<io::Error> {
    failure.lock().ok().and_then(|mut failure| failure.take())
}

fn write_all(file: &mut TraceFile, queue: &Receiver<Vec<u8>>, gauges: &Gauges) -> io::Result<()> {
    for frame in queue {
        file.write_all(&frame)?;
        // A reader may follow the file while it grows.
        file.flush()?;
        gauges.bytes.fetch_add(frame.len() as u64, Relaxed);
    }
    Ok(())
}
