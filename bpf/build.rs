//! Compiles the BPF programs and generates their skeleton into `OUT_DIR`.

use std::{env, path::PathBuf};

use libbpf_cargo::SkeletonBuilder;

const SOURCE: &str = "src/bpf/pfrec.bpf.c";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=src/bpf");
    let out = PathBuf::from(env::var("OUT_DIR")?).join("pfrec.skel.rs");
    let arch = env::var("CARGO_CFG_TARGET_ARCH")?;
    SkeletonBuilder::new()
        .source(SOURCE)
        // Debian and Ubuntu keep asm/ per architecture; elsewhere the folder does not exist and is ignored.
        .clang_args([
            "-Wall",
            "-Werror",
            "-mcpu=v3",
            &format!("-I/usr/include/{arch}-linux-gnu"),
        ])
        .build_and_generate(&out)
        .map_err(|e| {
            format!(
                "{e:#}\nhint: pf-bpf needs clang, libelf and zlib headers: run scripts/setup_environment.sh"
            )
        })?;
    Ok(())
}
