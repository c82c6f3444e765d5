//! A private PostgreSQL for one run.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

use crate::statements::SCHEMA;
use crate::{Error, Place, delay};

/// Sessions of all contenders together, and some room.
const SETTINGS: &str = "\
    listen_addresses = '127.0.0.1'
    max_connections = 400
    shared_buffers = '256MB'
    max_wal_size = '4GB'
    autovacuum = off
    jit = off
    ";

/// Whether COMMIT waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// `fsync` and `synchronous_commit` are on, as PostgreSQL has them by default.
    On,
    /// Both are off.
    Off,
}

/// A server in a directory of its own, stopped and removed when it is dropped.
pub struct Server {
    control: Client,
    files: Files,
}

/// Its processes and its directory.
struct Files {
    directory: PathBuf,
    binaries: PathBuf,
    account: Option<Account>,
    process: Child,
    port: u16,
}

/// Whom a root process steps down to: PostgreSQL does not run as root.
#[derive(Clone, Copy)]
struct Account {
    user: u32,
    group: u32,
}

impl Server {
    /// Starts it and loads the tables.
    ///
    /// # Errors
    /// When PostgreSQL's binaries are not found or do not start.
    pub async fn start(durability: Durability) -> Result<Self, Error> {
        let files = Files::start(durability)?;
        let place = Place::new(&files.directory.display().to_string(), files.port);
        let control = connect(&place).await?;
        for statement in statements(SCHEMA) {
            control.batch_execute(statement).await?;
        }
        Ok(Self { control, files })
    }

    /// Its unix socket.
    #[must_use]
    pub fn unix(&self) -> Place {
        Place::new(&self.files.directory.display().to_string(), self.files.port)
    }

    /// TCP on loopback.
    #[must_use]
    pub fn tcp(&self) -> Place {
        Place::new("127.0.0.1", self.files.port)
    }

    /// TCP through a proxy that adds `round_trip`.
    ///
    /// # Errors
    /// When the proxy does not start.
    pub fn delayed(&self, round_trip: Duration) -> Result<Place, Error> {
        let port = delay::start(self.files.port, round_trip)?;
        Ok(Place::new("127.0.0.1", port))
    }

    /// Its first process, whose children are the sessions.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.files.process.id()
    }

    /// Empties a table.
    ///
    /// # Errors
    /// What the server says.
    pub async fn truncate(&self, table: &str) -> Result<(), Error> {
        let statement = format!("truncate {table}");
        Ok(self.control.batch_execute(&statement).await?)
    }

    /// How many rows a table has.
    ///
    /// # Errors
    /// What the server says.
    pub async fn count(&self, table: &str) -> Result<usize, Error> {
        let statement = format!("select count(*) from {table}");
        let count: i64 = self.control.query_one(&statement, &[]).await?.try_get(0)?;
        Ok(usize::try_from(count)?)
    }

    /// How many sessions call themselves so.
    ///
    /// # Errors
    /// What the server says.
    pub async fn sessions(&self, application: &str) -> Result<usize, Error> {
        let statement = "select count(*) from pg_stat_activity where application_name = $1";
        let row = self.control.query_one(statement, &[&application]).await?;
        let count: i64 = row.try_get(0)?;
        Ok(usize::try_from(count)?)
    }

    /// What was written so far goes to the disk now, and not in the middle of a turn.
    ///
    /// # Errors
    /// What the server says.
    pub async fn checkpoint(&self) -> Result<(), Error> {
        Ok(self.control.batch_execute("checkpoint").await?)
    }

    /// Its version.
    ///
    /// # Errors
    /// What the server says.
    pub async fn version(&self) -> Result<String, Error> {
        let row = self.control.query_one("show server_version", &[]).await?;
        Ok(row.try_get(0)?)
    }
}

/// Statements of a script; none of them has a semicolon at a line's end but the last character.
fn statements(script: &str) -> impl Iterator<Item = &str> {
    script.split_inclusive(";\n")
}

async fn connect(place: &Place) -> Result<Client, Error> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match tokio_postgres::connect(&place.pairs(), NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                return Ok(client);
            }
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

impl Files {
    fn start(durability: Durability) -> Result<Self, Error> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let binaries = find_binaries()?;
        let account = step_down()?;
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = format!("aquifer-bench-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        fs::create_dir(&directory)?;
        if let Some(Account { user, group }) = account {
            chown(&directory, Some(user), Some(group))?;
        }
        let data = directory.join("data");
        let mut initdb = as_account(&binaries.join("initdb"), account);
        initdb.args(["--auth=trust", "--username=postgres", "--locale=C"]);
        initdb.args(["--encoding=UTF8", "--no-sync", "--pgdata"]);
        let made = initdb.arg(&data).output()?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stderr).into_owned();
            return Err(format!("initdb failed: {said}").into());
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let place = format!(
            "port = {port}\nunix_socket_directories = '{}'\n",
            directory.display()
        );
        let own = data.join("postgresql.conf");
        let durable = match durability {
            Durability::On => "fsync = on\nsynchronous_commit = on\n",
            Durability::Off => "fsync = off\nsynchronous_commit = off\n",
        };
        fs::write(&own, format!("{SETTINGS}{durable}{place}"))?;
        let mut postgres = as_account(&binaries.join("postgres"), account);
        postgres.arg("-D").arg(&data);
        postgres.stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self {
            process: postgres.spawn()?,
            directory,
            binaries,
            account,
            port,
        })
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let mut stop = as_account(&self.binaries.join("pg_ctl"), self.account);
        stop.args(["stop", "--mode=fast", "--silent", "--pgdata"]);
        // At worst the directory stays behind, which the system's own cleaning finds.
        if stop.arg(self.directory.join("data")).status().is_err() {
            self.process.kill().ok();
        }
        self.process.wait().ok();
        fs::remove_dir_all(&self.directory).ok();
    }
}

fn find_binaries() -> Result<PathBuf, Error> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<PathBuf> = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|binaries| binaries.join("postgres").exists())
        .collect();
    found.sort();
    std::env::var_os("AQUIFER_PG_BIN")
        .map(PathBuf::from)
        .or_else(|| found.pop())
        .ok_or_else(|| "no PostgreSQL binaries found; set AQUIFER_PG_BIN".into())
}

/// `None` when this process is not root.
fn step_down() -> Result<Option<Account>, Error> {
    let status = fs::read_to_string("/proc/self/status")?;
    let own = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    if own.and_then(|ids| ids.split_whitespace().nth(1)) != Some("0") {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd")?;
    let entry = ["postgres", "nobody"].into_iter().find_map(|name| {
        let of = |line: &&str| line.split(':').next() == Some(name);
        accounts.lines().find(of)
    });
    let entry = entry.ok_or("neither postgres nor nobody in /etc/passwd")?;
    let mut fields = entry.split(':').skip(2);
    let mut number = || fields.next().and_then(|field| field.parse().ok());
    let (user, group) = (number(), number());
    let (Some(user), Some(group)) = (user, group) else {
        return Err("a malformed line in /etc/passwd".into());
    };
    Ok(Some(Account { user, group }))
}

fn as_account(program: &Path, account: Option<Account>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/");
    if let Some(Account { user, group }) = account {
        command.uid(user).gid(group);
    }
    command
}
