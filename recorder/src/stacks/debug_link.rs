//! Where a program says that its debug information is: a name in `.gnu_debuglink` is meant to be that of a file beside it,
//! and whoever made the program may have written anything.

use std::{
    ffi::OsStr,
    fs::{self, Metadata},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
};

use object::{
    Endianness, Object, ObjectSection,
    read::{ReadCache, ReadCacheOps, elf::ElfFile64},
};
use serde::{Deserialize, Serialize};

use crate::files::open::{self, Pinned};

/// Bytes of such a section that are looked at.
const SECTION: u64 = 4096;

/// What a file says.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Links {
    /// A bare name.
    pub beside: Option<String>,
    /// It has links that are more than that.
    pub lead_elsewhere: bool,
}

/// Reads the links of a file. Runs in the confined child.
pub fn links_of(file: &Pinned) -> Links {
    file.open().map(links_in).unwrap_or_default()
}

/// The same of one that is open.
pub fn links_in(contents: impl ReadCacheOps) -> Links {
    let mut links = Links::default();
    let contents = ReadCache::new(contents);
    let Ok(elf) = ElfFile64::<Endianness, _>::parse(&contents) else {
        return links;
    };
    let is_there = |name: &str| elf.section_by_name(name).is_some();
    links.lead_elsewhere = is_there(".gnu_debugaltlink") || is_there(".debug_sup");
    let section = elf
        .section_by_name(".gnu_debuglink")
        .filter(|section| section.size() <= SECTION);
    if let Some(data) = section.and_then(|section| section.data().ok()) {
        let name = data.split(|&byte| byte == 0).next().unwrap_or_default();
        match std::str::from_utf8(name) {
            Ok(name) if is_bare(name) => links.beside = Some(name.to_owned()),
            _ => links.lead_elsewhere = true,
        }
    }
    links
}

/// The file of that name in the folder of `file`. Through no link: the folder is that of whoever made the program. What is
/// seen of `file` in another mount namespace may have a path that leads elsewhere here.
pub fn beside(file: &Pinned, name: &str) -> Option<Pinned> {
    // The child said so, and is not to be trusted.
    if !is_bare(name) {
        return None;
    }
    let own = fs::read_link(file.path()).ok()?;
    let folder = open::folder_without_links(own.parent()?).ok()?;
    let number = |file: &Pinned| file.metadata().map(|of| (of.dev(), of.ino())).ok();
    let here = Pinned::in_folder(&folder, Path::new(own.file_name()?)).ok()?;
    if number(&here)? != number(file)? {
        return None;
    }
    let debug = Pinned::in_folder(&folder, Path::new(name)).ok()?;
    is_for_all(&debug.metadata().ok()?, &file.metadata().ok()?).then_some(debug)
}

/// Whoever made the program could read it, too. In a folder that is shared others have files of their own.
fn is_for_all(debug: &Metadata, program: &Metadata) -> bool {
    debug.uid() == program.uid() || debug.mode() & 0o004 != 0
}

/// It leads nowhere else.
pub fn is_bare(name: &str) -> bool {
    let path = Path::new(name);
    path.file_name().map(OsStr::as_bytes) == Some(name.as_bytes()) && !name.contains('\0')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{
        fs::Permissions,
        io::{BufRead, BufReader},
        os::unix::fs::{PermissionsExt, chown},
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn only_a_name_is_a_name() {
        assert!(is_bare("program.debug"));
        for other in [
            "",
            ".",
            "..",
            "/etc/shadow",
            "../x",
            "a/b",
            "/dev/zero",
            "x/",
            "a\0b",
        ] {
            assert!(!is_bare(other), "{other:?}");
        }
    }

    /// A program that another mount namespace has at a path is not what that path leads to here; what lies beside it here
    /// may be root's.
    #[test]
    #[ignore = "needs root"]
    fn what_lies_beside_another_program_of_that_path_is_not_found() {
        let (here, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (folder, text) in [(&here, "this"), (&elsewhere, "that")] {
            fs::write(folder.path().join("program"), text).unwrap();
            fs::write(folder.path().join("program.debug"), text).unwrap();
        }
        let program = here.path().join("program");
        let pinned = Pinned::by_path(&program).unwrap();
        assert!(beside(&pinned, "program.debug").is_some());
        // Of another owner, beside a program in a folder that they share.
        let debug = here.path().join("program.debug");
        chown(&program, Some(65534), None).unwrap();
        let is_found = |mode| {
            fs::set_permissions(&debug, Permissions::from_mode(mode)).unwrap();
            beside(&pinned, "program.debug").is_some()
        };
        assert_eq!([0o600, 0o660, 0o644].map(is_found), [false, false, true]);
        chown(&debug, Some(65534), None).unwrap();
        assert!(is_found(0o600) && is_found(0o644));

        let mut other = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg("mount --bind \"$0\" \"$1\" && echo mounted && exec sleep 60")
            .args([elsewhere.path(), here.path()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(other.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "mounted\n");
        let theirs = Pinned::in_root(open::root_of(other.id()).unwrap(), &program).unwrap();
        assert_eq!(fs::read_to_string(theirs.path()).unwrap(), "that");
        assert_eq!(fs::read_link(theirs.path()).unwrap(), program);
        assert!(beside(&theirs, "program.debug").is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
