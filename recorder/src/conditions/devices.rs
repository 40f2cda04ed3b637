//! Devices of files: how far they read ahead, and how they are asked.

use super::{
    list::List,
    root::{Root, chosen},
};

const SETTINGS: [&str; 3] = ["read_ahead_kb", "rotational", "scheduler"];

/// How these devices are set now. A partition is set as its disk; a file system without a disk has read-ahead only.
pub fn read(root: &Root, devices: &[(u32, u32)], list: &mut List) {
    for (major, minor) in devices {
        let number = format!("{major}:{minor}");
        let folders = [
            format!("/sys/dev/block/{number}/queue"),
            format!("/sys/dev/block/{number}/../queue"),
            format!("/sys/class/bdi/{number}"),
        ];
        let has_settings = |folder: &&String| root.read(&format!("{folder}/read_ahead_kb")).is_some();
        let Some(folder) = folders.iter().find(has_settings) else {
            continue;
        };
        for name in SETTINGS {
            let value = root.read(&format!("{folder}/{name}"));
            list.put(&format!("device {number}"), name, value.as_deref().map(chosen));
        }
    }
}
