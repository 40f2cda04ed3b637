//! `pfrec doctor`: what this kernel and these privileges allow, which backend would be used, and what
//! to do about what fails.

use std::{fs, path::Path};

use crate::{host, queries, stacks::kernel};
use nix::sys::utsname::uname;
use pf_bpf::{Attempt, ProbeError, survey, try_query};

const BTF: &str = "/sys/kernel/btf/vmlinux";
const SOFTWARE_EVENTS: &str = "/sys/bus/event_source/devices/software";
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
const PARANOID: &str = "/proc/sys/kernel/perf_event_paranoid";

/// Bits of linux/capability.h, with what pfrec needs them for.
const NEEDED: [(&str, u32); 3] = [("CAP_SYS_PTRACE", 19), ("CAP_PERFMON", 38), ("CAP_BPF", 39)];

/// One line of the report.
struct Finding {
    what: &'static str,
    state: State,
    detail: String,
}

enum State {
    Works,
    /// Recording fails or suffers without it.
    Missing,
    /// Worth knowing.
    Note,
}

/// What was found.
pub struct Examination {
    /// The report, for people.
    pub report: String,
    /// Whether recording would work.
    pub can_record: bool,
}

/// Tries everything out.
pub fn examine() -> Examination {
    let kernel = uname().map(|name| format!("{} {}", name.release().display(), name.machine().display()));
    let mut lines = vec![format!(
        "kernel {}",
        kernel.unwrap_or_else(|_| "unknown".to_owned())
    )];
    for Finding { what, state, detail } in findings() {
        lines.push(format!("{:4}  {what:20} {detail}", mark(&state)));
    }
    lines.push("\nbackends, best first:".to_owned());
    let attempts = survey();
    let chosen = attempts.iter().find(|attempt| attempt.outcome.is_ok());
    lines.extend(
        attempts
            .iter()
            .map(|attempt| describe(attempt, chosen.map(|chosen| chosen.backend))),
    );
    lines.push(match chosen {
        Some(attempt) => format!(
            "\npfrec would use: {}, entry by {}\nnot visible:     {}\n",
            attempt.backend,
            attempt.entry,
            match attempt.blind {
                [] => "- (every fault is visible)".to_owned(),
                blind => blind.join("; "),
            }
        ),
        None => "\npfrec cannot record on this machine: see the lines marked NO\n".to_owned(),
    });
    Examination {
        report: lines.join("\n"),
        can_record: chosen.is_some(),
    }
}

fn mark(state: &State) -> &'static str {
    match state {
        State::Works => "ok",
        State::Missing => "NO",
        State::Note => "-",
    }
}

/// `used` is the backend that works best, if one does.
fn describe(attempt: &Attempt, used: Option<&str>) -> String {
    let Attempt {
        backend,
        entry,
        outcome,
        ..
    } = attempt;
    let Err(e) = outcome else {
        return format!("ok    {backend}, entry by {entry}");
    };
    let mut text = format!("NO    {backend}, entry by {entry}: {}", with_causes(e));
    text.push_str("\n      ");
    text.push_str(&remedy(backend, e.is_permission() && !lacking().is_empty(), used));
    text
}

/// What to do about a backend that does not work.
fn remedy(backend: &str, lacks_rights: bool, used: Option<&str>) -> String {
    if lacks_rights {
        return "run it as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE: sudo pfrec doctor"
            .to_owned();
    }
    let needs = match backend {
        "fentry" => "a kernel with CONFIG_FUNCTION_TRACER and CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
        "kprobe" => "a kernel with CONFIG_KPROBES and CONFIG_KPROBE_EVENTS",
        _ => "a kernel with CONFIG_PERF_EVENTS and CONFIG_BPF_EVENTS",
    };
    match used {
        Some(used) => {
            format!("nothing to do: {used} works; {backend} would need {needs}, and a host that permits it")
        }
        None => format!(
            "it needs {needs}, and a host that permits it: some virtual machines and sandboxes do not"
        ),
    }
}

fn findings() -> [Finding; 9] {
    [
        present(
            "BTF",
            BTF,
            State::Missing,
            "use a kernel built with CONFIG_DEBUG_INFO_BTF=y; most distributions provide one",
        ),
        capabilities(),
        paranoid(),
        lockdown(),
        namespace(),
        tracepoints(),
        present(
            "software events",
            SOFTWARE_EVENTS,
            State::Missing,
            "use a kernel with CONFIG_PERF_EVENTS=y, and mount /sys",
        ),
        queries(),
        kernel_symbols(),
    ]
}

fn present(what: &'static str, path: &str, otherwise: State, advice: &str) -> Finding {
    if Path::new(path).exists() {
        return Finding {
            what,
            state: State::Works,
            detail: path.to_owned(),
        };
    }
    Finding {
        what,
        state: otherwise,
        detail: format!("no {path}: {advice}"),
    }
}

/// Needed capabilities that pfrec does not have.
#[must_use]
pub fn lacking() -> Vec<&'static str> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    let missing = NEEDED.iter().filter(|(_, bit)| effective >> bit & 1 == 0);
    missing.map(|(name, _)| *name).collect()
}

fn capabilities() -> Finding {
    let what = "capabilities";
    let missing = lacking();
    if missing.is_empty() {
        return Finding {
            what,
            state: State::Works,
            detail: "all that pfrec needs".to_owned(),
        };
    }
    let detail = format!("missing {}: run pfrec as root (sudo)", missing.join(", "));
    Finding {
        what,
        state: State::Missing,
        detail,
    }
}

fn paranoid() -> Finding {
    let level = fs::read_to_string(PARANOID).unwrap_or_default();
    let detail = match level.trim().parse::<i32>() {
        Ok(level) if level > 2 => format!("{level}: perf events need CAP_SYS_ADMIN here"),
        Ok(level) => format!("{level}: perf events need CAP_PERFMON here"),
        Err(_) => format!("unknown: {PARANOID} cannot be read"),
    };
    Finding {
        what: "perf_event_paranoid",
        state: State::Note,
        detail,
    }
}

fn namespace() -> Finding {
    let (state, detail) = if host::in_root_pid_namespace() {
        (State::Works, "that of the host")
    } else {
        (
            State::Missing,
            "a container: process ids differ from those of the kernel; run pfrec on the host",
        )
    };
    Finding {
        what: "pid namespace",
        state,
        detail: detail.to_owned(),
    }
}

fn lockdown() -> Finding {
    let (state, detail) = match fs::read_to_string(LOCKDOWN) {
        Err(_) => (State::Works, "none, or not visible here".to_owned()),
        Ok(text) if text.contains("[confidentiality]") => (
            State::Missing,
            "confidentiality: BPF may not read kernel memory; boot with lockdown=integrity or none"
                .to_owned(),
        ),
        Ok(text) => (State::Works, text.trim().to_owned()),
    };
    Finding {
        what: "lockdown",
        state,
        detail,
    }
}

/// A probe on pfrec's own `main`.
fn queries() -> Finding {
    let attempt = || -> Result<(), String> {
        let own = "func:/proc/self/exe:main".parse()?;
        let resolved = queries::resolve(&[own], &[], &|_| true, queries::Patience::new())
            .map_err(|e| format!("{e:#}"))?;
        let tried = resolved.probes.iter().try_for_each(try_query);
        tried.map_err(|e| with_causes(&e))
    };
    let (state, detail) = match attempt() {
        Ok(()) => (State::Works, "probes in user code work (--query)".to_owned()),
        Err(why) => (State::Note, format!("--query does not work: {why}")),
    };
    Finding {
        what: "uprobes",
        state,
        detail,
    }
}

/// What `--causes` tells waits by.
fn kernel_symbols() -> Finding {
    let (state, detail) = if kernel::is_shown() {
        (
            State::Works,
            "/proc/kallsyms names the functions that faults wait in (--causes)",
        )
    } else {
        (
            State::Note,
            "/proc/kallsyms hides where functions are (kernel.kptr_restrict): --causes cannot name them",
        )
    };
    Finding {
        what: "kernel symbols",
        state,
        detail: detail.to_owned(),
    }
}

/// The kernel's type information names the tracepoints that BPF may attach to.
fn tracepoints() -> Finding {
    let wanted = b"\0btf_trace_page_fault_user\0";
    let types = fs::read(BTF).unwrap_or_default();
    let (state, detail) = if types.windows(wanted.len()).any(|window| window == wanted) {
        (State::Works, "page_fault_user, page_fault_kernel")
    } else {
        (
            State::Note,
            "none for page faults: the software event is used instead, and the access type is unknown",
        )
    };
    Finding {
        what: "tracepoints",
        state,
        detail: detail.to_owned(),
    }
}

fn with_causes(error: &ProbeError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_backend_that_does_not_work_comes_with_what_to_do() {
        assert!(remedy("fentry", true, None).contains("sudo pfrec doctor"));
        let unused = remedy("fentry", false, Some("perf"));
        assert!(unused.starts_with("nothing to do: perf works") && unused.contains("DIRECT_CALLS"));
        for (backend, option) in [
            ("fentry", "CONFIG_FUNCTION_TRACER"),
            ("perf", "CONFIG_PERF_EVENTS"),
            ("kprobe", "CONFIG_KPROBES"),
        ] {
            assert!(remedy(backend, false, None).contains(option), "{backend}");
        }
    }
}
