use std::fs::{self, DirBuilder, File};
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::builder::Builder;
use crate::cluster::{Cluster, PASSWORD, ProcessGroupOf, cannot_start, failure, tail};
use crate::deadline::Deadline;
use crate::watchdog::Watchdog;
use crate::{Error, ErrorKind};

/// How long `initdb` may take, and a copy of a small cluster.
const INITDB_TIME: Duration = Duration::from_secs(60);

impl Cluster {
    /// Runs `initdb`; the superuser's password is made up and kept in the directory.
    pub(crate) fn initialize(
        &self,
        options: &Builder,
        private: &Path,
        watchdog: &mut Watchdog,
    ) -> Result<(), Error> {
        self.prepare_directory()?;
        let password = new_password()?;
        let password_file = private.join(PASSWORD);
        self.replace(&password_file, password.as_bytes())?;

        let output = private.join("initdb.log");
        let log = File::create(&output).map_err(|error| failure("write", &output, error))?;
        let mut command = self.command("initdb");
        command
            .arg("--pgdata")
            .arg(&self.data)
            .arg("--pwfile")
            .arg(&password_file)
            .args(["--username", &options.superuser])
            .args(["--auth-local", "trust", "--auth-host", "scram-sha-256"])
            .args(["--encoding", "UTF8", "--locale", "C"])
            .args(unicode_locale())
            .process_group_of(watchdog)
            .stdout(Stdio::from(
                log.try_clone()
                    .map_err(|error| failure("write", &output, error))?,
            ))
            .stderr(Stdio::from(log));
        if options.directory.is_none() {
            command.arg("--no-sync");
        }
        run(command, watchdog, || {
            // A statement that failed is shown whole, and one of them sets the password.
            tail(&output, 0).replace(&password, "…")
        })?;
        self.replace(&self.data.join(PASSWORD), password.as_bytes())
    }

    /// Makes an empty directory for the server's account, or makes sure that it is one.
    pub(crate) fn prepare_directory(&self) -> Result<(), Error> {
        if let Some(barrier) = self
            .account
            .barred_from(self.data.parent().unwrap_or(&self.data))
        {
            return Err(Error::new(
                ErrorKind::Directory,
                format!(
                    "{} can't enter {}; choose a directory that it can reach, or run as an \
                     ordinary user",
                    self.account.described(),
                    barrier.display()
                ),
            ));
        }
        if !self.data.exists() {
            DirBuilder::new()
                .mode(0o700)
                .create(&self.data)
                .map_err(|error| failure("make", &self.data, error))?;
        }
        if fs::read_dir(&self.data).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Error::new(
                ErrorKind::Directory,
                format!(
                    "{} is neither empty nor a PostgreSQL data directory; choose another one",
                    self.data.display()
                ),
            ));
        }
        self.account.give(&self.data)
    }
}

/// Runs one of PostgreSQL's programs to its end.
pub(crate) fn run(
    mut command: Command,
    watchdog: &mut Watchdog,
    output: impl Fn() -> String,
) -> Result<(), Error> {
    let path = Path::new(command.get_program());
    let program = path.file_name().unwrap_or_default().display().to_string();
    let mut child = command
        .spawn()
        .map_err(|error| cannot_start(&program, error))?;
    watchdog.watch(child.id())?;
    let deadline = Deadline::after(INITDB_TIME);
    loop {
        let ended = child.try_wait().map_err(|error| {
            Error::io(
                ErrorKind::Process,
                format!("cannot wait for {program}"),
                error,
            )
        })?;
        match ended {
            Some(status) if status.success() => return Ok(()),
            Some(status) => {
                return Err(Error::new(
                    ErrorKind::Startup,
                    format!("{program} failed ({status}); it said:\n{}", output()),
                ));
            }
            None if deadline.pause() => {}
            None => {
                // Whether it can be killed or not, the watchdog ends it with its group.
                let _ended = child.kill().and_then(|()| child.wait());
                return Err(Error::new(
                    ErrorKind::Startup,
                    format!(
                        "{program} did not end within {} s; it said:\n{}",
                        INITDB_TIME.as_secs(),
                        output()
                    ),
                ));
            }
        }
    }
}

/// Lets `lower` and friends work beyond ASCII, where the system has such a locale.
fn unicode_locale() -> Option<&'static str> {
    let output = Command::new("locale").arg("-a").output().ok()?;
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    names
        .lines()
        .any(|name| matches!(name, "C.UTF-8" | "C.utf8"))
        .then_some("--lc-ctype=C.UTF-8")
}

fn new_password() -> Result<String, Error> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; 24];
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| failure("read", source, error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
