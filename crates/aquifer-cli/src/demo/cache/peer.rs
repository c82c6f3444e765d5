//! The other process: both ends of the lines that go between the two.

use std::env;
use std::io::{self, BufRead, Write};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;

use aquifer::Config;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::super::stage::Failure;
use super::super::tally::Tally;
use super::{connect, read_by_many, set_price};

/// Where it finds the servers. Passwords are better in the environment than among the arguments, which
/// everybody sees.
const POSTGRES: &str = "AQUIFER_DEMO_POSTGRES";
const REDIS: &str = "AQUIFER_DEMO_REDIS";

/// The other process, as this one sees it.
pub(super) struct Peer {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// What its readers were given, and how many queries that took.
pub(super) struct Read {
    pub(super) price: i64,
    pub(super) queries: usize,
}

impl Peer {
    pub(super) async fn start(postgres: &str, redis: &str) -> Result<Self, Failure> {
        let mut child = Command::new(env::current_exe()?)
            .args(["demo", "--peer"])
            .env(POSTGRES, postgres)
            .env(REDIS, redis)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the other process has no pipes".into());
        };
        let mut peer = Self {
            child,
            input,
            output: BufReader::new(output).lines(),
        };
        peer.answer("ready").await?;
        Ok(peer)
    }

    /// Has its readers read.
    pub(super) async fn read(&mut self) -> Result<Read, Failure> {
        self.say("read").await?;
        let answer = self.answer("read ").await?;
        let (price, queries) = answer.split_once(' ').unwrap_or_default();
        Ok(Read {
            price: price.parse()?,
            queries: queries.parse()?,
        })
    }

    /// Has it write, and returns when its caller was told that it is done.
    pub(super) async fn write(&mut self, price: i64) -> Result<(), Failure> {
        self.say(&format!("write {price}")).await?;
        self.answer("written").await.map(drop)
    }

    pub(super) async fn end(mut self) -> Result<(), Failure> {
        drop(self.input);
        let status = self.child.wait().await?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the other process ended with {status}").into())
        }
    }

    async fn say(&mut self, line: &str) -> Result<(), Failure> {
        Ok(self.input.write_all(format!("{line}\n").as_bytes()).await?)
    }

    /// What follows these words in its answer.
    async fn answer(&mut self, words: &str) -> Result<String, Failure> {
        let line = self.output.next_line().await?.unwrap_or_default();
        match line.strip_prefix(words) {
            Some(rest) => Ok(rest.to_owned()),
            None => Err(format!("the other process said {line:?}").into()),
        }
    }
}

/// Is the other process: does what it reads until that ends.
pub(in crate::demo) async fn run() -> ExitCode {
    match obey().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Whoever reads this has ended if it can't be told.
            let _unheard = writeln!(io::stdout(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

async fn obey() -> Result<(), Failure> {
    let tally = Arc::new(Tally::default());
    let config = Config::from_url(env::var(POSTGRES)?)?;
    let db = connect(config, &env::var(REDIS)?, &tally).await?;
    let before = tally.calls();
    say("ready")?;
    while let Some(order) = next_order().await? {
        let order: Vec<&str> = order.split_whitespace().collect();
        match order.as_slice() {
            ["read"] => {
                let price = read_by_many(&db).await?;
                say(&format!("read {price} {}", tally.calls() - before))?;
            }
            ["write", price] => {
                set_price(&db, price.parse()?).await?;
                say("written")?;
            }
            other => return Err(format!("unknown order {other:?}").into()),
        }
    }
    db.close().await?;
    Ok(())
}

/// A line from the other end; none when that is gone.
async fn next_order() -> Result<Option<String>, Failure> {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let line = read.await??;
    Ok((!line.is_empty()).then_some(line))
}

fn say(line: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}
