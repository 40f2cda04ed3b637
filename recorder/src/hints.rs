//! What to do next about an error.

use std::{io, path::Path};

use nix::errno::Errno;
use pf_bpf::ProbeError;
use pf_notation::{shell::shell_word, usage::command_line};

use crate::target::launch::LaunchError;

/// A line to print under the error, where there is something to say.
#[must_use]
pub fn hint(error: &anyhow::Error) -> Option<String> {
    if is_file_limit(error) {
        return Some("pfrec needs up to 10 open files per CPU and 120 others: try ulimit -n 1024".to_owned());
    }
    if let Some(probe) = find::<ProbeError>(error) {
        if probe.is_permission() && crate::doctor::lacking().is_empty() {
            return Some(
                "pfrec has all the rights that it needs, so this kernel or its host does not permit this backend: pfrec doctor \
                 shows which ones work; without --backend the best of them is used"
                    .to_owned(),
            );
        }
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
        if probe.is_memory_limit() {
            return Some(
                "the buffers between the kernel and pfrec do not fit: choose smaller ones with --buffer-size, or raise the \
                 memory limit of the cgroup that pfrec runs in"
                    .to_owned(),
            );
        }
        return Some(
            "pfrec doctor reports which backends this kernel supports, and how to fix what is missing"
                .to_owned(),
        );
    }
    if let Some(launch) = find::<LaunchError>(error) {
        return Some(match launch {
            LaunchError::NotFound(name) if name.contains('/') => {
                "check the path, and the path of the interpreter in its #! line".to_owned()
            }
            LaunchError::NotFound(_) => {
                "check that it is installed; sudo uses the PATH of root: give the full path".to_owned()
            }
            LaunchError::NotExecutable { command, source } => not_executable(command, source),
        });
    }
    // What an option names is not the trace.
    let is_of_option = error.chain().any(|cause| cause.to_string().starts_with("--"));
    let is_denied = find::<io::Error>(error)?.kind() == io::ErrorKind::PermissionDenied;
    (is_denied && !is_of_option).then(|| {
        "the trace is created with the rights of the user who called sudo: choose a directory that this user may write to"
            .to_owned()
    })
}

/// Why a file that is there cannot be executed.
fn not_executable(command: &str, source: &io::Error) -> String {
    if Path::new(command).is_dir() {
        return "it is a directory: name a program in it".to_owned();
    }
    match source.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOEXEC) => format!(
            "it is neither a program for this machine nor a script that begins with #!: write #!/bin/sh, or its interpreter, in \
             its first line, or name the interpreter: sh {}",
            shell_word(command.as_ref())
        ),
        Some(Errno::EACCES) => format!(
            "the user who runs it may not execute it: chmod +x {}, unless its file system is mounted with noexec or one of its \
             directories is closed to that user",
            shell_word(command.as_ref())
        ),
        Some(Errno::ETXTBSY) => "a process has it open for writing: wait until it is closed".to_owned(),
        _ => "check that it is a program, and that the user who runs it may execute it".to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_executed_is_told_why() {
        let told = |errno: Errno, command: &str| {
            let source = io::Error::from(errno);
            let command = command.to_owned();
            hint(&LaunchError::NotExecutable { command, source }.into()).unwrap_or_default()
        };
        let script = told(Errno::ENOEXEC, "./my script");
        assert!(
            script.contains("#!") && script.ends_with("sh './my script'"),
            "{script}"
        );
        assert!(told(Errno::EACCES, "./x").contains("chmod +x ./x"));
        assert!(told(Errno::EACCES, "/").contains("directory"));
    }
}
