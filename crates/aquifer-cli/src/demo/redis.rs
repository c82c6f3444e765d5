//! A Redis of the demo's own, which ends with the demo, even if that is killed.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStdin, Command};

use super::patience;
use super::stage::Failure;

const PROGRAM: &str = "redis-server";

/// Starts and kills the server as it is told. When its standard input ends, because the demo says so or is
/// no more, the server is killed and the directory removed.
const COMPANION: &str = r#"
server=
end() {
    if [ -n "$server" ]; then
        kill -9 "$server"
        wait "$server" 2>/dev/null
    fi
    server=
}
while read -r word; do
    end
    if [ "$word" = start ]; then
        redis-server --port 0 --unixsocket "$1/redis.sock" --dir "$1" --save "" --appendonly no \
            >"$1/redis.log" 2>&1 </dev/null &
        server=$!
    fi
done
end
rm -rf "$1"
"#;

/// The server with the directory in which its socket is.
pub(super) struct RedisServer {
    directory: PathBuf,
    companion: Child,
    orders: ChildStdin,
}

/// Whether there is a program to start.
pub(super) fn is_installed() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(PROGRAM).is_file())
}

impl RedisServer {
    pub(super) async fn start() -> Result<Self, Failure> {
        let name = format!("aquifer-demo-redis-{}", std::process::id());
        let directory = env::temp_dir().join(name);
        tokio::task::spawn_blocking({
            let directory = directory.clone();
            move || private(&directory)
        })
        .await??;
        let mut companion = Command::new("sh")
            .args(["-c", COMPANION, "sh"])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for the demo.
            .process_group(0)
            .spawn()?;
        let orders = companion.stdin.take().ok_or("sh has no standard input")?;
        let mut server = Self {
            directory,
            companion,
            orders,
        };
        server.start_again().await?;
        Ok(server)
    }

    /// Starts it anew, empty.
    pub(super) async fn start_again(&mut self) -> Result<(), Failure> {
        self.orders.write_all(b"start\n").await?;
        let socket = self.directory.join("redis.sock");
        let answers = async || Ok(answers(&socket).await.is_some());
        patience::until("Redis answers", answers).await.map(drop)
    }

    /// `kill -9`; what it held is gone.
    pub(super) async fn kill(&mut self) -> Result<(), Failure> {
        self.orders.write_all(b"kill\n").await?;
        let socket = self.directory.join("redis.sock");
        let is_away = async || Ok(answers(&socket).await.is_none());
        patience::until("Redis is away", is_away).await.map(drop)
    }

    /// Kills it, and removes what it left.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        drop(self.orders);
        self.companion.wait().await?;
        if self.directory.exists() {
            return Err(format!("{} is still there", self.directory.display()).into());
        }
        Ok(())
    }

    pub(super) fn url(&self) -> String {
        format!("redis+unix://{}/redis.sock", self.directory.display())
    }
}

/// A directory that nobody else may look into.
fn private(directory: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    Ok(std::fs::DirBuilder::new().mode(0o700).create(directory)?)
}

async fn answers(socket: &Path) -> Option<()> {
    let ask = async {
        let mut stream = UnixStream::connect(socket).await.ok()?;
        stream.write_all(b"PING\r\n").await.ok()?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).await.ok()?;
        (answer == *b"+PONG\r\n").then_some(())
    };
    tokio::time::timeout(Duration::from_secs(1), ask)
        .await
        .ok()?
}
