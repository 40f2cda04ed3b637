//! What was recorded: a command, some processes, a cgroup or everything, in words.

use pf_formats::Meta;
use pf_notation::shell::shell_words;

/// The scope of a recorder that started the program itself.
const COMMAND: &str = "command";

/// What was recorded; not yet safe for a terminal.
#[must_use]
pub fn describe(meta: &Meta) -> String {
    let command = shell_words(&meta.command);
    match (meta.target.as_str(), meta.command.is_empty()) {
        (COMMAND, false) => command,
        (target, true) => processes(target),
        // The command only says for how long.
        (target, false) => format!("{}, while this ran: {command}", processes(target)),
    }
}

/// The command where it is what was recorded, word by word, and else what was.
#[must_use]
pub fn words(meta: &Meta) -> Vec<String> {
    if meta.target == COMMAND && !meta.command.is_empty() {
        meta.command.clone()
    } else {
        vec![describe(meta)]
    }
}

/// What kind of scope: recordings of two kinds have other processes in them.
#[must_use]
pub fn kind(meta: &Meta) -> &str {
    match meta.target.split(' ').next().unwrap_or_default() {
        "all" => "all processes",
        COMMAND => "a command",
        "pids" => "given processes",
        "cgroup" => "a cgroup",
        other => other,
    }
}

fn processes(target: &str) -> String {
    match target.split_once(' ') {
        None if target == "all" => "all processes".to_owned(),
        Some(("pids", pids)) => format!("processes {pids}"),
        Some(("cgroup", path)) => format!("processes of cgroup {path}"),
        _ => target.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_has_words() {
        let meta = |target: &str, command: &[&str]| Meta {
            target: target.to_owned(),
            command: command.iter().map(|&word| word.to_owned()).collect(),
            ..Meta::default()
        };
        for (meta, words) in [
            (meta("command", &["sleep", "1 s"]), "sleep '1 s'"),
            (meta("all", &[]), "all processes"),
            (
                meta("all", &["sleep", "1"]),
                "all processes, while this ran: sleep 1",
            ),
            (
                meta("pids 1,2 and descendants", &[]),
                "processes 1,2 and descendants",
            ),
            (meta("cgroup /a b", &[]), "processes of cgroup /a b"),
            (meta("command", &[]), "command"),
        ] {
            assert_eq!(describe(&meta), words);
        }
        assert_eq!(kind(&meta("pids 1", &[])), "given processes");
    }
}
