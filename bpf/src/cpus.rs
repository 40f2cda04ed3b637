//! BPF programs on per-CPU software events, kept in step with the CPUs that are online.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{AsRawFd, BorrowedFd, IntoRawFd},
};

use libbpf_rs::{Link, ProgramMut};
use perf_event::{Builder, Counter, SampleFlag, events::Software};

use crate::ProbeError;

const ONLINE: &str = "/sys/devices/system/cpu/online";

/// A BPF program and the software event it is attached to, on every CPU.
pub(crate) struct Attachment<'a, 'obj> {
    pub(crate) program: &'a ProgramMut<'obj>,
    pub(crate) name: &'static str,
    pub(crate) event: Software,
    pub(crate) event_name: &'static str,
}

/// The open events of each online CPU. Dropping one detaches its program.
#[derive(Default)]
pub(crate) struct CpuEvents {
    /// With whether the event completes a fault.
    by_cpu: BTreeMap<usize, Vec<(bool, Link, Counter)>>,
    /// Events of CPUs that are gone.
    gone: u64,
}

impl CpuEvents {
    /// Opens the events of CPUs that came online since the last call and drops those of CPUs that
    /// went away. Returns how many CPUs were added.
    pub(crate) fn follow(&mut self, attachments: &[Attachment<'_, '_>]) -> Result<usize, ProbeError> {
        let online = online_cpus()?;
        let gone = &mut self.gone;
        self.by_cpu.retain(|cpu, events| {
            let stays = online.contains(cpu);
            if !stays {
                *gone += of_completions(events).unwrap_or(0);
            }
            stays
        });
        let mut added = 0;
        for cpu in online {
            if self.by_cpu.contains_key(&cpu) {
                continue;
            }
            match attachments
                .iter()
                .map(|attachment| attachment.open(cpu))
                .collect()
            {
                Ok(events) => {
                    self.by_cpu.insert(cpu, events);
                    added += 1;
                }
                // It went offline again meanwhile.
                Err(ProbeError::PerfEvent { source, .. }) if is_gone(&source) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(added)
    }
}

impl CpuEvents {
    /// How many faults the events told of that complete them, as the kernel counts them, since they were opened.
    pub(crate) fn completions(&mut self) -> io::Result<u64> {
        let now: u64 = self
            .by_cpu
            .values_mut()
            .map(|events| of_completions(events))
            .sum::<io::Result<u64>>()?;
        Ok(self.gone + now)
    }
}

fn of_completions(events: &mut [(bool, Link, Counter)]) -> io::Result<u64> {
    sum(events
        .iter_mut()
        .filter(|(completes, ..)| *completes)
        .map(|(.., counter)| counter))
}

impl Attachment<'_, '_> {
    fn open(&self, cpu: usize) -> Result<(bool, Link, Counter), ProbeError> {
        let failed = |source| ProbeError::PerfEvent {
            event: self.event_name,
            cpu,
            source,
        };
        let counter = Builder::new(self.event)
            .any_pid()
            .one_cpu(cpu)
            .exclude_kernel(false)
            .exclude_hv(false)
            .sample_period(1)
            // Without it the kernel leaves bpf_perf_event_data::addr uninitialised.
            .sample(SampleFlag::ADDR)
            .build()
            .map_err(failed)?;
        // The link closes the descriptor that it is given, if it takes it.
        // SAFETY: the counter is open, and outlives the borrow.
        let borrowed = unsafe { BorrowedFd::borrow_raw(counter.as_raw_fd()) };
        let own = borrowed.try_clone_to_owned().map_err(failed)?;
        let link = self
            .program
            .attach_perf_event(own.as_raw_fd())
            .map_err(|source| ProbeError::Attach {
                program: self.name,
                source,
            })?;
        let _ = own.into_raw_fd();
        Ok((self.event != Software::PAGE_FAULTS, link, counter))
    }
}

/// Whether an event could not be opened because its CPU is not online.
#[must_use]
pub fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENODEV)
}

/// The CPUs that are online now, in order.
pub fn online_cpus() -> Result<Vec<usize>, ProbeError> {
    let text = fs::read_to_string(ONLINE).map_err(|source| ProbeError::Cpus { path: ONLINE, source })?;
    parse_cpu_list(text.trim())
        .ok_or_else(|| ProbeError::Config(format!("{ONLINE} holds {text:?}, which is not a list of CPUs")))
}

/// Parses the kernel's list format, such as `0-3,8,10-11`.
fn parse_cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<usize>().ok()?..=last.parse().ok()?);
    }
    Some(cpus)
}

/// Takes this thread from CPU to CPU, as far as it may go there, and back to where it may be when it is dropped. What runs
/// on a CPU is in no program that cannot be preempted there.
pub(crate) struct Tour {
    own: libc::cpu_set_t,
    cpus: Vec<usize>,
    next: usize,
}

impl Tour {
    pub(crate) fn begin() -> Self {
        // SAFETY: a set without any CPU is all zeros, and the call fills one of this size.
        let (own, known) = unsafe {
            let mut own: libc::cpu_set_t = std::mem::zeroed();
            let rc = libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut own);
            (own, rc == 0)
        };
        let may_go = |cpu: &usize| {
            // SAFETY: the number is within the set.
            known && *cpu < libc::CPU_SETSIZE as usize && unsafe { libc::CPU_ISSET(*cpu, &own) }
        };
        let mut cpus = online_cpus().unwrap_or_default();
        cpus.retain(may_go);
        Self { own, cpus, next: 0 }
    }

    /// How many there are to see.
    pub(crate) fn cpus(&self) -> usize {
        self.cpus.len()
    }

    /// Goes to the next one. Where that is forbidden meanwhile, it stays.
    pub(crate) fn go_on(&mut self) {
        if self.cpus.len() < 2 {
            return;
        }
        let cpu = self.cpus[self.next % self.cpus.len()];
        self.next += 1;
        // SAFETY: a set without any CPU is all zeros, and the number is within it.
        unsafe {
            let mut one: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(cpu, &mut one);
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const one);
        }
    }
}

impl Drop for Tour {
    fn drop(&mut self) {
        if self.cpus.len() >= 2 {
            // SAFETY: the set that the kernel gave.
            unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const self.own) };
        }
    }
}

/// The sum of counters.
pub(crate) fn sum<'a>(counters: impl Iterator<Item = &'a mut Counter>) -> io::Result<u64> {
    counters.map(Counter::read).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_with_ranges_are_read() {
        assert_eq!(parse_cpu_list("0"), Some(vec![0]));
        assert_eq!(parse_cpu_list("0-3,8,10-11"), Some(vec![0, 1, 2, 3, 8, 10, 11]));
        assert_eq!(parse_cpu_list("0-"), None);
    }
}
