//! What the kernel keeps from a child for good: files by Landlock, system calls by seccomp. Of a kernel that has one of
//! them not, nothing is asked: the child has few rights besides.

use std::{collections::BTreeMap, fs, io, os::unix::ffi::OsStrExt, ptr, sync::OnceLock};

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use crate::files::open::Pinned;

/// Where distributions put what was stripped from their programs: it is theirs, and opened by name.
pub const DEBUG_FOLDERS: [&str; 2] = ["/usr/lib/debug", "/lib/debug"];

/// The newest one that is known here; older kernels keep what they can.
const NEWEST: ABI = ABI::V6;

/// What a parser needs, and what Rust and glibc do besides: memory, reading, time, and to end.
const CALLS: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_capget,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getcwd,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_pread64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
    libc::SYS_write,
    libc::SYS_writev,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
];

/// Whether this kernel keeps a child from all files but those that it is given.
pub fn keeps_paths() -> bool {
    static KEEPS: OnceLock<bool> = OnceLock::new();
    const VERSION: libc::c_uint = 1;
    *KEEPS.get_or_init(|| {
        // SAFETY: asks for the version only, for which there is nothing to point to.
        let version = unsafe {
            libc::syscall(
                libc::SYS_landlock_create_ruleset,
                ptr::null::<libc::c_void>(),
                0_usize,
                VERSION,
            )
        };
        version > 0
    })
}

/// From here on this process opens `files`, for reading, and debug information of the distribution.
pub fn enter(files: &[&Pinned]) -> io::Result<()> {
    if keeps_paths() {
        keep_files(files).map_err(io::Error::other)?;
    }
    let filter: BpfProgram = filter().and_then(TryInto::try_into).map_err(io::Error::other)?;
    match seccompiler::apply_filter(&filter) {
        // No seccomp in this kernel.
        Err(seccompiler::Error::Prctl(e) | seccompiler::Error::Seccomp(e))
            if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) =>
        {
            Ok(())
        }
        applied => applied.map_err(io::Error::other),
    }
}

fn keep_files(files: &[&Pinned]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .create()?;
    for file in files {
        // Memory of our own has no path that could be ruled about, and is not kept from anybody.
        if fs::read_link(file.path()).is_ok_and(|path| path.as_os_str().as_bytes().starts_with(b"/memfd:")) {
            continue;
        }
        rules = rules.add_rule(PathBeneath::new(&**file.handle(), AccessFs::ReadFile))?;
    }
    for folder in DEBUG_FOLDERS {
        // Where there is none, nothing is missing.
        if let Ok(folder) = PathFd::new(folder) {
            rules = rules.add_rule(PathBeneath::new(folder, AccessFs::ReadFile))?;
        }
    }
    match rules.restrict_self()?.ruleset {
        RulesetStatus::NotEnforced => Err("Landlock was there and is not".into()),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

fn filter() -> Result<SeccompFilter, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|call| (*call, Vec::new())).collect();
    // Nothing is written, created or cut.
    let changing = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_TMPFILE) as u64;
    let only_reads = |argument: u8| {
        let reads = SeccompCondition::new(argument, Dword, SeccompCmpOp::MaskedEq(changing), 0)?;
        SeccompRule::new(vec![reads]).map(|rule| vec![rule])
    };
    rules.insert(libc::SYS_openat, only_reads(2)?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, only_reads(1)?);
    // To end by abort().
    let own = SeccompCondition::new(0, Dword, SeccompCmpOp::Eq, u64::from(std::process::id()))?;
    rules.insert(libc::SYS_tgkill, vec![SeccompRule::new(vec![own])?]);
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
        arch,
    )
}
