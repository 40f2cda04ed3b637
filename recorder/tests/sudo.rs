//! Started through sudo, pfrec serves the user who called sudo. sudo is stood in for by what it does: a
//! process of root with SUDO_UID, SUDO_GID and SUDO_USER in its environment. The real one would need a rule
//! that lets an ordinary user become root without a password, which a test must not add.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    process::Command,
};

use common::{NOBODY, disk_folder, folder_of_nobody, pfrec, process::run, text};

fn through_sudo(arguments: &[&str]) -> Command {
    let mut command = pfrec(arguments);
    command
        .env("SUDO_UID", NOBODY.to_string())
        .env("SUDO_GID", NOBODY.to_string())
        .env("SUDO_USER", "nobody")
        .env("HOME", "/root")
        .current_dir("/");
    command
}

/// HOME and name of the user as the user database has them.
fn home_and_name() -> (String, String) {
    let user = nix::unistd::User::from_uid(NOBODY.into())
        .unwrap()
        .expect("nobody");
    (user.dir.display().to_string(), user.name)
}

#[test]
#[ignore = "needs root"]
fn the_command_runs_as_the_user_who_called_sudo() {
    let folder = folder_of_nobody();
    let trace = folder.path().join("t.pfz");
    let script = "id -u; id -ru; id -g; id -rg; id -G; echo $HOME; echo $USER; grep -E '^Cap(Eff|Prm|Inh|Amb)' /proc/self/status";
    let ended = run(through_sudo(&["-o", text(&trace), "--", "bash", "-c", script])).ok();
    let (home, name) = home_and_name();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[..4], ["65534"; 4], "{ended:#?}");
    assert_eq!(
        lines[4],
        NOBODY.to_string(),
        "no group of root is left: {ended:#?}"
    );
    assert_eq!(lines[5..7], [home, name], "{ended:#?}");
    let capabilities = &lines[7..];
    assert_eq!(capabilities.len(), 4);
    assert!(
        capabilities.iter().all(|line| line.ends_with("0000000000000000")),
        "{ended:#?}"
    );
}

#[test]
#[ignore = "needs root"]
fn the_trace_belongs_to_the_user_who_called_sudo_and_to_nobody_else() {
    let folder = folder_of_nobody();
    let trace = folder.path().join("t.pfz");
    run(through_sudo(&["-o", text(&trace), "--", "true"])).ok();
    let meta = fs::metadata(&trace).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (NOBODY, NOBODY));
    assert_eq!(meta.mode() & 0o7777, 0o600);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing else is left"
    );
}

#[test]
#[ignore = "needs root"]
fn an_output_where_that_user_may_not_write_is_refused_before_the_command_starts() {
    let (of_root, folder) = (disk_folder(), folder_of_nobody());
    let trace = of_root.path().join("t.pfz");
    let proof = folder.path().join("proof");
    let error = run(through_sudo(&["-o", text(&trace), "--", "touch", text(&proof)])).error(125);
    assert!(error.contains(text(&trace)), "{error}");
    assert!(!proof.exists(), "the command was started");
    assert_eq!(fs::read_dir(of_root.path()).unwrap().count(), 0);
}

#[test]
#[ignore = "needs root"]
fn a_symlink_planted_as_the_partial_file_is_not_followed() {
    let (of_root, folder) = (disk_folder(), folder_of_nobody());
    let victim = of_root.path().join("victim");
    fs::write(&victim, "mine\n").unwrap();
    symlink(&victim, folder.path().join("t.pfz.partial")).unwrap();
    let trace = folder.path().join("t.pfz");
    let proof = folder.path().join("proof");
    let error = run(through_sudo(&["-o", text(&trace), "--", "touch", text(&proof)])).error(125);
    assert!(error.contains("t.pfz.partial"), "{error}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine\n");
    assert!(!proof.exists(), "the command was started");
}

#[test]
#[ignore = "needs root"]
fn a_symlink_in_the_place_of_the_trace_is_neither_replaced_nor_followed() {
    let (of_root, folder) = (disk_folder(), folder_of_nobody());
    let victim = of_root.path().join("victim");
    fs::write(&victim, "mine\n").unwrap();
    let trace = folder.path().join("t.pfz");
    symlink(&victim, &trace).unwrap();
    for force in [&[][..], &["--force"]] {
        let ended = run(through_sudo(
            &[&["-o", text(&trace)], force, &["--", "true"]].concat(),
        ));
        assert!(ended.stderr.contains("is a symbolic link"), "{ended:#?}");
        ended.with_status(125);
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine\n");
    assert!(fs::symlink_metadata(&trace).unwrap().is_symlink());
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing was left"
    );
}
