use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, ErrorKind};

/// The system account that the server runs under.
///
/// PostgreSQL refuses to run as root, so a root owner steps down; everyone else runs it as
/// themselves.
#[derive(Clone, Debug)]
pub(crate) enum Account {
    /// The owner's own account.
    Own,
    /// Another account, since the owner is root.
    Other { name: String, user: u32, group: u32 },
}

impl Account {
    /// Whoever owns the cluster in `existing`, else `postgres`, else `nobody`.
    pub(crate) fn choose(existing: Option<&Path>) -> Result<Self, Error> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Own);
        }
        if let Some(owner) = existing.and_then(|directory| fs::metadata(directory).ok())
            && owner.uid() != 0
        {
            return Ok(Self::Other {
                name: owner.uid().to_string(),
                user: owner.uid(),
                group: owner.gid(),
            });
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(Self::named)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Process,
                    "PostgreSQL does not run as root and this machine has neither a user \
                     `postgres` nor a user `nobody`: add one, or run as an ordinary user",
                )
            })
    }

    /// Asks `id`, which knows every source of accounts that the machine has.
    fn named(name: &str) -> Option<Self> {
        let number = |option: &str| {
            let output = Command::new("id").args([option, name]).output().ok()?;
            String::from_utf8(output.stdout)
                .ok()?
                .trim_end()
                .parse()
                .ok()
        };
        Some(Self::Other {
            name: name.to_owned(),
            user: number("-u")?,
            group: number("-g")?,
        })
    }

    /// Makes `command` run under this account.
    pub(crate) fn apply(&self, command: &mut Command) {
        if let Self::Other { user, group, .. } = self {
            command.uid(*user).gid(*group);
        }
    }

    /// Gives a file or directory to this account.
    pub(crate) fn give(&self, path: &Path) -> Result<(), Error> {
        let Self::Other { user, group, .. } = self else {
            return Ok(());
        };
        chown(path, Some(*user), Some(*group)).map_err(|error| {
            Error::io(
                ErrorKind::Directory,
                format!("cannot give {} to the server's account", path.display()),
                error,
            )
        })
    }

    /// The first directory from the root down to `path` that this account can't enter.
    pub(crate) fn barred_from(&self, path: &Path) -> Option<PathBuf> {
        let Self::Other { user, group, .. } = self else {
            return None;
        };
        let mut ancestors: Vec<&Path> = path.ancestors().collect();
        ancestors.reverse();
        ancestors
            .into_iter()
            .find(|directory| {
                fs::metadata(directory).is_ok_and(|metadata| {
                    let shift = if metadata.uid() == *user {
                        6
                    } else if metadata.gid() == *group {
                        3
                    } else {
                        0
                    };
                    metadata.mode() >> shift & 1 == 0
                })
            })
            .map(Path::to_path_buf)
    }

    /// How to speak of this account in a message.
    pub(crate) fn described(&self) -> String {
        match self {
            Self::Own => "this user".to_owned(),
            Self::Other { name, .. } => format!("user {name}"),
        }
    }
}
