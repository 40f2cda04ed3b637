//! Man pages and shell completions of our programs, made from their command lines, so that they cannot drift. Each program
//! writes its own with `PROGRAM --manuals PREFIX`, laid out as distributions install them; `scripts/manuals.sh` asks all.

pub mod check;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The option, for packagers: it stands alone, and help does not show it.
const OPTION: &str = "--manuals";
/// Where man pages go, below the prefix.
pub const PAGES: &str = "share/man/man1";

/// Does what `PROGRAM --manuals PREFIX` asks for, and gives the status to exit with; `None` for any other command line.
#[must_use]
pub fn answer<C: CommandFactory>() -> Option<ExitCode> {
    let prefix = asked(env::args_os().skip(1))?;
    let done = write(&C::command(), &prefix).and_then(|written| {
        // The prefix can be anything.
        let mut out = pf_printing::data_out();
        written
            .iter()
            .try_for_each(|path| writeln!(out, "{}", path.display()))?;
        out.flush()
    });
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            pf_printing::say(format_args!("error: manuals cannot be written: {error}"));
            ExitCode::FAILURE
        }
    })
}

fn asked(mut arguments: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    let option = arguments.next()?;
    let prefix = arguments.next()?;
    (option == OPTION && arguments.next().is_none()).then(|| prefix.into())
}

/// Writes the pages of `command` and its verbs, and completions for bash, zsh and fish, under `prefix`. Returns their paths.
///
/// # Errors
/// When a folder or file cannot be written.
pub fn write(command: &Command, prefix: &Path) -> io::Result<Vec<PathBuf>> {
    let name = command.get_name();
    let mut written = Vec::new();
    for (shell, folder, file) in [
        (Shell::Bash, "share/bash-completion/completions", name.to_owned()),
        (Shell::Zsh, "share/zsh/site-functions", format!("_{name}")),
        (
            Shell::Fish,
            "share/fish/vendor_completions.d",
            format!("{name}.fish"),
        ),
    ] {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command.clone(), name, &mut script);
        put(&prefix.join(folder), &file, &script, &mut written)?;
    }
    // No page for `help`, which every verb has as an option.
    let mut built = command.clone().disable_help_subcommand(true);
    built.build();
    for page in std::iter::once(&built).chain(built.get_subcommands()) {
        if page.is_hide_set() {
            continue;
        }
        let title = page.get_display_name().unwrap_or(page.get_name()).to_owned();
        let mut text = Vec::new();
        clap_mangen::Man::new(page.clone().version(env!("CARGO_PKG_VERSION")))
            .title(title.as_str())
            .render(&mut text)?;
        put(&prefix.join(PAGES), &format!("{title}.1"), &text, &mut written)?;
    }
    Ok(written)
}

fn put(folder: &Path, file: &str, content: &[u8], written: &mut Vec<PathBuf>) -> io::Result<()> {
    let path = folder.join(file);
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    fs::create_dir_all(folder).map_err(named)?;
    fs::write(&path, content).map_err(named)?;
    written.push(path);
    Ok(())
}
