//! Who goes first where there are not enough CPUs: the recorded program, as long as what waits for the encoder is little.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed};

use nix::unistd::{Uid, gettid};

/// While fewer records than this wait, the recorded program goes first.
const IN_NO_HURRY: u64 = 1 << 18;

/// How far it goes first: the niceness of the encoder's thread.
const POLITE: i32 = 19;

/// The niceness of one thread, which it and others can change. On a busy machine a thread that has stepped back hardly
/// runs, so that it is for others to call it forward.
#[derive(Debug, Default)]
pub struct EncoderNiceness {
    /// 0: nobody yet.
    thread: AtomicI32,
    polite: AtomicBool,
}

impl EncoderNiceness {
    /// Says that it is the calling thread's.
    pub fn adopt(&self) {
        self.thread.store(gettid().as_raw(), Relaxed);
    }

    /// Lets the thread step back or come forward, by how many records wait for it.
    pub fn adjust(&self, waiting: u64) {
        let thread = self.thread.load(Relaxed);
        // Without root a thread that stepped back could not come forward again.
        let polite = waiting < IN_NO_HURRY && Uid::effective().is_root();
        if thread != 0 && self.polite.swap(polite, Relaxed) != polite {
            let thread = libc::id_t::try_from(thread).unwrap_or(0);
            // SAFETY: changes the niceness of a thread of this process only: 0 is the calling one.
            unsafe { libc::setpriority(libc::PRIO_PROCESS, thread, if polite { POLITE } else { 0 }) };
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn niceness(thread: i32) -> i32 {
        // SAFETY: asks only.
        unsafe { libc::getpriority(libc::PRIO_PROCESS, libc::id_t::try_from(thread).unwrap()) }
    }

    #[test]
    fn a_thread_that_stepped_back_is_called_forward_by_another() {
        let encoder = EncoderNiceness::default();
        encoder.adjust(0);
        std::thread::scope(|scope| {
            let (give, take) = std::sync::mpsc::channel();
            let (end, until) = std::sync::mpsc::channel::<()>();
            let encoder = &encoder;
            scope.spawn(move || {
                encoder.adopt();
                give.send(gettid().as_raw()).unwrap();
                until.recv().unwrap_err();
            });
            let thread = take.recv().unwrap();
            let before = niceness(thread);
            encoder.adjust(0);
            let expected = if Uid::effective().is_root() {
                POLITE
            } else {
                before
            };
            assert_eq!(niceness(thread), expected);
            encoder.adjust(IN_NO_HURRY);
            assert_eq!(
                niceness(thread),
                if Uid::effective().is_root() { 0 } else { before }
            );
            drop(end);
        });
    }
}
