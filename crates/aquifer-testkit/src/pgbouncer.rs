use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::postgres::{Database, Login, Postgres};
use crate::process::{Process, on_free_port};
use crate::scratch::{Scratch, wait_until};

const MISSING: &str = "this test needs `pgbouncer`, which is not installed: \
                       apt-get install pgbouncer (Debian, Ubuntu), dnf install pgbouncer (Fedora), \
                       brew install pgbouncer (macOS)";

/// A private PgBouncer in transaction mode on a loopback port, in front of a [`Postgres`]; it ends
/// with the test process.
///
/// Its clients all work as [`Login::Trust`], whatever they call themselves.
#[derive(Debug)]
pub struct PgBouncer {
    // Dropped in this order: the process first, then the directory and its watchdog.
    process: Process,
    scratch: Scratch,
    port: u16,
}

impl PgBouncer {
    /// Starts one with four connections to each database.
    #[must_use]
    pub fn start(server: &Postgres) -> Self {
        Self::start_with(server, &[])
    }

    /// Starts one with lines of its configuration, such as `["default_pool_size = 2"]`.
    #[must_use]
    pub fn start_with(server: &Postgres, settings: &[&str]) -> Self {
        let mut scratch = Scratch::new("pgbouncer");
        let launched = on_free_port(|port| {
            let process = launch(&mut scratch, server, port, settings)?;
            Some((process, port))
        });
        let Some((process, port)) = launched else {
            let log = log(&scratch.path);
            panic!("pgbouncer found no free port; its log:\n{log}");
        };
        Self {
            process,
            scratch,
            port,
        }
    }

    /// The URL of `database` by way of this pooler. The database goes over to the pooler's role, so
    /// that it can make tables there.
    #[must_use]
    pub fn url(&self, server: &Postgres, database: &Database) -> String {
        let role = Login::Trust.role();
        server.psql(&format!("alter database {} owner to {role}", database.name));
        format!(
            "postgresql://{role}@127.0.0.1:{}/{}",
            self.port, database.name
        )
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> String {
        log(&self.scratch.path)
    }
}

/// Starts the process and waits until it listens; `None` if the port is taken.
fn launch(
    scratch: &mut Scratch,
    server: &Postgres,
    port: u16,
    settings: &[&str],
) -> Option<Process> {
    let directory = scratch.path.clone();
    let _old_log = fs::remove_file(directory.join("pgbouncer.log"));
    let file = directory.join("pgbouncer.ini");
    fs::write(&file, configuration(&directory, server, port, settings)).expect("a new file");
    let mut command = Command::new(program());
    command.arg("--quiet").arg(&file);
    // It does not run as root, but as whom the server runs.
    let owner = fs::metadata(server.data_dir()).expect("the server's directory");
    if rustix::process::geteuid().is_root() {
        let (user, group) = (owner.uid(), owner.gid());
        chown(&directory, Some(user), Some(group)).expect("root may do that");
        command.uid(user).gid(group);
    }
    let mut process = Process::start(&mut command, scratch, MISSING);
    let mut taken = false;
    wait_until("pgbouncer listens", || {
        if process.has_ended() {
            let log = log(&directory);
            assert!(
                log.contains("already in use"),
                "pgbouncer ended; its log:\n{log}"
            );
            taken = true;
        }
        taken || answers(&directory, port)
    });
    (!taken).then_some(process)
}

fn configuration(directory: &Path, server: &Postgres, port: u16, settings: &[&str]) -> String {
    let directory = directory.display();
    let (socket_dir, server_port) = (server.socket_dir().display(), server.port());
    let role = Login::Trust.role();
    format!(
        "[databases]\n\
         * = host={socket_dir} port={server_port} user={role}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = any\n\
         pool_mode = transaction\n\
         default_pool_size = 4\n\
         max_client_conn = 500\n\
         logfile = {directory}/pgbouncer.log\n\
         {}\n",
        settings.join("\n")
    )
}

/// Debian keeps it where only root looks.
fn program() -> PathBuf {
    let usual = Path::new("/usr/sbin/pgbouncer");
    if usual.exists() {
        usual.to_path_buf()
    } else {
        PathBuf::from("pgbouncer")
    }
}

fn log(directory: &Path) -> String {
    let bytes = fs::read(directory.join("pgbouncer.log")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether ours is there; on its port alone, another one might answer.
fn answers(directory: &Path, port: u16) -> bool {
    log(directory).contains(&format!("listening on 127.0.0.1:{port}"))
        && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}
