use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::cluster::{Cluster, ProcessGroupOf, cannot_start, tail};
use crate::deadline::Deadline;
use crate::watchdog::Watchdog;
use crate::{Error, ErrorKind};

/// PostgreSQL itself kills backends that ignore an immediate shutdown after five seconds.
const STEP_TIME: Duration = Duration::from_secs(10);

/// How a server is told to stop, in `pg_ctl`'s words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shutdown {
    /// Ends sessions with 57P01, writes a checkpoint, and stops cleanly.
    Fast,
    /// Stops at once; the next start recovers from the log.
    Immediate,
}

/// The server process, from its start until it has been waited for.
#[derive(Debug)]
pub(crate) struct Postmaster {
    child: Child,
}

/// Why a start did not succeed.
pub(crate) enum StartFailure {
    /// The port was taken by someone else in the meantime.
    PortTaken,
    /// Backends of a killed server still hold its shared memory; they are about to notice.
    OldBackends,
    Final(Error),
}

/// Where the server writes its log.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
}

impl Postmaster {
    /// Starts the server and waits until it says that it is ready.
    pub(crate) fn start(
        cluster: &Cluster,
        log: &Log,
        watchdog: &mut Watchdog,
        deadline: Deadline,
    ) -> Result<Self, StartFailure> {
        let logged = fs::metadata(&log.path).map_or(0, |metadata| metadata.len());
        let logged = usize::try_from(logged).unwrap_or_default();
        let output = || {
            log.file.try_clone().map(Stdio::from).map_err(|error| {
                StartFailure::Final(Error::io(
                    ErrorKind::Directory,
                    "cannot share the log",
                    error,
                ))
            })
        };
        let child = cluster
            .server()
            .stdout(output()?)
            .stderr(output()?)
            .process_group_of(watchdog)
            .spawn()
            .map_err(|error| StartFailure::Final(cannot_start("postgres", error)))?;
        let mut postmaster = Self { child };
        watchdog
            .watch(postmaster.id())
            .map_err(StartFailure::Final)?;
        loop {
            match postmaster.ended() {
                Ok(None) => {}
                Ok(Some(status)) => {
                    return Err(diagnose(cluster, &tail(&log.path, logged), status));
                }
                Err(error) => return Err(StartFailure::Final(error)),
            }
            if is_ready(&cluster.data, postmaster.id()) {
                return Ok(postmaster);
            }
            if !deadline.pause() {
                // Dropping the postmaster ends it.
                return Err(StartFailure::Final(Error::new(
                    ErrorKind::Startup,
                    format!(
                        "the server did not become ready in time (`start_timeout`); its log:\n{}",
                        tail(&log.path, logged)
                    ),
                )));
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the server ended, if it has. Until this is known, its id belongs to nobody else.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.child
            .try_wait()
            .map_err(|error| Error::io(ErrorKind::Process, "cannot wait for the server", error))
    }

    pub(crate) fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        kill_process(Pid::from_child(&self.child), signal).map_err(|error| {
            Error::io(ErrorKind::Process, "cannot signal the server", error.into())
        })
    }

    pub(crate) fn kill(&mut self) -> Result<(), Error> {
        self.signal(Signal::KILL)?;
        self.child
            .wait()
            .map(|_status| ())
            .map_err(|error| Error::io(ErrorKind::Process, "cannot wait for the server", error))
    }

    /// Stops the server and waits for it, at most half a minute.
    pub(crate) fn stop(&mut self, mode: Shutdown) -> Result<(), Error> {
        let steps = match mode {
            Shutdown::Fast => &[Signal::INT, Signal::QUIT, Signal::KILL][..],
            Shutdown::Immediate => &[Signal::QUIT, Signal::KILL],
        };
        for (step, &signal) in steps.iter().enumerate() {
            self.signal(signal)?;
            // A server that was stopped by SIGSTOP has to wake up to obey.
            self.signal(Signal::CONT)?;
            let deadline = Deadline::after(STEP_TIME);
            loop {
                if self.ended()?.is_some() {
                    // At once is at once: a backend that hangs in its own QUIT handler is no failure of
                    // a stop that recovers from the log anyway.
                    return if step == 0 || matches!(mode, Shutdown::Immediate) {
                        Ok(())
                    } else {
                        Err(forced(signal))
                    };
                }
                if !deadline.pause() {
                    break;
                }
            }
        }
        Err(Error::new(
            ErrorKind::Stop,
            format!(
                "the server (process {}) does not end even when killed",
                self.id()
            ),
        ))
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        // Reached only by a server that nobody stopped in order; whoever wants to know calls `stop`.
        let _unreported = self.stop(Shutdown::Immediate);
    }
}

fn forced(signal: Signal) -> Error {
    let name = if signal == Signal::KILL {
        "SIGKILL"
    } else {
        "SIGQUIT"
    };
    Error::new(
        ErrorKind::Stop,
        format!(
            "the server did not stop within {} s and was ended by {name}; see its log",
            STEP_TIME.as_secs()
        ),
    )
}

/// The server notes its state in line 8 of the lock file; line 1 says whose note it is.
fn is_ready(data: &Path, id: u32) -> bool {
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else {
        return false;
    };
    let mut lines = text.lines();
    lines.next() == Some(id.to_string().as_str())
        && lines.nth(6).is_some_and(|state| state.trim() == "ready")
}

fn diagnose(cluster: &Cluster, log: &str, status: ExitStatus) -> StartFailure {
    if log.contains("could not create any TCP/IP sockets") {
        StartFailure::PortTaken
    } else if log.contains("pre-existing shared memory block") {
        StartFailure::OldBackends
    } else if log.contains("lock file \"postmaster.pid\" already exists") {
        StartFailure::Final(cluster.in_use("another server"))
    } else {
        StartFailure::Final(Error::new(
            ErrorKind::Startup,
            format!("the server ended while it started ({status}); its log:\n{log}"),
        ))
    }
}
