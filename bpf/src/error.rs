//! Why probes could not be loaded or attached, with what to do about it.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Loading, attaching or draining the probes failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The BPF object could not be opened or loaded.
    #[error("the kernel refused the BPF programs{}", detail(log))]
    Load {
        /// What libbpf returned.
        source: libbpf_rs::Error,
        /// What libbpf and the verifier printed last.
        log: String,
    },
    /// A program could not be attached.
    #[error("cannot attach {program}")]
    Attach {
        /// Name of the BPF program.
        program: &'static str,
        /// What libbpf returned.
        source: libbpf_rs::Error,
    },
    /// A query probe could not be attached.
    #[error("cannot attach to {point} in {}", path.display())]
    Query {
        /// The probe in the file.
        point: String,
        /// The file.
        path: PathBuf,
        /// What libbpf returned.
        source: libbpf_rs::Error,
    },
    /// `perf_event_open(2)` failed.
    #[error("perf_event_open({event}) on CPU {cpu}")]
    PerfEvent {
        /// Name of the software event.
        event: &'static str,
        /// The CPU it was opened on.
        cpu: usize,
        /// The system's answer.
        source: io::Error,
    },
    /// The ring buffer could not be set up or read.
    #[error("cannot read the ring buffer")]
    Ring(#[source] libbpf_rs::Error),
    /// The memory shared with the probes could not be mapped.
    #[error("cannot map the lanes of the probes")]
    Lanes(#[source] io::Error),
    /// The kernel's type information could not be read.
    #[error("cannot read the kernel's type information (/sys/kernel/btf/vmlinux)")]
    Types(#[source] libbpf_rs::Error),
    /// A setting the probes cannot take.
    #[error("{0}")]
    Config(String),
    /// The list of processes to record could not be handed over.
    #[error("cannot hand the list of processes to the kernel")]
    Roots(#[source] libbpf_rs::Error),
    /// A list of CPUs under /sys could not be read.
    #[error("cannot read {path}")]
    Cpus {
        /// The file.
        path: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

impl ProbeError {
    /// Whether the cause is a missing privilege rather than a missing kernel feature.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        let denied = |kind| kind == libbpf_rs::ErrorKind::PermissionDenied;
        match self {
            Self::Load { source, .. } | Self::Attach { source, .. } | Self::Query { source, .. } => {
                denied(source.kind())
            }
            Self::Ring(source) | Self::Roots(source) | Self::Types(source) => denied(source.kind()),
            Self::PerfEvent { source, .. } | Self::Lanes(source) => {
                source.kind() == io::ErrorKind::PermissionDenied
            }
            Self::Config(_) | Self::Cpus { .. } => false,
        }
    }

    /// Whether this process may have no more files open.
    #[must_use]
    pub fn is_file_limit(&self) -> bool {
        self.is_answer(libc::EMFILE, "-EMFILE")
    }

    /// Whether the kernel had no memory for maps or programs.
    #[must_use]
    pub fn is_memory_limit(&self) -> bool {
        self.is_answer(libc::ENOMEM, "-ENOMEM")
    }

    fn is_answer(&self, errno: i32, logged: &str) -> bool {
        // libbpf-rs does not hand out the number of the system's answer.
        let answer = io::Error::from_raw_os_error(errno).to_string();
        let is_answer = |source: &libbpf_rs::Error| format!("{source:#}").contains(&answer);
        match self {
            Self::Load { source, log } => is_answer(source) || log.contains(logged),
            Self::Attach { source, .. }
            | Self::Query { source, .. }
            | Self::Ring(source)
            | Self::Roots(source)
            | Self::Types(source) => is_answer(source),
            Self::PerfEvent { source, .. } | Self::Lanes(source) | Self::Cpus { source, .. } => {
                source.raw_os_error() == Some(errno)
            }
            Self::Config(_) => false,
        }
    }
}

/// The first complaint names the program; what the verifier said last before its statistics is the reason.
fn detail(log: &str) -> String {
    let lines = || log.lines().map(str::trim);
    let Some(complaint) = lines().find(|line| line.contains("failed")) else {
        return String::new();
    };
    let verdict = lines()
        .zip(lines().skip(1))
        .find(|(_, next)| next.starts_with("processed ") && next.contains(" insns "))
        .map_or_else(String::new, |(verdict, _)| format!(": {verdict}"));
    format!(" ({}{verdict})", complaint.trim_start_matches("libbpf: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_of_the_verifier_is_told() {
        let log = "libbpf: prog 'a': BPF program load failed: -EACCES\nlibbpf: prog 'a': -- BEGIN PROG LOAD LOG --\n\
                   0: R1=ctx()\nR3 invalid mem access\nprocessed 7 insns (limit 1000000)\n-- END --\n";
        assert_eq!(
            detail(log),
            " (prog 'a': BPF program load failed: -EACCES: R3 invalid mem access)"
        );
        assert_eq!(detail("libbpf: failed to find BTF"), " (failed to find BTF)");
        assert_eq!(detail(""), "");
    }

    #[test]
    fn a_limit_of_open_files_is_known_whoever_met_it() {
        let error = || libbpf_rs::Error::from_raw_os_error(libc::EMFILE);
        let load = |log: &str| ProbeError::Load {
            source: libbpf_rs::Error::from_raw_os_error(libc::EINVAL),
            log: log.to_owned(),
        };
        assert!(ProbeError::Ring(error()).is_file_limit());
        assert!(load("libbpf: Error in bpf_create_map_xattr(a): -EMFILE").is_file_limit());
        assert!(!load("libbpf: prog 'a': BPF program load failed: -EACCES").is_file_limit());
        let event = ProbeError::PerfEvent {
            event: "page-faults",
            cpu: 3,
            source: io::Error::from_raw_os_error(libc::EMFILE),
        };
        assert!(event.is_file_limit() && !event.is_permission());
    }
}
