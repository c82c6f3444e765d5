//! A private PostgreSQL for one run.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::user::SCHEMA;
use crate::{Error, delay};

/// Sessions of all contenders together, and some room.
const SETTINGS: &str = "\
    listen_addresses = '127.0.0.1'
    max_connections = 200
    shared_buffers = '256MB'
    fsync = off
    synchronous_commit = off
    autovacuum = off
    jit = off
    ";

/// A server in a directory of its own, stopped and removed when it is dropped.
pub struct Server {
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
    /// Starts it and loads the table.
    ///
    /// # Errors
    /// When PostgreSQL's binaries are not found or do not start.
    pub async fn start() -> Result<Self, Error> {
        let binaries = find_binaries()?;
        let account = step_down()?;
        let directory = std::env::temp_dir().join(format!("aquifer-bench-{}", std::process::id()));
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
        fs::write(&own, format!("{SETTINGS}{place}"))?;
        let mut postgres = as_account(&binaries.join("postgres"), account);
        postgres.arg("-D").arg(&data);
        postgres.stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self {
            process: postgres.spawn()?,
            directory,
            binaries,
            account,
            port,
        };
        server.load().await?;
        Ok(server)
    }

    /// Connection parameters for its unix socket.
    #[must_use]
    pub fn unix(&self) -> String {
        self.at(&self.directory.display().to_string(), self.port)
    }

    /// Connection parameters for TCP on loopback.
    #[must_use]
    pub fn tcp(&self) -> String {
        self.at("127.0.0.1", self.port)
    }

    /// Connection parameters for TCP through a proxy that adds `round_trip`.
    ///
    /// # Errors
    /// When the proxy does not start.
    pub fn delayed(&self, round_trip: Duration) -> Result<String, Error> {
        let port = delay::start(self.port, round_trip)?;
        Ok(self.at("127.0.0.1", port))
    }

    fn at(&self, host: &str, port: u16) -> String {
        format!("host={host} port={port} user=postgres dbname=postgres sslmode=disable")
    }

    /// Its first process, whose children are the sessions.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    async fn load(&self) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match tokio_postgres::connect(&self.unix(), tokio_postgres::NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    for statement in SCHEMA.split_inclusive(';') {
                        client.batch_execute(statement).await?;
                    }
                    return Ok(());
                }
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

impl Drop for Server {
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
