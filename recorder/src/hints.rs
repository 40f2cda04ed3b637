//! What to do next about an error.

use std::{io, path::Path};

use nix::errno::Errno;
use pf_bpf::ProbeError;
use pf_notation::usage::command_line;

use crate::target::launch::LaunchError;

/// A line to print under the error, where there is something to say.
#[must_use]
pub fn hint(error: &anyhow::Error) -> Option<String> {
    if is_file_limit(error) {
        return Some(
            "pfrec needs up to ten open files for each CPU and 120 others: try ulimit -n 1024".to_owned(),
        );
    }
    if let Some(probe) = find::<ProbeError>(error) {
        if probe.is_permission() {
            return Some(format!(
                "loading probes needs root, or CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE: try: sudo {}",
                command_line()
            ));
        }
        if !Path::new("/sys/kernel/btf/vmlinux").exists() {
            return Some(
                "this kernel has no BTF: pfrec needs one built with CONFIG_DEBUG_INFO_BTF=y".to_owned(),
            );
        }
        return Some("pfrec doctor shows what this kernel allows, and why".to_owned());
    }
    if let Some(launch) = find::<LaunchError>(error) {
        return Some(match launch {
            LaunchError::NotFound(name) if name.contains('/') => {
                "is the path right, and that of its #! interpreter?".to_owned()
            }
            LaunchError::NotFound(_) => {
                "is it installed? under sudo PATH is that of root: give the full path".to_owned()
            }
            LaunchError::NotExecutable { .. } => {
                "is it a program, and may the user who runs it execute it?".to_owned()
            }
        });
    }
    (find::<io::Error>(error)?.kind() == io::ErrorKind::PermissionDenied).then(|| {
        "the trace is created with the rights of the user who called sudo: choose a directory of theirs"
            .to_owned()
    })
}

/// Whether no more files can be open, wherever that was met. The kernel and libbpf give other errors for it, too.
fn is_file_limit(error: &anyhow::Error) -> bool {
    find::<ProbeError>(error).is_some_and(|probe| probe.is_file_limit() || pf_bpf::files_are_few())
        || find::<Errno>(error) == Some(&Errno::EMFILE)
        || find::<io::Error>(error).is_some_and(|e| e.raw_os_error() == Some(libc::EMFILE))
}

fn find<E: std::error::Error + Send + Sync + 'static>(error: &anyhow::Error) -> Option<&E> {
    error.chain().find_map(|cause| cause.downcast_ref())
}
