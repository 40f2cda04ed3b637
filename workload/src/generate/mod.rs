//! `data-generator`: files whose content is known, whole or not at all.
//!
//! [`content`] owns the bytes, [`pages`] the numbered pages, `target` the way to the final name,
//! [`verify`] the check of a file of numbered pages, `progress` what people see meanwhile.

pub mod cli;
pub mod content;
pub mod pages;
mod progress;
mod target;
pub mod verify;

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result, bail};

use crate::cleanup::Cleanup;
use crate::disk;
use crate::process::say;
use cli::{Kind, Recipe, Task};
use target::Target;

/// Does what the command line asks for.
pub fn run(task: &Task) -> Result<()> {
    match task {
        Task::Generate(recipe) => generate(recipe),
        Task::Verify(path) => {
            let name = path.display();
            let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
            let length = file
                .metadata()
                .with_context(|| format!("cannot stat {name}"))?
                .len();
            let bar = progress::bar(length, "checked");
            let checked = verify::check(file, |bytes| bar.inc(bytes));
            bar.finish_and_clear();
            let page_count = checked.with_context(|| format!("the check of {name} failed"))?;
            say(format_args!("{name}: all {page_count} pages are correct"));
            Ok(())
        }
    }
}

fn generate(recipe: &Recipe) -> Result<()> {
    let name = recipe.path.display();
    let target = Target::new(&recipe.path, recipe.force)?;
    disk::require_space(
        target.directory(),
        content::stored_bytes(recipe.kind, recipe.size_bytes),
    )?;
    // Without a handler, the limit on file sizes kills the process, and half a file stays.
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default())
        .context("cannot handle SIGXFSZ")?;
    let cleanup = Cleanup::watch().context("cannot watch for signals")?;
    let (mut file, doomed) = target.create_partial(&cleanup)?;
    let bar = progress::bar(recipe.size_bytes, "written");
    let written = content::write(&mut file, recipe.kind, recipe.size_bytes, recipe.seed, |bytes| {
        bar.inc(bytes);
    })
    .and_then(|()| file.sync_all());
    bar.finish_and_clear();
    written.with_context(|| format!("cannot write {name}; the incomplete file was removed"))?;
    let made = file.metadata().with_context(|| format!("cannot stat {name}"))?;
    if made.len() != recipe.size_bytes {
        bail!(
            "{name} has {} bytes instead of {}, and was removed",
            made.len(),
            recipe.size_bytes
        );
    }
    target.publish(doomed)?;
    let on_disk_bytes = made.blocks().saturating_mul(512);
    say(format_args!(
        "{name}: {} bytes, {on_disk_bytes} of them on disk, {}",
        made.len(),
        describe(recipe)
    ));
    Ok(())
}

fn describe(recipe: &Recipe) -> String {
    match recipe.kind {
        Kind::Random => format!("incompressible, seed {}", recipe.seed),
        Kind::Sequential => "numbered pages (check them with --verify)".to_owned(),
        Kind::Sparse => format!("holes between islands, seed {}", recipe.seed),
    }
}
