//! Who invoked pfrec: whom the command runs as and whom the trace belongs to. Under sudo that is the
//! user who called it, never root.

use std::{
    env,
    ffi::{CString, OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

use anyhow::{Context, Result, bail};
use nix::unistd::{self, Gid, Uid, User};

/// A user as a process runs: ids, groups and the environment a login would give.
#[derive(Clone, Debug)]
pub struct Identity {
    /// User id.
    pub uid: Uid,
    /// Primary group id.
    pub gid: Gid,
    /// All groups; `None` leaves those of pfrec.
    pub groups: Option<Vec<Gid>>,
    /// HOME, USER, LOGNAME and SHELL; empty leaves those of pfrec.
    pub environment: Vec<(&'static str, OsString)>,
    /// How messages name it.
    pub name: String,
    /// Somebody else than pfrec runs as and for: gets an environment made anew, with these variables of pfrec's besides.
    pub passed: Option<Vec<String>>,
}

/// Programs that an administrator has installed.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What another user's command is told of the terminal and the language, as `sudo` does it; and all of `LC_…`.
/// What names files or sockets of root's, such as XAUTHORITY and KRB5CCNAME, is not passed on.
const PASSED: [&str; 10] = [
    "COLORTERM",
    "COLORS",
    "DISPLAY",
    "HOSTNAME",
    "LANG",
    "LANGUAGE",
    "LS_COLORS",
    "NO_COLOR",
    "TERM",
    "TZ",
];

impl Identity {
    /// The user who invoked pfrec: the caller of sudo when there is one, else the current user.
    pub fn invoking() -> Result<Self> {
        let effective = Uid::effective();
        if effective.is_root()
            && let Some(uid) = id_from_env("SUDO_UID")?
            && uid != 0
        {
            let gid = id_from_env("SUDO_GID")?;
            return match User::from_uid(Uid::from_raw(uid)).context("cannot look up SUDO_UID")? {
                Some(user) => Self::of(&user),
                // Known to sudo and not to this system's user database: ids are all there is.
                None => Ok(Self {
                    uid: Uid::from_raw(uid),
                    gid: Gid::from_raw(gid.unwrap_or(uid)),
                    groups: Some(vec![Gid::from_raw(gid.unwrap_or(uid))]),
                    environment: vec![("HOME", OsString::from("/"))],
                    name: format!("uid {uid}"),
                    passed: None,
                }),
            };
        }
        Ok(Self {
            uid: effective,
            gid: Gid::effective(),
            groups: None,
            environment: Vec::new(),
            name: User::from_uid(effective)
                .ok()
                .flatten()
                .map_or_else(|| format!("uid {effective}"), |user| user.name),
            passed: None,
        })
    }

    /// The user `name`, for `--user`, who gets the variables `passed` of pfrec's environment if it is another one.
    pub fn named(name: &str, passed: &[String]) -> Result<Self> {
        match User::from_name(name).with_context(|| format!("--user {name}: cannot look it up"))? {
            Some(user) if Uid::effective().is_root() => Ok(Self {
                passed: (user.uid != Uid::effective()).then(|| passed.to_vec()),
                ..Self::of(&user)?
            }),
            Some(user) if user.uid == Uid::effective() => Self::invoking(),
            Some(_) => bail!("--user {name}: only root can run COMMAND as another user"),
            None => bail!("--user {name}: there is no such user"),
        }
    }

    fn of(user: &User) -> Result<Self> {
        let name = CString::new(user.name.as_bytes()).context("user name with a NUL byte")?;
        let groups = unistd::getgrouplist(&name, user.gid)
            .with_context(|| format!("cannot list the groups of {}", user.name))?;
        Ok(Self {
            uid: user.uid,
            gid: user.gid,
            groups: Some(groups),
            environment: vec![
                ("HOME", user.dir.clone().into_os_string()),
                ("USER", OsString::from(&user.name)),
                ("LOGNAME", OsString::from(&user.name)),
                ("SHELL", user.shell.clone().into_os_string()),
            ],
            name: user.name.clone(),
            passed: None,
        })
    }

    /// Does the file-system work in `work` with the rights of this user, so that a recorder started by
    /// sudo creates what its caller may create, owned by the caller, and nothing else.
    pub fn as_file_owner<T>(&self, work: impl FnOnce() -> T) -> T {
        let (uid, gid) = (Uid::effective(), Gid::effective());
        if !uid.is_root() {
            return work();
        }
        // Root may change its groups, and what cannot be read back stays as it is.
        let own_groups = self.groups.as_ref().and_then(|groups| {
            let own = unistd::getgroups().ok()?;
            unistd::setgroups(groups).ok().map(|()| own)
        });
        unistd::setfsgid(self.gid);
        unistd::setfsuid(self.uid);
        let result = work();
        unistd::setfsuid(uid);
        unistd::setfsgid(gid);
        if let Some(own) = own_groups {
            unistd::setgroups(&own).ok();
        }
        result
    }

    /// The environment of pfrec with this user's entries in place of root's; of another user one made anew.
    #[must_use]
    pub fn environment(&self) -> Vec<CString> {
        match &self.passed {
            Some(passed) => self.new_environment(passed),
            None => self.own_environment(),
        }
    }

    fn new_environment(&self, passed: &[String]) -> Vec<CString> {
        let is_asked_for = |key: &OsStr| passed.iter().any(|name| key == name.as_str());
        let is_harmless = |key: &OsStr, value: &OsStr| {
            let is_known = PASSED.iter().any(|name| key == *name) || key.as_bytes().starts_with(b"LC_");
            // A locale or a zone may be a path, and a path a way into what another one may not read.
            is_known && (key == "DISPLAY" || key == "LS_COLORS" || !is_path(value))
        };
        let inherited = env::vars_os().filter(|(key, value)| is_asked_for(key) || is_harmless(key, value));
        let is_given = |key: &str| is_asked_for(OsStr::new(key)) && env::var_os(key).is_some();
        let own = self
            .environment
            .iter()
            .cloned()
            .chain([("PATH", OsString::from(PATH))])
            .filter(|(key, _)| !is_given(key))
            .map(|(key, value)| (OsString::from(key), value));
        own.chain(inherited).filter_map(entry).collect()
    }

    fn own_environment(&self) -> Vec<CString> {
        // These would lead the user to places of root's.
        let of_root =
            |key: &OsStr| !self.environment.is_empty() && (key == "MAIL" || key == "XDG_RUNTIME_DIR");
        let replaced = |key: &OsStr| of_root(key) || self.environment.iter().any(|(name, _)| key == *name);
        let inherited = env::vars_os().filter(|(key, _)| !replaced(key));
        let own = self
            .environment
            .iter()
            .map(|(key, value)| (OsString::from(key), value.clone()));
        inherited.chain(own).filter_map(entry).collect()
    }
}

fn entry((key, value): (OsString, OsString)) -> Option<CString> {
    CString::new([key.as_bytes(), b"=", value.as_bytes()].concat()).ok()
}

/// Also a format: `%` in a locale was one for programs of old.
fn is_path(value: &OsStr) -> bool {
    let bytes = value.as_bytes();
    // Europe/Berlin is a zone, and :/etc/shadow a file.
    bytes.iter().find(|&&byte| byte != b':') == Some(&b'/')
        || bytes.contains(&b'%')
        || bytes.windows(2).any(|pair| pair == b"..")
}

/// Whether sudo was called for pfrec itself, and not for a shell or a program that called pfrec.
pub fn is_called_by_sudo() -> bool {
    let own = env::args_os().next().unwrap_or_default();
    let called = env::var_os("SUDO_COMMAND").unwrap_or_default();
    let called = called
        .as_bytes()
        .split(|&byte| byte == b' ')
        .next()
        .unwrap_or_default();
    let called = std::path::Path::new(OsStr::from_bytes(called)).file_name();
    called.is_some() && called == std::path::Path::new(&own).file_name()
}

fn id_from_env(name: &str) -> Result<Option<u32>> {
    match env::var(name) {
        Err(env::VarError::NotPresent) => Ok(None),
        Ok(text) => Ok(Some(
            text.parse()
                .with_context(|| format!("{name}={text} is not a user id"))?,
        )),
        Err(e) => bail!("{name}: {e}"),
    }
}
