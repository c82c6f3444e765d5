use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::account::Account;
use crate::builder::Builder;
use crate::deadline::Deadline;
use crate::watchdog::Watchdog;
use crate::{Error, ErrorKind, binaries};

/// Read instead of `postgresql.conf`, which it includes: so a cluster's own files stay untouched.
const CONFIGURATION: &str = "aquifer.conf";
const ACCESS: &str = "aquifer_hba.conf";
pub(crate) const PASSWORD: &str = "aquifer.password";
const LOG: &str = "aquifer.log";

/// An owner that died leaves the directory locked until its watchdog has stopped the server.
const LOCK_TIME: Duration = Duration::from_secs(5);

/// The data directory, and what it takes to work in it.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) data: PathBuf,
    pub(crate) binaries: PathBuf,
    pub(crate) account: Account,
}

impl Cluster {
    /// Chooses binaries and account for a directory; `data` is where the cluster is or will be.
    pub(crate) fn choose(options: &Builder) -> Result<Self, Error> {
        let Some(directory) = &options.directory else {
            return Ok(Self {
                data: PathBuf::new(),
                binaries: binaries::locate(options.binaries.as_deref(), None)?,
                account: Account::choose(None)?,
            });
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory.parent().unwrap_or(directory))
            .and_then(|()| match DirBuilder::new().mode(0o700).create(directory) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                made => made,
            })
            .map_err(|error| failure("make", directory, error))?;
        let data =
            fs::canonicalize(directory).map_err(|error| failure("find", directory, error))?;
        let version = fs::read_to_string(data.join("PG_VERSION")).ok();
        let version = version.as_deref().map(str::trim);
        Ok(Self {
            binaries: binaries::locate(options.binaries.as_deref(), version)?,
            account: Account::choose(version.map(|_| data.as_path()))?,
            data,
        })
    }

    /// Locks a directory that outlives its owner; the lock ends with the last copy of the file.
    pub(crate) fn lock(&self) -> Result<File, Error> {
        let directory =
            File::open(&self.data).map_err(|error| failure("open", &self.data, error))?;
        let deadline = Deadline::after(LOCK_TIME);
        loop {
            match directory.try_lock() {
                Ok(()) => return Ok(directory),
                Err(TryLockError::Error(error)) => return Err(failure("lock", &self.data, error)),
                Err(TryLockError::WouldBlock) if deadline.pause() => {}
                Err(TryLockError::WouldBlock) => return Err(self.in_use("another process")),
            }
        }
    }

    pub(crate) fn in_use(&self, by: &str) -> Error {
        Error::new(
            ErrorKind::InUse,
            format!(
                "{} is in use by {by}; stop that server, or choose another directory",
                self.data.display()
            ),
        )
    }

    pub(crate) fn exists(&self) -> bool {
        self.data.join("PG_VERSION").exists()
    }

    /// Writes the settings, the access rules and the TLS files, as they are to be at the next start.
    pub(crate) fn configure(
        &self,
        options: &Builder,
        private: &Path,
        port: u16,
    ) -> Result<(), Error> {
        for (source, name) in options.tls_files() {
            let contents = fs::read(source).map_err(|error| failure("read", source, error))?;
            self.replace(&self.data.join(name), &contents)?;
        }
        let access = self.data.join(ACCESS);
        self.replace(&access, options.access_rules().as_bytes())?;
        self.replace(
            &self.data.join(CONFIGURATION),
            options.configuration(private, port, &access).as_bytes(),
        )
    }

    /// A command that starts the server on what [`configure`](Self::configure) wrote.
    pub(crate) fn server(&self) -> Command {
        let mut setting = std::ffi::OsString::from("config_file=");
        setting.push(self.data.join(CONFIGURATION));
        let mut command = self.command("postgres");
        command.arg("-D").arg(&self.data).arg("-c").arg(setting);
        command
    }

    /// The superuser's password, unless another program made the cluster.
    pub(crate) fn password(&self) -> Option<String> {
        fs::read_to_string(self.data.join(PASSWORD)).ok()
    }

    /// An empty log file that the server appends to.
    pub(crate) fn log(&self) -> Result<(PathBuf, File), Error> {
        let path = self.data.join(LOG);
        self.replace(&path, b"")?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(|error| failure("open", &path, error))?;
        Ok((path, file))
    }

    /// Replaces one of the server's files, readable by the server only.
    ///
    /// A root owner works here in a directory of a lesser account: a new file is made and moved in
    /// place, so that a link planted there is never followed.
    pub(crate) fn replace(&self, path: &Path, contents: &[u8]) -> Result<(), Error> {
        let new = path.with_extension("new");
        let written = remove_if_there(&new).and_then(|()| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&new)?;
            if let Account::Other { user, group, .. } = &self.account {
                fchown(&file, Some(*user), Some(*group))?;
            }
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.write_all(contents)?;
            fs::rename(&new, path)
        });
        written.map_err(|error| failure("write", path, error))
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        self.account.apply(&mut command);
        command
            // The owner's directory may be closed to the server's account.
            .current_dir("/")
            .stdin(Stdio::null())
            // Messages are searched for known texts, so they must not be translated.
            .env("LC_ALL", "C");
        for name in [
            "PGDATA",
            "PGPORT",
            "PGDATESTYLE",
            "PGTZ",
            "PGCLIENTENCODING",
            "PGOPTIONS",
        ] {
            command.env_remove(name);
        }
        command
    }
}

/// Joins a command to what the watchdog ends.
pub(crate) trait ProcessGroupOf {
    fn process_group_of(&mut self, watchdog: &Watchdog) -> &mut Self;
}

impl ProcessGroupOf for Command {
    fn process_group_of(&mut self, watchdog: &Watchdog) -> &mut Self {
        std::os::unix::process::CommandExt::process_group(self, watchdog.process_group())
    }
}

pub(crate) fn cannot_start(program: &str, error: io::Error) -> Error {
    Error::io(
        ErrorKind::Process,
        format!("cannot start {program}: check that the server's account may run it"),
        error,
    )
}

/// The last lines of a log after its first `skipped` bytes.
pub(crate) fn tail(path: &Path, skipped: usize) -> String {
    const LINES: usize = 20;
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes.get(skipped..).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.len().saturating_sub(LINES);
    lines.get(last..).unwrap_or_default().join("\n")
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

pub(crate) fn failure(verb: &str, path: &Path, error: io::Error) -> Error {
    Error::io(
        ErrorKind::Directory,
        format!("cannot {verb} {}", path.display()),
        error,
    )
}
