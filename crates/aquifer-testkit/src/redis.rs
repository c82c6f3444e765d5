mod cluster;
mod sentinels;

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

pub use self::cluster::RedisCluster;
pub use self::sentinels::Sentinels;
use crate::background::PATIENCE;
use crate::process::{Process, on_free_port};
use crate::scratch::{Scratch, wait_until};
use crate::tls::{CertificateFiles, Tls};

const MISSING: &str = "this test needs `redis-server`, which is not installed: \
                       apt-get install redis-server (Debian, Ubuntu), dnf install redis (Fedora), \
                       brew install redis (macOS)";

/// The user of the commands that stand beside everything under test, whatever becomes of the others.
const OWN_USER: &str = "testkit";

/// A private Redis on a loopback port, without persistence, that ends with the test process.
///
/// The port is below 55,536, which leaves room for a cluster's bus.
#[derive(Debug)]
pub struct Redis {
    // Dropped in this order: the server first, then the directory and its watchdog.
    process: Mutex<Option<Process>>,
    scratch: Mutex<Scratch>,
    directory: PathBuf,
    settings: Vec<String>,
    kind: Kind,
    port: u16,
}

/// What the process is started as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Server,
    /// It speaks TLS only.
    Tls,
    /// It reads the file `sentinel.conf` in its directory.
    Sentinel,
}

impl Redis {
    /// Starts a Redis with its defaults.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a Redis with settings, such as `["--maxmemory", "1mb"]`.
    #[must_use]
    pub fn start_with(settings: &[&str]) -> Self {
        Self::start_as(Kind::Server, settings, |_directory| {})
    }

    /// Starts a Redis that speaks TLS only, with a certificate; with `clients`, only with those who
    /// show one of the trusted authority.
    #[must_use]
    pub fn start_with_tls(tls: &Tls, server: &CertificateFiles, clients: bool) -> Self {
        let path = |path: &Path| path.to_str().expect("a plain path").to_owned();
        let (certificate, key, roots) = (
            path(&server.certificate),
            path(&server.key),
            path(&tls.roots()),
        );
        let wanted = if clients { "yes" } else { "no" };
        let settings = [
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &roots,
            "--tls-auth-clients",
            wanted,
        ];
        Self::start_as(Kind::Tls, &settings, |_directory| {})
    }

    /// Starts a replica of this server, and waits until it follows.
    #[must_use]
    pub fn start_replica(&self) -> Self {
        let port = self.port.to_string();
        // Delays of the first copy are for servers whose replicas come and go.
        let replica = Self::start_with(&["--replicaof", "127.0.0.1", &port]);
        wait_until("the replica follows", || {
            let state = replica.command(&["INFO", "replication"]);
            state.contains("master_link_status:up")
        });
        replica
    }

    fn start_as(kind: Kind, settings: &[&str], prepare: impl Fn(&Path)) -> Self {
        let scratch = Scratch::new("redis");
        let mut redis = Self {
            process: Mutex::new(None),
            directory: scratch.path.clone(),
            scratch: Mutex::new(scratch),
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            kind,
            port: 0,
        };
        prepare(&redis.directory);
        let launched = on_free_port(|port| {
            redis.port = port;
            redis.launch().then_some(())
        });
        assert!(
            launched.is_some(),
            "redis-server found no free port; its log:\n{}",
            redis.log()
        );
        redis
    }

    /// `redis://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.join("redis.sock")
    }

    /// The id of the server process; none while it is stopped.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Process::id)
    }

    /// The server's log.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(self.directory.join("redis.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Runs one command, beside everything under test.
    ///
    /// The answer has one line per element; nil is empty.
    pub fn command(&self, words: &[&str]) -> String {
        self.try_command(words)
            .unwrap_or_else(|complaint| panic!("redis: {complaint}\nin: {words:?}"))
    }

    /// Runs one command, beside everything under test.
    ///
    /// # Errors
    /// The server's error, or what the system says if there is no answer within a minute.
    pub fn try_command(&self, words: &[&str]) -> Result<String, String> {
        let login = match self.kind {
            Kind::Server | Kind::Tls => encoded(&["AUTH", OWN_USER, OWN_USER]),
            Kind::Sentinel => encoded(&["PING"]),
        };
        let request = login + &encoded(words);
        let ask = || {
            let stream = UnixStream::connect(self.socket())?;
            stream.set_read_timeout(Some(PATIENCE))?;
            (&stream).write_all(request.as_bytes())?;
            let mut answers = BufReader::new(stream);
            let _logged_in = reply(&mut answers)?;
            reply(&mut answers)
        };
        ask().map_err(|error: io::Error| error.to_string())?
    }

    /// Stops the server in order (SIGTERM) and waits; its data is gone.
    pub fn stop(&self) {
        if let Some(process) = &mut *self.process() {
            process.end(Signal::TERM);
        }
        *self.process() = None;
    }

    /// Kills the server (SIGKILL) and waits.
    pub fn kill(&self) {
        if let Some(process) = &mut *self.process() {
            process.end(Signal::KILL);
        }
        *self.process() = None;
    }

    /// Pauses the server (SIGSTOP): connections are accepted by the system and nobody answers.
    pub fn pause(&self) {
        if let Some(process) = &*self.process() {
            process.signal(Signal::STOP);
        }
    }

    /// Lets a paused server go on (SIGCONT).
    pub fn resume(&self) {
        if let Some(process) = &*self.process() {
            process.signal(Signal::CONT);
        }
    }

    /// Starts a server that was stopped or killed on the same port: empty, or with the data of its
    /// [copy](Self::keep_copy).
    pub fn start_again(&self) {
        if self.pid().is_none() {
            assert!(
                self.launch(),
                "the port {} was taken:\n{}",
                self.port,
                self.log()
            );
        }
    }

    /// Keeps a copy of the data, with which the server is started again from then on.
    pub fn keep_copy(&self) {
        self.command(&["SAVE"]);
    }

    /// Forgets the copy: the server is started again empty.
    pub fn forget_copy(&self) {
        let _there_was_none = fs::remove_file(self.directory.join("dump.rdb"));
    }

    /// Kills the server and starts it again with its data, which it takes long to load: it answers
    /// LOADING for about `time`.
    pub fn restart_loading(&self, time: Duration) {
        // For each key so long, and while it loads it looks for requests once per so many bytes.
        let delay = Duration::from_millis(2);
        let keys = (time.as_millis() / delay.as_millis()).to_string();
        let ballast = "for key = 1, tonumber(ARGV[1]) do \
                       redis.call('SET', 'ballast:' .. key, string.rep('x', 1024)) end";
        self.command(&["EVAL", ballast, "0", &keys]);
        self.command(&["CONFIG", "SET", "rdbcompression", "no"]);
        self.command(&["SAVE"]);
        self.kill();
        let delay = delay.as_micros().to_string();
        let slowly = ["--key-load-delay", &delay];
        let often = ["--loading-process-events-interval-bytes", "4096"];
        let more: Vec<_> = slowly
            .iter()
            .chain(&often)
            .map(|&word| word.to_owned())
            .collect();
        let process = self.spawn(&more);
        *self.process() = Some(process);
        wait_until("the server loads", || {
            let answer = self.try_command(&["GET", "a"]);
            answer.is_err_and(|error| error.starts_with("LOADING"))
        });
    }

    /// Starts the process and waits until it answers; `false` if the port is taken.
    fn launch(&self) -> bool {
        let mut process = self.spawn(&[]);
        let end = Instant::now() + PATIENCE;
        while !self.answers() {
            if process.has_ended() {
                let log = self.log();
                assert!(
                    log.contains("Address already in use"),
                    "redis-server ended:\n{log}"
                );
                return false;
            }
            assert!(
                Instant::now() < end,
                "redis-server is not ready:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        *self.process() = Some(process);
        true
    }

    fn spawn(&self, more: &[String]) -> Process {
        let _old_log = fs::remove_file(self.directory.join("redis.log"));
        let (mut scratch, port) = (
            self.scratch.lock().unwrap_or_else(PoisonError::into_inner),
            self.port.to_string(),
        );
        let mut command = Command::new("redis-server");
        match self.kind {
            Kind::Server => command.args(["--port", &port]),
            Kind::Tls => command.args(["--port", "0", "--tls-port", &port]),
            Kind::Sentinel => {
                command.arg(self.directory.join("sentinel.conf"));
                command.args(["--sentinel", "--port", &port])
            }
        };
        if self.kind != Kind::Sentinel {
            command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
            command.args(["--repl-diskless-sync-delay", "0"]);
            let password = format!(">{OWN_USER}");
            command.args(["--user", OWN_USER, "on", &password, "~*", "&*", "+@all"]);
        }
        command
            .args(["--bind", "127.0.0.1"])
            .arg("--dir")
            .arg(&self.directory)
            .arg("--unixsocket")
            .arg(self.socket())
            .arg("--logfile")
            .arg(self.directory.join("redis.log"))
            .args(&self.settings)
            .args(more);
        Process::start(&mut command, &mut scratch, MISSING)
    }

    /// Whether our server is there; on its port alone, another one might answer.
    fn answers(&self) -> bool {
        let ready = match self.kind {
            Kind::Server | Kind::Tls => "Ready to accept connections",
            Kind::Sentinel => "+monitor master",
        };
        self.log().contains(ready) && TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command as it is sent.
fn encoded(words: &[&str]) -> String {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        // Writing to a `String` can't fail.
        let _infallible = write!(request, "${}\r\n{word}\r\n", word.len());
    }
    request
}

/// Reads one RESP2 answer; the inner error is the server's.
fn reply(stream: &mut impl BufRead) -> io::Result<Result<String, String>> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.trim_end();
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, format!("answer {line:?}"));
    let (kind, rest) = line.split_at_checked(1).ok_or_else(malformed)?;
    match kind {
        "+" | ":" => Ok(Ok(rest.to_owned())),
        "-" => Ok(Err(rest.to_owned())),
        "$" | "*" if rest == "-1" => Ok(Ok(String::new())),
        "$" => {
            let length: usize = rest.parse().map_err(|_not_a_number| malformed())?;
            let mut bytes = vec![0; length + 2];
            stream.read_exact(&mut bytes)?;
            bytes.truncate(length);
            Ok(Ok(String::from_utf8_lossy(&bytes).into_owned()))
        }
        "*" => {
            let length: usize = rest.parse().map_err(|_not_a_number| malformed())?;
            let elements: Result<Result<Vec<_>, _>, _> =
                (0..length).map(|_| reply(stream)).collect();
            Ok(elements?.map(|elements| elements.join("\n")))
        }
        _ => Err(malformed()),
    }
}
