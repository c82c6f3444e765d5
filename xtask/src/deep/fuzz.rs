use std::fs;
use std::time::Duration;

use crate::failure::Failure;
use crate::process;
use crate::step::Outcome;
use crate::workspace::Workspace;

const MANIFEST: &str = "fuzz/Cargo.toml";

/// Targets for stable Rust: programs that make up input and feed it to the code for as many seconds
/// as their argument says, and print the seed with which a failure comes back.
const LOOPS: &str = "fuzz/src/bin";

/// Targets for cargo-fuzz, which needs a nightly compiler.
const TARGETS: &str = "fuzz/fuzz_targets";

const SECONDS: u64 = 60;

/// Runs each target for a minute.
pub(super) fn run(workspace: &Workspace) -> Result<Outcome, Failure> {
    if !workspace.has(MANIFEST) {
        return Ok(Outcome::NotRun("there is no fuzz/ yet".to_owned()));
    }
    let loops = targets(workspace, LOOPS)?;
    let guided = targets(workspace, TARGETS)?;
    if loops.is_empty() && guided.is_empty() {
        return Err(Failure::new(format!(
            "neither {LOOPS} nor {TARGETS} holds a target"
        )));
    }
    for name in &loops {
        let mut cargo = workspace.cargo();
        cargo.args([
            "build",
            "--release",
            "--manifest-path",
            MANIFEST,
            "--bin",
            name,
        ]);
        process::run(&mut cargo, process::LONG)?;
        let mut cargo = workspace.cargo();
        cargo.args([
            "run",
            "--quiet",
            "--release",
            "--manifest-path",
            MANIFEST,
            "--bin",
            name,
        ]);
        cargo.arg("--").arg(SECONDS.to_string());
        process::run(&mut cargo, Duration::from_secs(2 * SECONDS))?;
    }
    if guided.is_empty() {
        return Ok(Outcome::Done);
    }
    if !process::succeeds(workspace.cargo().args(["+nightly", "fuzz", "--version"])) {
        let names = guided.join(", ");
        return Ok(Outcome::NotRun(format!(
            "cargo-fuzz and a nightly compiler miss for {names}"
        )));
    }
    for name in &guided {
        let mut cargo = workspace.cargo();
        cargo.args(["+nightly", "fuzz", "run", name, "--"]);
        cargo.arg(format!("-max_total_time={SECONDS}"));
        process::run(&mut cargo, process::LONG)?;
    }
    Ok(Outcome::Done)
}

/// The names of the Rust files of a directory; none if it does not exist.
fn targets(workspace: &Workspace, directory: &str) -> Result<Vec<String>, Failure> {
    if !workspace.has(directory) {
        return Ok(Vec::new());
    }
    let entries =
        fs::read_dir(workspace.path(directory)).map_err(|error| Failure::io(directory, &error))?;
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}
