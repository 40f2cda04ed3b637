//! Files that are named as the loader names them: `libsqlite3.so.0`.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// Where libraries are, besides LD_LIBRARY_PATH.
const FOLDERS: [&str; 8] = [
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
];

/// Names of all that could be meant by a bare one.
#[must_use]
pub fn all() -> Vec<String> {
    let entries = FOLDERS
        .iter()
        .filter_map(|folder| Path::new(folder).read_dir().ok());
    entries
        .flat_map(Iterator::flatten)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains(".so"))
        .collect()
}

/// The file `path` means: a path as it is; a bare name in the working directory, on PATH, or among the libraries,
/// where `libfoo` and `libfoo.so` also stand for their newest version.
#[must_use]
pub fn find(path: &Path) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path.to_owned());
    }
    if path.components().count() != 1 {
        return None;
    }
    let split = |name: &str| -> Vec<PathBuf> {
        env::var_os(name).map_or_else(Vec::new, |value| env::split_paths(&value).collect())
    };
    let folders = split("LD_LIBRARY_PATH")
        .into_iter()
        .chain(FOLDERS.map(PathBuf::from))
        .chain(split("PATH"));
    folders.into_iter().find_map(|folder| {
        let exact = folder.join(path);
        if exact.is_file() {
            return Some(exact);
        }
        newest(&folder, path.as_os_str())
    })
}

fn newest(folder: &Path, name: &OsStr) -> Option<PathBuf> {
    let name = name.to_str().filter(|name| name.starts_with("lib"))?;
    let stem = if name.contains(".so") {
        name.to_owned()
    } else {
        format!("{name}.so")
    };
    let versions = folder.read_dir().ok()?.filter_map(|entry| {
        let path = entry.ok()?.path();
        let found = path.file_name()?.to_str()?;
        (found == stem || found.strip_prefix(&stem)?.starts_with('.')).then(|| path.clone())
    });
    versions.filter(|path| path.is_file()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_found_by_its_bare_name() {
        for name in ["libc.so.6", "libc"] {
            let found = find(Path::new(name));
            assert!(found.is_some_and(|path| path.is_absolute()), "{name}");
        }
        assert_eq!(find(Path::new("/no/such/file")), None);
        assert_eq!(find(Path::new("libnosuchthing")), None);
    }
}
