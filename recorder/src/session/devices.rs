//! Which devices the files are on that faulted.

use pf_formats::{ObjectId, ObjectKind};

use super::dictionary::Dictionary;
use crate::conditions::DEVICES;

/// The first devices that were met.
#[derive(Debug, Default)]
pub struct Devices {
    /// Faults come in runs of one file.
    last: ObjectId,
    met: Vec<(u32, u32)>,
}

impl Devices {
    /// An object faulted.
    pub fn meet(&mut self, object: ObjectId, dictionary: &Dictionary) {
        if object == self.last {
            return;
        }
        self.last = object;
        let Some(found) = dictionary.get(object) else {
            return;
        };
        let device = (found.dev_major, found.dev_minor);
        let is_file = found.kind == ObjectKind::File && found.inode != 0;
        if is_file && self.met.len() < DEVICES && !self.met.contains(&device) {
            self.met.push(device);
        }
    }

    /// Each once, in the order in which they were met.
    #[must_use]
    pub fn met(&self) -> &[(u32, u32)] {
        &self.met
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::files::{FileIdentity, Sighting},
        *,
    };
    use crate::pipeline::sideband::Map;

    #[test]
    fn each_device_of_a_file_is_met_once_and_no_more_than_are_told_of() {
        let mut dictionary = Dictionary::default();
        let mut devices = Devices::default();
        let mut meet = |dictionary: &mut Dictionary, minor| {
            let file = FileIdentity {
                device: (8, minor),
                inode: 5,
            };
            let object = dictionary.nameless(file, 0);
            devices.meet(object, dictionary);
            devices.met().to_vec()
        };
        meet(&mut dictionary, 1);
        meet(&mut dictionary, 2);
        assert_eq!(meet(&mut dictionary, 1), [(8, 1), (8, 2)]);
        for minor in 3..200 {
            assert!(meet(&mut dictionary, minor).len() <= DEVICES);
        }
        let anonymous = dictionary.anonymous();
        let seen = Sighting {
            map: &Map::default(),
            pid: 1,
            at_ns: 0,
        };
        assert_eq!(dictionary.object(&seen).0, anonymous);
        let mut devices = Devices::default();
        devices.meet(anonymous, &dictionary);
        assert!(devices.met().is_empty());
    }
}
