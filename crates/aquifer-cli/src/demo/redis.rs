//! A Redis of the demo's own, which ends with the demo, even if that is killed.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::patience;
use super::stage::Failure;

const PROGRAM: &str = "redis-server";

/// Keeps the server company: when its standard input ends, because the demo says so or is no more, the
/// server is killed. The directory goes with it unless it was told to stay.
const COMPANION: &str = r#"
redis-server --port 0 --unixsocket "$1/redis.sock" --dir "$1" --save "" --appendonly no \
    >"$1/redis.log" 2>&1 </dev/null &
read -r stays
kill -9 $!
wait $! 2>/dev/null
[ "$stays" = stays ] || rm -rf "$1"
"#;

/// The server with the directory in which its socket is.
pub(super) struct RedisServer {
    directory: PathBuf,
    companion: Option<Child>,
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
        let mut server = Self {
            directory,
            companion: None,
        };
        server.start_again().await?;
        Ok(server)
    }

    /// Starts it anew, empty.
    pub(super) async fn start_again(&mut self) -> Result<(), Failure> {
        let companion = Command::new("sh")
            .args(["-c", COMPANION, "sh"])
            .arg(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for the demo.
            .process_group(0)
            .spawn()?;
        self.companion = Some(companion);
        let socket = self.directory.join("redis.sock");
        let answers = async || Ok(answers(&socket).await.is_some());
        patience::until("Redis answers", answers).await?;
        Ok(())
    }

    /// `kill -9`; what it held is gone.
    pub(super) async fn kill(&mut self) -> Result<(), Failure> {
        self.end(b"stays\n").await
    }

    /// Kills it, and removes what it left.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        self.end(b"").await?;
        if self.directory.exists() {
            return Err(format!("{} is still there", self.directory.display()).into());
        }
        Ok(())
    }

    async fn end(&mut self, word: &[u8]) -> Result<(), Failure> {
        let Some(mut companion) = self.companion.take() else {
            return Ok(());
        };
        if let Some(mut input) = companion.stdin.take() {
            input.write_all(word).await?;
        }
        companion.wait().await?;
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
