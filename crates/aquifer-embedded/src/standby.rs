use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::builder::Builder;
use crate::cluster::{Cluster, ProcessGroupOf, failure, tail};
use crate::deadline::Deadline;
use crate::initdb::run;
use crate::postmaster::Shutdown;
use crate::watchdog::Watchdog;
use crate::{Embedded, Error, ErrorKind};

/// The file that makes a server start as a standby; it removes the file when it is promoted.
const SIGNAL: &str = "standby.signal";

/// PostgreSQL replays what it has received before it takes over; a small private server has little.
const PROMOTION_SECONDS: &str = "30";

/// Backends of a killed server may still write for a moment.
const REMOVAL_TIME: Duration = Duration::from_secs(10);

/// The primary that a standby copies and follows, by its unix socket.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    socket_dir: PathBuf,
    port: u16,
    pub(crate) superuser: String,
}

impl Source {
    pub(crate) fn of(primary: &Embedded) -> Self {
        Self {
            socket_dir: primary.private.clone(),
            port: primary.port,
            superuser: primary.options.superuser.clone(),
        }
    }

    /// As libpq reads it; there is no password in it, since the socket trusts who can enter.
    pub(crate) fn connection_string(&self) -> String {
        format!(
            "host={} port={} user={}",
            quoted(&self.socket_dir.display().to_string()),
            self.port,
            quoted(&self.superuser),
        )
    }
}

/// Streaming replication between private servers; each call blocks the thread.
impl Embedded {
    /// Makes a standby take over, and waits until it accepts writes; some tenths of a second.
    ///
    /// Its old primary is left alone: stop it first, or there are two. Standbys of the old primary
    /// go over to this one with [`follow`](Self::follow).
    ///
    /// # Errors
    /// [`ErrorKind::Process`] if it does not run, [`ErrorKind::Startup`] if it is no standby or has
    /// not taken over within 30 s.
    pub fn promote(&mut self) -> Result<(), Error> {
        if !self.is_running() {
            return Err(Error::new(
                ErrorKind::Process,
                "only a standby that runs can take over: call `start_again` first",
            ));
        }
        let mut command = self.cluster.command("pg_ctl");
        command
            .args(["promote", "--wait", "--silent"])
            .args(["--timeout", PROMOTION_SECONDS])
            .arg("--pgdata")
            .arg(&self.cluster.data);
        self.run_aside(command)
    }

    /// Makes this server follow `primary` without copying anything.
    ///
    /// A standby that runs goes over at once; a server that is stopped starts as a standby the next
    /// time. What it has must be part of what `primary` has, or it never catches up: a primary that
    /// was killed and replaced needs [`rejoin`](Self::rejoin).
    ///
    /// # Errors
    /// [`ErrorKind::Directory`] if its files can't be written, [`ErrorKind::Process`] if the system
    /// refuses the signal.
    pub fn follow(&mut self, primary: &Self) -> Result<(), Error> {
        self.options = self.options.clone().standby_of(primary);
        if self.is_running() {
            self.cluster
                .configure(&self.options, &self.private, self.port)?;
            return self.reload();
        }
        self.cluster.replace(&self.cluster.data.join(SIGNAL), b"")
    }

    /// Starts this server as a standby of `primary`, which is copied afresh; one to three seconds.
    ///
    /// Its own data are thrown away, and if it still runs it is stopped at once. Directory, socket
    /// and port stay the same, the log begins anew.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a server with a [`Builder::directory`], whose data are not
    /// thrown away; else as [`Builder::start`].
    pub fn rejoin(&mut self, primary: &Self) -> Result<(), Error> {
        if self.options.directory.is_some() {
            return Err(Error::new(
                ErrorKind::Configuration,
                "directory: the data of a persistent server are not thrown away; start a standby \
                 in a new directory",
            ));
        }
        self.shut_down(Shutdown::Immediate)?;
        self.cluster.remove()?;
        self.options = self.options.clone().standby_of(primary);
        self.cluster.copy(
            &Source::of(primary),
            &self.options,
            &self.private,
            &mut self.watchdog,
        )?;
        (self.log.path, self.log.file) = self.cluster.log()?;
        self.start_again()
    }

    /// Runs a program beside the server, which stays the one that the watchdog waits for.
    fn run_aside(&mut self, mut command: Command) -> Result<(), Error> {
        let said = self.private.join("promote.log");
        let log = File::create(&said).map_err(|error| failure("write", &said, error))?;
        command
            .process_group_of(&self.watchdog)
            .stdout(Stdio::null())
            .stderr(Stdio::from(log));
        let outcome = run(command, &mut self.watchdog, || tail(&said, 0));
        if let Some(server) = self.pid() {
            self.watchdog.watch(server)?;
        }
        outcome
    }
}

impl Cluster {
    /// Copies a running primary into the empty data directory.
    pub(crate) fn copy(
        &self,
        source: &Source,
        options: &Builder,
        private: &Path,
        watchdog: &mut Watchdog,
    ) -> Result<(), Error> {
        self.prepare_directory()?;
        let said = private.join("copy.log");
        let log = File::create(&said).map_err(|error| failure("write", &said, error))?;
        let mut command = self.command("pg_basebackup");
        command
            .arg("--pgdata")
            .arg(&self.data)
            .args(["--dbname", &source.connection_string()])
            .args(["--checkpoint", "fast", "--wal-method", "stream"])
            .arg("--no-manifest")
            .process_group_of(watchdog)
            .stdout(Stdio::null())
            .stderr(Stdio::from(log));
        if options.directory.is_none() {
            command.arg("--no-sync");
        }
        run(command, watchdog, || tail(&said, 0))?;
        self.replace(&self.data.join(SIGNAL), b"")
    }

    /// Removes the data of a server that is stopped.
    fn remove(&self) -> Result<(), Error> {
        self.remove_shared_memory();
        let deadline = Deadline::after(REMOVAL_TIME);
        loop {
            match fs::remove_dir_all(&self.data) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(_) if deadline.pause() => {}
                Err(error) => return Err(failure("remove", &self.data, error)),
            }
        }
    }

    /// A killed server leaves a System V segment of a few bytes, whose id stands in its lock file.
    fn remove_shared_memory(&self) {
        let Ok(lock) = fs::read_to_string(self.data.join("postmaster.pid")) else {
            return;
        };
        let segment = lock.lines().nth(6).and_then(|line| {
            let id: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
            Some(id.to_string())
        });
        if let Some(segment) = segment {
            // Without `ipcrm` the few bytes stay until the machine restarts.
            let _removed = Command::new("ipcrm").args(["-m", &segment]).output();
        }
    }
}

/// A value of a connection string, as libpq unquotes it.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_is_quoted() {
        let source = Source {
            socket_dir: PathBuf::from(r"/tmp/it's a\b"),
            port: 5432,
            superuser: "jo doe".to_owned(),
        };
        assert_eq!(
            source.connection_string(),
            r"host='/tmp/it\'s a\\b' port=5432 user='jo doe'"
        );
    }
}
