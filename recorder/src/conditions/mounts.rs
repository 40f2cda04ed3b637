//! Mounts: which file system is where, and how it was mounted.

use super::{
    list::List,
    root::{Root, unescaped},
};

/// Bytes of the list of mounts that are read.
const BYTES: u64 = 1 << 20;

/// Mounts that are told of.
const TOLD: usize = 64;

/// A line of `/proc/self/mountinfo`, see proc_pid_mountinfo(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    device: (u32, u32),
    /// What of the file system is mounted.
    pub root: String,
    /// Where.
    pub place: String,
    options: String,
    /// Type of the file system.
    pub kind: String,
    /// Options of the file system itself.
    pub super_options: String,
}

/// All mounts that pfrec sees.
#[must_use]
pub fn all(root: &Root) -> Vec<Mount> {
    let text = root.read_to("/proc/self/mountinfo", BYTES).unwrap_or_default();
    // A line without an end is cut.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().filter_map(parse).collect()
}

/// `id parent major:minor root place options [optional fields] - type source super_options`
fn parse(line: &str) -> Option<Mount> {
    let (first, second) = line.split_once(" - ")?;
    let mut words = first.split(' ').skip(2);
    let (major, minor) = words.next()?.split_once(':')?;
    let (root, place, options) = (words.next()?, words.next()?, words.next()?);
    let mut words = second.split(' ');
    let (kind, super_options) = (words.next()?, words.nth(1)?);
    Some(Mount {
        device: (major.parse().ok()?, minor.parse().ok()?),
        root: unescaped(root),
        place: unescaped(place),
        options: unescaped(options),
        kind: unescaped(kind),
        super_options: unescaped(super_options),
    })
}

/// Mounts of these devices, those of a whole file system before those of a part.
pub fn read(root: &Root, devices: &[(u32, u32)], list: &mut List) {
    let mut mounts = all(root);
    mounts.retain(|mount| devices.contains(&mount.device));
    mounts.sort_by_key(|mount| mount.root != "/");
    for mount in mounts.iter().take(TOLD) {
        let subject = format!("mount {}", mount.place);
        let (major, minor) = mount.device;
        list.put(&subject, "device", Some(&format!("{major}:{minor}")));
        list.put(&subject, "type", Some(&mount.kind));
        list.put(&subject, "options", Some(&mount.options));
        list.put(&subject, "super_options", Some(&mount.super_options));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_is_read_with_and_without_optional_fields_and_a_broken_one_is_none() {
        let line = r"27 1 254:3 /part /mnt/a\040b rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard";
        let mount = parse(line).unwrap();
        assert_eq!((mount.device, mount.root.as_str()), ((254, 3), "/part"));
        assert_eq!((mount.place.as_str(), mount.kind.as_str()), ("/mnt/a b", "ext4"));
        assert_eq!(
            (mount.options.as_str(), mount.super_options.as_str()),
            ("rw,relatime", "rw,discard")
        );
        assert_eq!(parse(&line.replace(" shared:1 master:2", "")), Some(mount));
        for broken in [
            "",
            "27 1 254:3 / /mnt rw",
            "27 1 254 / /mnt rw - ext4 x rw",
            "27 1 1:1 / - ext4 x rw",
        ] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }
}
