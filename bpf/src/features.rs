//! What this kernel's BPF has, asked by trial and from its type information, never by version.

use std::ptr;

use libbpf_rs::{
    btf::{
        Btf,
        types::{Enum, Typedef},
    },
    libbpf_sys,
};

use crate::ProbeError;

/// What the kernel has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Features {
    /// Task storage in tracing programs (5.12).
    pub(crate) task_storage: bool,
    /// `bpf_task_pt_regs` (5.15).
    pub(crate) task_pt_regs: bool,
    /// `bpf_find_vma` (5.17) and a tracepoint that tells when mappings change.
    pub(crate) find_vma: bool,
    /// `bpf_get_attach_cookie` (5.15): tells which query probe was met.
    pub(crate) attach_cookie: bool,
}

impl Features {
    pub(crate) fn of_this_kernel() -> Self {
        Self {
            task_storage: has_helper(libbpf_sys::BPF_FUNC_task_storage_get),
            attach_cookie: has_helper(libbpf_sys::BPF_FUNC_get_attach_cookie),
            task_pt_regs: has_helper(libbpf_sys::BPF_FUNC_task_pt_regs),
            find_vma: has_helper(libbpf_sys::BPF_FUNC_find_vma)
                && kernel_types().is_ok_and(|types| has_tracepoint(&types, "mmap_lock_acquire_returned")),
        }
    }
}

/// Whether this kernel can tell in which query a thread is: from 5.15 on.
#[must_use]
pub fn can_tell_queries() -> bool {
    let features = Features::of_this_kernel();
    features.task_storage && features.attach_cookie
}

fn has_helper(helper: libbpf_sys::bpf_func_id) -> bool {
    // SAFETY: loads and closes a two-instruction program; no options are passed.
    let rc = unsafe {
        libbpf_sys::libbpf_probe_bpf_helper(libbpf_sys::BPF_PROG_TYPE_PERF_EVENT, helper, ptr::null())
    };
    rc == 1
}

/// Whether the kernel has a tracepoint, by its type information.
pub(crate) fn has_tracepoint(btf: &Btf<'_>, name: &str) -> bool {
    btf.type_by_name::<Typedef<'_>>(&format!("btf_trace_{name}"))
        .is_some()
}

/// The number of a cgroup controller in this kernel, such as that of `memory`.
pub(crate) fn cgroup_subsystem(controller: &str) -> Result<u32, ProbeError> {
    let wanted = format!("{controller}_cgrp_id");
    let unknown = || ProbeError::Config(format!("this kernel has no cgroup controller {controller:?}"));
    let btf = kernel_types()?;
    let all: Enum<'_> = btf.type_by_name("cgroup_subsys_id").ok_or_else(unknown)?;
    let found = all
        .iter()
        .find(|member| member.name.is_some_and(|name| name == wanted.as_str()));
    found
        .and_then(|member| u32::try_from(member.value).ok())
        .ok_or_else(unknown)
}

/// The kernel's type information.
pub(crate) fn kernel_types() -> Result<Btf<'static>, ProbeError> {
    Btf::from_vmlinux().map_err(ProbeError::Types)
}
