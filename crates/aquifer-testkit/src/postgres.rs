mod backend;
mod login;
mod processes;
mod standby;

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use aquifer_embedded::{Builder, Embedded, Shutdown};

use crate::background::PATIENCE;
use crate::scratch::wait_until;
use crate::tls::CertificateFiles;

pub use login::Login;

/// A private PostgreSQL with a loopback port, a role for every way to log in, and faults on demand.
///
/// The calls block the thread, most of them for some ten milliseconds.
#[derive(Debug)]
pub struct Postgres {
    server: Mutex<Embedded>,
    paused: Mutex<Vec<u32>>,
    databases: AtomicU32,
    url: String,
    tcp_url: String,
    port: u16,
    socket_dir: PathBuf,
    data_dir: PathBuf,
    binaries: PathBuf,
}

/// A database that one test has for itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Database {
    /// Its name; needs no quotes.
    pub name: String,
    /// Its URL for the superuser, by the unix socket.
    pub url: String,
}

impl Postgres {
    /// Starts a server with the settings of [`builder`](Self::builder).
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Self::builder())
    }

    /// Where tests start from: a loopback port, 400 connections, a rule for every [`Login`].
    pub fn builder() -> Builder {
        let builder = Embedded::builder().tcp().setting("max_connections", "400");
        let builder = builder.start_timeout(2 * PATIENCE);
        login::rules(builder)
    }

    /// Starts a server as a [`builder`](Self::builder) says.
    #[must_use]
    pub fn start_with(builder: Builder) -> Self {
        let postgres = Self::of(builder.start().expect("a private PostgreSQL"));
        postgres.psql(login::ROLES);
        postgres
    }

    fn of(server: Embedded) -> Self {
        Self {
            url: server.url(),
            tcp_url: server
                .tcp_url()
                .expect("a test server listens on a port: start from `Postgres::builder`"),
            port: server.port(),
            socket_dir: server.socket_dir().to_path_buf(),
            data_dir: server.data_dir().to_path_buf(),
            binaries: server.binaries().to_path_buf(),
            server: Mutex::new(server),
            paused: Mutex::default(),
            databases: AtomicU32::new(0),
        }
    }

    /// The one server of this test process, started by the first test that asks.
    ///
    /// For tests that leave the server alone; give each its own [`Database`]. It is stopped when the
    /// process ends.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Makes a database for one test.
    #[must_use]
    pub fn create_database(&self) -> Database {
        let number = self.databases.fetch_add(1, Ordering::Relaxed) + 1;
        let name = format!("test_{}_{number}", std::process::id());
        self.psql(&format!("create database {name}"));
        Database {
            url: self.server().database_url(&name),
            name,
        }
    }

    /// The URL of database `postgres` for the superuser, by the unix socket.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of database `postgres` for the superuser, by the port, with the password.
    #[must_use]
    pub fn tcp_url(&self) -> &str {
        &self.tcp_url
    }

    /// The URL of database `postgres` for `login`, by the port, with the password if it has one.
    ///
    /// The host is 127.0.0.1; add parameters such as `?sslmode=require` as needed.
    #[must_use]
    pub fn login_url(&self, login: Login) -> String {
        login.url("127.0.0.1", self.port)
    }

    /// The port, on 127.0.0.1 and in the socket's name.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of the unix socket.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The unix socket itself.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.socket_dir.join(format!(".s.PGSQL.{}", self.port))
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The directory of the server's binaries and of `psql`.
    #[must_use]
    pub fn binaries(&self) -> &Path {
        &self.binaries
    }

    /// The id of the server process; none while it is stopped.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server().pid()
    }

    /// The server's log.
    #[must_use]
    pub fn log(&self) -> String {
        self.server().log()
    }

    /// Runs SQL as superuser in database `postgres`, beside everything under test.
    ///
    /// The answer has one line per row and `|` between columns.
    pub fn psql(&self, sql: &str) -> String {
        self.psql_at(&self.url, sql)
            .unwrap_or_else(|complaint| panic!("psql: {complaint}\nin: {sql}"))
    }

    /// Runs SQL in any database, as any role.
    ///
    /// # Errors
    /// What `psql` prints when it can't connect or a statement fails.
    pub fn psql_at(&self, url: &str, sql: &str) -> Result<String, String> {
        let output = Command::new(self.binaries.join("psql"))
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1", "--command", sql, url])
            // Nothing of this user's own settings, certificates and passwords.
            .env_clear()
            .envs(env::var_os("LD_LIBRARY_PATH").map(|path| ("LD_LIBRARY_PATH", path)))
            .env("HOME", "/nonexistent")
            .env("LC_ALL", "C.UTF-8")
            // Whatever fault is on, a test must come to an end.
            .env("PGCONNECT_TIMEOUT", "10")
            .env("PGOPTIONS", "-c statement_timeout=60s")
            .output()
            .expect("psql runs: it is part of the package with the client programs");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Stops the server and waits; sessions get 57P01 from a fast shutdown.
    pub fn shut_down(&self, mode: Shutdown) {
        self.resume_backends();
        self.server().shut_down(mode).expect("the server stops");
    }

    /// Starts a server that was stopped or killed, on the same port and socket.
    pub fn start_again(&self) {
        self.server().start_again().expect("the server starts");
    }

    /// Stops the server and starts it again.
    pub fn restart(&self, mode: Shutdown) {
        self.shut_down(mode);
        self.start_again();
    }

    /// Kills the server process (SIGKILL) and waits; its backends follow shortly after.
    pub fn kill(&self) {
        self.resume_backends();
        self.server().kill().expect("the server is killed");
    }

    /// Pauses the server process (SIGSTOP): sessions go on, new connections hang.
    pub fn pause(&self) {
        self.server().pause().expect("the server is paused");
    }

    /// Lets a paused server process go on (SIGCONT).
    pub fn resume(&self) {
        self.server().resume().expect("the server goes on");
    }

    /// Waits until the server answers, as after a crash of a backend.
    pub fn wait_until_ready(&self) {
        wait_until("the server answers", || {
            self.psql_at(&self.url, "select 1").is_ok()
        });
    }

    /// How many sessions clients have open, not counting this question's.
    #[must_use]
    pub fn client_count(&self) -> usize {
        let count = self.psql(
            "select count(*) from pg_stat_activity \
             where backend_type = 'client backend' and pid <> pg_backend_pid()",
        );
        count.parse().expect("a number")
    }

    /// Replaces the server's certificate while it runs; new connections get the new one.
    ///
    /// The server must have been started with TLS.
    pub fn replace_certificate(&self, files: &CertificateFiles) {
        let loaded = || self.psql("select pg_conf_load_time()");
        let before = loaded();
        let owner = fs::metadata(&self.data_dir).expect("the data directory exists");
        for (source, name) in [
            (&files.certificate, "server.crt"),
            (&files.key, "server.key"),
        ] {
            let new = self.data_dir.join(format!("{name}.new"));
            fs::copy(source, &new).expect("the file is copied");
            fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).expect("it is ours");
            chown(&new, Some(owner.uid()), Some(owner.gid())).expect("it is ours");
            fs::rename(&new, self.data_dir.join(name)).expect("it is ours");
        }
        self.server().reload().expect("the server reloads");
        wait_until("the server has the new certificate", || loaded() != before);
    }

    fn server(&self) -> MutexGuard<'_, Embedded> {
        // A test that panicked inside is reported as such; the others go on.
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A paused backend would make the shutdown wait until PostgreSQL kills it.
        self.resume_backends();
    }
}
