//! Writes the inputs that fuzzing the recorder starts from: `elf_fuzz_seeds DIR` makes one folder for each target in it.

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

// Where the modules of the recorder look for each other.
use fuzz::{files, queries, stacks, targets::seeds};

fn main() -> std::io::Result<()> {
    let dir = std::env::args_os()
        .nth(1)
        .ok_or_else(|| std::io::Error::other("usage: elf_fuzz_seeds DIR"))?;
    for (name, seeds) in [("elf", seeds::elf()), ("names", seeds::names())] {
        let dir = std::path::Path::new(&dir).join(name);
        std::fs::create_dir_all(&dir)?;
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(dir.join(format!("seed-{number:03}")), seed)?;
        }
    }
    Ok(())
}
