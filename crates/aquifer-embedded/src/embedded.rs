use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::builder::{Builder, Tcp};
use crate::cluster::Cluster;
use crate::deadline::{Deadline, Stopwatch};
use crate::place;
use crate::postmaster::{Log, Postmaster, Shutdown, StartFailure};
use crate::url;
use crate::watchdog::{Ending, Watchdog};
use crate::{Error, ErrorKind};

/// The port in a socket's name; nobody else has a socket in a private directory.
const SOCKET_PORT: u16 = 5432;

/// A private PostgreSQL that ends with its owner.
///
/// [`stop`](Self::stop) ends it and reports failures, dropping it ends it silently, and if the owner
/// is killed its [`Watchdog`] does so. All of these remove a temporary directory.
pub struct Embedded {
    // Dropped in this order: the server first, then the watchdog, which removes the directory.
    postmaster: Option<Postmaster>,
    pub(crate) watchdog: Watchdog,
    pub(crate) options: Builder,
    pub(crate) cluster: Cluster,
    pub(crate) private: PathBuf,
    pub(crate) log: Log,
    pub(crate) port: u16,
    initdb_time: Option<Duration>,
    start_time: Duration,
}

impl Embedded {
    /// Starts a server in a temporary directory, reachable by a unix socket.
    ///
    /// ```
    /// let server = aquifer_embedded::Embedded::start()?;
    /// println!("connect to {}", server.url());
    /// server.stop()?;
    /// # Ok::<(), aquifer_embedded::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub fn start() -> Result<Self, Error> {
        Self::builder().start()
    }

    /// Says how the server is to be before it starts.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn launch(options: Builder) -> Result<Self, Error> {
        let mut cluster = Cluster::choose(&options)?;
        let private = place::private_directory(&cluster.account)?;
        let (lock, ending) = if options.directory.is_some() {
            (Some(cluster.lock()?), Ending::Fast)
        } else {
            cluster.data = private.join("data");
            (None, Ending::Immediate)
        };
        let mut watchdog = Watchdog::start(&private, &cluster.data, ending, lock)?;
        cluster.account.give(&private)?;
        let mut initdb_time = None;
        if !cluster.exists() {
            let stopwatch = Stopwatch::start();
            match &options.source {
                None => cluster.initialize(&options, &private, &mut watchdog)?,
                Some(source) => cluster.copy(source, &options, &private, &mut watchdog)?,
            }
            initdb_time = Some(stopwatch.elapsed());
        }
        let (path, file) = cluster.log()?;
        let mut embedded = Self {
            postmaster: None,
            watchdog,
            port: match options.tcp {
                Tcp::Off => SOCKET_PORT,
                Tcp::AnyPort => free_port()?,
                Tcp::Port(port) => port,
            },
            options,
            cluster,
            private,
            log: Log { path, file },
            initdb_time,
            start_time: Duration::ZERO,
        };
        embedded.start_server(true)?;
        Ok(embedded)
    }

    /// Starts the server again after [`shut_down`](Self::shut_down) or after it died by itself.
    ///
    /// Directory, socket and port stay the same. Does nothing if it runs.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub fn start_again(&mut self) -> Result<(), Error> {
        if self.is_running() {
            return Ok(());
        }
        self.postmaster = None;
        self.start_server(false)
    }

    fn start_server(&mut self, may_move: bool) -> Result<(), Error> {
        let stopwatch = Stopwatch::start();
        let deadline = Deadline::after(self.options.start_timeout);
        loop {
            self.cluster
                .configure(&self.options, &self.private, self.port)?;
            let started = Postmaster::start(&self.cluster, &self.log, &mut self.watchdog, deadline);
            match started {
                Ok(postmaster) => {
                    self.postmaster = Some(postmaster);
                    self.start_time = stopwatch.elapsed();
                    return Ok(());
                }
                Err(StartFailure::Final(error)) => return Err(error),
                Err(StartFailure::PortTaken) => {
                    let free = may_move && matches!(self.options.tcp, Tcp::AnyPort);
                    if !free || !deadline.pause() {
                        return Err(Error::new(
                            ErrorKind::InUse,
                            format!("tcp_port: port {} is taken; choose another", self.port),
                        ));
                    }
                    self.port = free_port()?;
                }
                Err(StartFailure::OldBackends) => {
                    if !deadline.pause() {
                        return Err(self.cluster.in_use("backends of a server that was killed"));
                    }
                }
            }
        }
    }

    /// The URL of database `postgres` for the superuser, by the unix socket.
    #[must_use]
    pub fn url(&self) -> String {
        self.database_url("postgres")
    }

    /// The URL of another database for the superuser, by the unix socket.
    #[must_use]
    pub fn database_url(&self, database: &str) -> String {
        url::socket(&self.options.superuser, &self.private, self.port, database)
    }

    /// The URL of database `postgres` by the loopback port, with the password; none without a port.
    #[must_use]
    pub fn tcp_url(&self) -> Option<String> {
        let port = self.tcp_port()?;
        let password = self.cluster.password();
        Some(url::loopback(
            &self.options.superuser,
            password.as_deref(),
            port,
            "postgres",
        ))
    }

    /// The port on 127.0.0.1, if [`Builder::tcp`] or [`Builder::tcp_port`] asked for one.
    #[must_use]
    pub fn tcp_port(&self) -> Option<u16> {
        (!matches!(self.options.tcp, Tcp::Off)).then_some(self.port)
    }

    /// The port in the socket's name, which is also the TCP port if there is one.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of the unix socket, for libpq's `host`; only this user and root can enter it.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.private
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.cluster.data
    }

    /// The directory of the server's binaries.
    #[must_use]
    pub fn binaries(&self) -> &Path {
        &self.cluster.binaries
    }

    /// The server's log since this owner started it.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log.path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The id of the server process; none once it was stopped.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.postmaster.as_ref().map(Postmaster::id)
    }

    /// How long `initdb` took, or the copy of a primary; none if the directory held a cluster already.
    #[must_use]
    pub fn initdb_time(&self) -> Option<Duration> {
        self.initdb_time
    }

    /// How long the last start of the server took, until it was ready.
    #[must_use]
    pub fn start_time(&self) -> Duration {
        self.start_time
    }

    /// Whether the server process is there.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        self.postmaster
            .as_mut()
            .is_some_and(|postmaster| matches!(postmaster.ended(), Ok(None)))
    }

    /// Kills the server process and waits for its end, to see what a client makes of it.
    ///
    /// Its backends end shortly after; [`start_again`](Self::start_again) waits for that.
    ///
    /// # Errors
    /// [`ErrorKind::Process`] if the system refuses.
    pub fn kill(&mut self) -> Result<(), Error> {
        let Some(mut postmaster) = self.postmaster.take() else {
            return Ok(());
        };
        postmaster.kill()
    }

    /// Pauses the server process, as SIGSTOP does; its backends go on, new connections hang.
    ///
    /// # Errors
    /// [`ErrorKind::Process`] if the system refuses.
    pub fn pause(&mut self) -> Result<(), Error> {
        self.signal(Signal::STOP)
    }

    /// Lets a paused server process go on.
    ///
    /// # Errors
    /// [`ErrorKind::Process`] if the system refuses.
    pub fn resume(&mut self) -> Result<(), Error> {
        self.signal(Signal::CONT)
    }

    fn signal(&mut self, signal: Signal) -> Result<(), Error> {
        match &mut self.postmaster {
            Some(postmaster) => postmaster.signal(signal),
            None => Ok(()),
        }
    }

    /// Makes the server read its settings and TLS files again.
    ///
    /// # Errors
    /// [`ErrorKind::Process`] if the system refuses the signal.
    pub fn reload(&mut self) -> Result<(), Error> {
        self.signal(Signal::HUP)
    }

    /// Stops the server and keeps its directory, so that [`start_again`](Self::start_again) works.
    ///
    /// Takes at most half a minute.
    ///
    /// # Errors
    /// [`ErrorKind::Stop`] if it had to be ended by force; it has ended nevertheless.
    pub fn shut_down(&mut self, mode: Shutdown) -> Result<(), Error> {
        let Some(mut postmaster) = self.postmaster.take() else {
            return Ok(());
        };
        postmaster.stop(mode)
    }

    /// Stops the server in order and removes a temporary directory; takes at most a minute.
    ///
    /// # Errors
    /// [`ErrorKind::Stop`] if the server had to be ended by force, [`ErrorKind::Directory`] if the
    /// directory could not be removed.
    pub fn stop(mut self) -> Result<(), Error> {
        let stopped = self.shut_down(Shutdown::Fast);
        let removed = self.watchdog.finish();
        stopped.and(removed)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let mode = if self.options.directory.is_some() {
            Shutdown::Fast
        } else {
            Shutdown::Immediate
        };
        // Nobody is left to tell; whoever wants to know calls `stop`.
        let _unreported = self.shut_down(mode);
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Embedded")
            .field("pid", &self.pid())
            .field("data_dir", &self.data_dir())
            .field("socket_dir", &self.socket_dir())
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

fn free_port() -> Result<u16, Error> {
    place::free_port()
        .ok_or_else(|| Error::new(ErrorKind::Process, "no free port on 127.0.0.1 was found"))
}
