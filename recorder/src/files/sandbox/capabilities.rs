//! capget(2) and capset(2), which libc has no functions for.

use std::io;

const VERSION_3: u32 = 0x2008_0522;
const DAC_READ_SEARCH: u32 = 1 << 2;

#[derive(Clone, Copy)]
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// Of the calling thread.
const HEADER: Header = Header {
    version: VERSION_3,
    pid: 0,
};

#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Drops every capability but that to read any file, which stays if it was there.
pub fn keep_only_reading() -> io::Result<()> {
    let kept = permitted()? & DAC_READ_SEARCH;
    let mut header = HEADER;
    let mut sets = [Sets::default(); 2];
    sets[0].permitted = kept;
    sets[0].effective = kept;
    // SAFETY: version 3 reads exactly two sets; both pointers are valid for the call.
    let rc = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) };
    if rc != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The first 32 of the capabilities that this thread may use.
pub fn permitted() -> io::Result<u32> {
    let mut header = HEADER;
    let mut sets = [Sets::default(); 2];
    // SAFETY: version 3 fills exactly two sets; both pointers are valid for the call.
    let rc = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) };
    if rc != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(sets[0].permitted)
}
