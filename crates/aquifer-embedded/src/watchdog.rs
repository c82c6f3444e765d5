use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::{Error, ErrorKind};

const SCRIPT: &str = include_str!("watchdog.sh");

/// A shell in a process group of its own that ends what its owner started, also after `kill -9`.
///
/// It waits on a pipe whose other end only the owner holds, so the kernel tells it when the owner is
/// gone. Everything that is to end with the owner joins its process group
/// ([`process_group`](Self::process_group)): a group's id stays taken while the shell lives, so no
/// foreign process can ever be hit. It also makes the private directory and removes it, hence there
/// is no moment at which a directory exists that nobody would remove.
///
/// Dropping it ends the group and removes the directory too, but can't report a failure; use
/// [`finish`](Self::finish) for that.
#[derive(Debug)]
pub struct Watchdog {
    shell: Child,
    owner_end: Option<ChildStdin>,
    directory: PathBuf,
}

/// How the processes in a [`Watchdog`]'s group are ended, gentlest signal first.
///
/// Each signal is given ten seconds; whatever is left then is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// INT, then QUIT: a PostgreSQL whose data is kept shuts down cleanly if it can.
    Fast,
    /// QUIT: a PostgreSQL whose data is thrown away needs no checkpoint.
    Immediate,
    /// TERM: what most other servers understand.
    Terminate,
}

impl Ending {
    fn signals(self) -> &'static str {
        match self {
            Self::Fast => "INT QUIT",
            Self::Immediate => "QUIT",
            Self::Terminate => "TERM",
        }
    }
}

impl Watchdog {
    /// Starts the shell, which makes `directory` (mode 0700).
    ///
    /// `data` is the PostgreSQL data directory to look for left-overs in, and `lock` a locked file
    /// that stays locked until the shell has done its work, even if the owner is gone by then.
    ///
    /// # Errors
    /// [`ErrorKind::Process`] if no shell can be started, [`ErrorKind::Directory`] if the directory
    /// exists already or can't be made.
    pub fn start(
        directory: &Path,
        data: &Path,
        ending: Ending,
        lock: Option<File>,
    ) -> Result<Self, Error> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "aquifer-watchdog"])
            .arg(directory)
            .arg(data)
            .arg(ending.signals())
            // The owner's directory might be one that somebody wants to unmount or remove.
            .current_dir("/")
            .process_group(0)
            // The owner's end of this pipe is close-on-exec: no other child keeps it open.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(lock.map_or_else(Stdio::null, Stdio::from))
            .spawn()
            .map_err(|error| {
                Error::io(
                    ErrorKind::Process,
                    "cannot start `sh`, which a private server needs as its watchdog",
                    error,
                )
            })?;
        let owner_end = shell.stdin.take();
        let answer = shell.stdout.take();
        let watchdog = Self {
            shell,
            owner_end,
            directory: directory.to_path_buf(),
        };
        let mut ready = String::new();
        if let Some(mut answer) = answer {
            answer.read_to_string(&mut ready).map_err(|error| {
                Error::io(
                    ErrorKind::Process,
                    "the watchdog shell did not answer",
                    error,
                )
            })?;
        }
        if ready.trim_end() != "ready" {
            return Err(Error::new(
                ErrorKind::Directory,
                format!(
                    "cannot make the private directory {}: check that its parent exists and is \
                     writable",
                    directory.display()
                ),
            ));
        }
        Ok(watchdog)
    }

    /// The process group to start processes in that must end with the owner.
    ///
    /// For [`CommandExt::process_group`].
    #[must_use]
    pub fn process_group(&self) -> i32 {
        // Process ids are positive `pid_t`, that is i32, on every Unix.
        i32::try_from(self.shell.id()).unwrap_or_default()
    }

    /// Tells the watchdog which process it has to wait for once the owner is gone.
    ///
    /// # Errors
    /// [`ErrorKind::Process`] if the watchdog has been ended by someone.
    pub fn watch(&mut self, process: u32) -> Result<(), Error> {
        let Some(pipe) = &mut self.owner_end else {
            return Ok(());
        };
        writeln!(pipe, "{process}").map_err(|error| {
            Error::io(
                ErrorKind::Process,
                "the watchdog of the private server has been ended by someone",
                error,
            )
        })
    }

    /// Ends what is left of the process group, removes the directory, and waits until it is done.
    ///
    /// # Errors
    /// [`ErrorKind::Directory`] if the directory could not be removed.
    pub fn finish(&mut self) -> Result<(), Error> {
        let done = self.end().map_err(|error| {
            Error::io(ErrorKind::Process, "cannot wait for the watchdog", error)
        })?;
        if done {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Directory,
            format!(
                "the private directory {} could not be removed; remove it by hand",
                self.directory.display()
            ),
        ))
    }

    fn end(&mut self) -> io::Result<bool> {
        drop(self.owner_end.take());
        Ok(self.shell.wait()?.success() || !self.directory.exists())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Nobody is left to tell; the directory's name says whose it was.
        let _unreported = self.end();
    }
}
