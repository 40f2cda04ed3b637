//! `pfrec doctor`: what this kernel and these privileges allow, which backend would be used, and what
//! to do about what fails.

use std::{fs, path::Path};

use nix::sys::utsname::uname;
use pf_bpf::{Attempt, survey};

/// One line of the report.
struct Finding {
    what: &'static str,
    state: State,
    detail: String,
}

enum State {
    Works,
    Missing,
    Note,
}

/// Prints the report on standard output. Returns whether recording would work.
pub fn run() -> bool {
    let kernel = uname().map(|name| format!("{} {}", name.release().display(), name.machine().display()));
    println!("kernel {}", kernel.unwrap_or_else(|_| "unknown".to_owned()));
    for finding in findings() {
        println!(
            "{:4}  {:22} {}",
            mark(&finding.state),
            finding.what,
            finding.detail
        );
    }
    println!("\nbackends, best first:");
    let attempts = survey();
    attempts.iter().for_each(print_attempt);
    println!("not tried: fentry, kprobe (not in this version of pfrec)");
    let chosen = attempts.iter().find(|attempt| attempt.outcome.is_ok());
    match chosen {
        Some(attempt) => {
            println!(
                "\npfrec would use: {}, entry by {}",
                attempt.backend, attempt.entry
            );
            println!("it cannot see: {}", attempt.blind.join("; "));
        }
        None => println!("\npfrec cannot record here: see the lines above"),
    }
    chosen.is_some()
}

fn mark(state: &State) -> &'static str {
    match state {
        State::Works => "ok",
        State::Missing => "NO",
        State::Note => "-",
    }
}

fn print_attempt(attempt: &Attempt) {
    match &attempt.outcome {
        Ok(()) => println!("ok    {} (entry: {})", attempt.backend, attempt.entry),
        Err(e) => {
            println!("NO    {} (entry: {}): {e}", attempt.backend, attempt.entry);
            if e.is_permission() {
                println!(
                    "      run it as root, or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE: sudo pfrec doctor"
                );
            }
        }
    }
}

fn findings() -> Vec<Finding> {
    vec![
        present(
            "BTF",
            "/sys/kernel/btf/vmlinux",
            "needed: use a kernel with CONFIG_DEBUG_INFO_BTF=y (all current distributions)",
        ),
        capabilities(),
        paranoid(),
        lockdown(),
        symbol(
            "tracepoints",
            "__tracepoint_page_fault_user",
            "page_fault_user, page_fault_kernel",
            "the page-faults software event is used instead; the access type stays unknown",
        ),
        present(
            "software events",
            "/sys/bus/event_source/devices/software",
            "needed: use a kernel with CONFIG_PERF_EVENTS=y",
        ),
        symbol(
            "fentry",
            "bpf_trampoline_link_prog",
            "trampolines are compiled in",
            "not needed by the perf backend",
        ),
        symbol(
            "kprobes",
            "register_kprobe",
            "compiled in",
            "not needed by the perf backend",
        ),
        present(
            "uprobes",
            "/sys/bus/event_source/devices/uprobe",
            "not needed for recording page faults",
        ),
    ]
}

fn finding(what: &'static str, works: bool, yes: &str, no: &str) -> Finding {
    let state = match (works, no.starts_with("not needed") || no.contains("instead")) {
        (true, _) => State::Works,
        (false, true) => State::Note,
        (false, false) => State::Missing,
    };
    Finding {
        what,
        state,
        detail: if works {
            yes.to_owned()
        } else {
            format!("missing; {no}")
        },
    }
}

fn present(what: &'static str, path: &str, advice: &str) -> Finding {
    finding(what, Path::new(path).exists(), path, advice)
}

fn symbol(what: &'static str, name: &str, yes: &str, no: &str) -> Finding {
    let Ok(symbols) = fs::read_to_string("/proc/kallsyms") else {
        return Finding {
            what,
            state: State::Note,
            detail: "unknown: /proc/kallsyms cannot be read".to_owned(),
        };
    };
    let found = symbols
        .lines()
        .any(|line| line.split_ascii_whitespace().nth(2) == Some(name));
    finding(what, found, yes, no)
}

/// Bits of linux/capability.h.
const NEEDED: [(&str, u32); 4] = [
    ("CAP_SYS_PTRACE", 19),
    ("CAP_SYS_ADMIN", 21),
    ("CAP_PERFMON", 38),
    ("CAP_BPF", 39),
];

fn capabilities() -> Finding {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    let has = |bit: u32| effective >> bit & 1 == 1;
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(_, bit)| !has(*bit))
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return Finding {
            what: "capabilities",
            state: State::Works,
            detail: "all that pfrec needs".to_owned(),
        };
    }
    let detail = format!("missing {}; run it as root: sudo pfrec …", missing.join(", "));
    Finding {
        what: "capabilities",
        state: State::Missing,
        detail,
    }
}

fn paranoid() -> Finding {
    let level = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    let detail = match level.trim().parse::<i32>() {
        Ok(level) if level > 2 => format!("{level}: perf events need CAP_SYS_ADMIN here"),
        Ok(level) => format!("{level}: perf events need CAP_PERFMON here"),
        Err(_) => "unknown".to_owned(),
    };
    Finding {
        what: "perf_event_paranoid",
        state: State::Note,
        detail,
    }
}

fn lockdown() -> Finding {
    let (state, detail) = match fs::read_to_string("/sys/kernel/security/lockdown") {
        Err(_) => (
            State::Works,
            "none (not in this kernel, or securityfs is not mounted)".to_owned(),
        ),
        Ok(text) if text.contains("[none]") => (State::Works, "none".to_owned()),
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
