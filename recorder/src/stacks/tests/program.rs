//! A C program that says where it is and waits.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use pf_formats::ObjectId;

use crate::{
    files::mapped_file::MappedFile,
    pipeline::sideband::Map,
    session::proc,
    stacks::{Memory, Place},
};

/// `innermost` does not return, so that the call of it may be the last instruction of `middle`, and its
/// return address the first one of `after`.
const SOURCE: &str = r#"
#include <stdio.h>
#include <unistd.h>

void cpp_name(void) __asm__("_ZN5outer5innerEi");
void cpp_name(void) {}

__attribute__((noinline, noreturn)) void innermost(void) {
    void **frame = __builtin_frame_address(0);
    void **above = (void **)frame[0];
    printf("%p %p %p %p\n", (void *)innermost, frame[1], above[1], (void *)cpp_name);
    fflush(stdout);
    for (;;)
        pause();
}
static inline __attribute__((always_inline)) void inlined(void) {
    innermost();
}
__attribute__((noinline)) void middle(void) {
    inlined();
}
__attribute__((noinline)) int after(void) {
    return 1;
}
int main(void) {
    middle();
    return after();
}
"#;

/// The program, running until it is dropped.
pub struct Program {
    directory: tempfile::TempDir,
    child: Child,
    /// `innermost`, its return address in `middle`, that in `main`; and `outer::inner(int)`.
    pub addresses: [u64; 4],
    /// Its mappings.
    pub maps: Vec<Map>,
}

impl Program {
    /// Compiles it with `options` and starts it.
    pub fn start(options: &[&str]) -> Self {
        Self::start_after(options, |_| {})
    }

    /// The same with something done to the binary in between.
    pub fn start_after(options: &[&str], change: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("program.c");
        fs::write(&source, SOURCE).unwrap();
        let compiled = Command::new("cc")
            .args(["-O0", "-fno-omit-frame-pointer", "-Wl,--build-id=sha1"])
            .args(options)
            .arg("-o")
            .args([directory.path().join("program"), source])
            .status();
        assert!(compiled.unwrap().success());
        let path = directory.path().join("program");
        change(&path);
        Self::run(directory, Command::new(path))
    }

    /// Compiles it and starts it in a mount namespace of its own, in which its file is on an overlay that
    /// nobody else sees.
    pub fn start_in_container() -> Self {
        let mut compiled = Self::start(&["-g"]);
        compiled.end();
        let mount = "mkdir lower upper work merged && mv program lower && mount -t tmpfs none upper &&
            mkdir upper/upper upper/work &&
            mount -t overlay -o lowerdir=lower,upperdir=upper/upper,workdir=upper/work none merged &&
            exec \"$PWD\"/merged/program";
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", mount])
            .current_dir(compiled.directory.path());
        let directory = std::mem::replace(&mut compiled.directory, tempfile::tempdir().unwrap());
        Self::run(directory, command)
    }

    fn run(directory: tempfile::TempDir, mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut said).unwrap();
        let words = said.split_whitespace();
        let addresses: Vec<u64> = words
            .map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap())
            .collect();
        Self {
            maps: proc::maps(child.id()).unwrap(),
            addresses: addresses.try_into().unwrap(),
            directory,
            child,
        }
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its binary.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("program")
    }

    /// Where one of its addresses is; its binary is object 1.
    pub fn locate(&self, address: u64) -> Option<Place<'_>> {
        locate(&self.maps, &self.path(), address)
    }

    /// Ends the process.
    pub fn end(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Where an address is in a process with these mappings; `main` is object 1, everything else 2.
pub fn locate<'a>(maps: &'a [Map], main: &Path, address: u64) -> Option<Place<'a>> {
    let map = maps
        .iter()
        .find(|map| map.start <= address && address - map.start < map.len)?;
    let (memory, offset) = if map.path.starts_with('/') {
        let file = MappedFile {
            path: map.path.trim_end_matches(" (deleted)"),
            start: map.start,
            end: map.start + map.len,
            device: map.device,
            inode: map.inode,
        };
        (Memory::File(file), address - map.start + map.offset)
    } else if map.path == "[vdso]" {
        (Memory::Vdso { start: map.start }, address)
    } else {
        (Memory::Anonymous, address)
    };
    Some(Place {
        object: ObjectId(if Path::new(&map.path) == main { 1 } else { 2 }),
        offset,
        memory,
    })
}
