//! What the trace says of the machine and of the recording itself.

use std::{env, fs, io, os::unix::fs::MetadataExt};

use anyhow::{Context, Result, bail, ensure};
use nix::{sys::utsname::uname, unistd};
use pf_formats::{Host, Meta};
use procfs::{Current, Meminfo};

use crate::{
    cli::{Options, Scope},
    stacks::kernel,
    target,
};

/// Describes this machine. What cannot be learnt stays empty or 0.
pub fn describe() -> Result<Host> {
    let name = uname().context("uname")?;
    let text = |value: &std::ffi::OsStr| value.to_string_lossy().into_owned();
    Ok(Host {
        hostname: text(name.nodename()),
        kernel: text(name.release()),
        arch: text(name.machine()),
        page_size: sysconf(unistd::SysconfVar::PAGE_SIZE).context("sysconf(_SC_PAGE_SIZE)")?,
        cpus: sysconf(unistd::SysconfVar::_NPROCESSORS_CONF).unwrap_or(0),
        memory_bytes: Meminfo::current().map_or(0, |meminfo| meminfo.mem_total),
    })
}

/// Describes the recording.
pub fn meta(options: &Options, host: Host, probes: &pf_bpf::Probes, start_ns: u64) -> Meta {
    let target = match &options.scope {
        Scope::Command => "command".to_owned(),
        Scope::Pids { pids, children } => {
            let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
            format!(
                "pids {}{}",
                pids.join(","),
                if *children { " and descendants" } else { "" }
            )
        }
        Scope::Cgroup(path) => format!("cgroup {}", path.display()),
        Scope::All => "all".to_owned(),
    };
    let command = options.command.iter().flatten();
    Meta {
        recorder: concat!("pfrec ", env!("CARGO_PKG_VERSION")).to_owned(),
        host,
        command: command
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect(),
        options: env::args_os()
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect(),
        target,
        backend: probes.backend().to_owned(),
        entry: probes.entry().name().to_owned(),
        blind: blind(options, probes),
        start_ns,
        filters: target::words(&options.filter),
        sample: options.filter.sample,
    }
}

/// What this recording cannot see, in words.
fn blind(options: &Options, probes: &pf_bpf::Probes) -> Vec<String> {
    let mut blind = probes.blind().to_vec();
    blind.extend(probes.blind_to_causes());
    if options.causes && !kernel::is_shown() {
        blind.push("functions of the kernel (with --causes)");
    }
    blind.into_iter().map(str::to_owned).collect()
}

/// The kernel numbers this namespace so (`PROC_PID_INIT_INO` in linux/proc_ns.h).
const ROOT_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Whether process ids mean the same to pfrec and to the probes.
#[must_use]
pub fn in_root_pid_namespace() -> bool {
    // Where /proc does not tell, there are no pid namespaces.
    fs::metadata("/proc/self/ns/pid").map_or(true, |meta| meta.ino() == ROOT_PID_NAMESPACE)
}

/// In a container, `-p 17` would record another process: the 17 of the host.
pub fn require_root_pid_namespace() -> Result<()> {
    if !in_root_pid_namespace() {
        bail!(
            "this is a container (a pid namespace), where process ids differ from those that the probes see: run pfrec on the host"
        );
    }
    Ok(())
}

/// A random id for the trace.
pub fn random_id() -> Result<[u8; 16]> {
    let mut id = [0; 16];
    // SAFETY: it writes no more than the bytes of `id`.
    let filled = unsafe { libc::getrandom(id.as_mut_ptr().cast(), id.len(), 0) };
    ensure!(
        filled == id.len().cast_signed(),
        "getrandom: {}",
        io::Error::last_os_error()
    );
    Ok(id)
}

fn sysconf(variable: unistd::SysconfVar) -> Option<u32> {
    unistd::sysconf(variable)
        .ok()
        .flatten()
        .and_then(|value| u32::try_from(value).ok())
}
