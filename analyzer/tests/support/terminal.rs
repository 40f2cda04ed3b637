//! What a program shows on a terminal of a given width.

use nix::pty::{Winsize, openpty};
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Command;

/// What `command` shows on the terminal that `connect` gives to it, and what it says on standard error, if that is a pipe.
pub fn shown(
    mut command: Command,
    columns: u16,
    connect: impl Fn(&mut Command, OwnedFd),
) -> (String, String) {
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(Some(&size), None).unwrap();
    connect(&mut command, pty.slave);
    let child = command.spawn().unwrap();
    // It has a copy of the terminal, whose end is not seen before that is gone.
    drop(command);
    let mut shown = Vec::new();
    let mut piece = [0; 4096];
    let mut master = fs::File::from(pty.master);
    while let Ok(len) = master.read(&mut piece) {
        if len == 0 {
            break;
        }
        shown.extend_from_slice(&piece[..len]);
    }
    let output = child.wait_with_output().unwrap();
    // The terminal's own line ends.
    let shown = String::from_utf8(shown).unwrap().replace("\r\n", "\n");
    (shown, String::from_utf8(output.stderr).unwrap())
}
