//! What a user waits for and ships: the README's ten lines and the same written with others, each
//! built from nothing in turns.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::failure::Failure;
use crate::process;
use crate::workspace::Workspace;

mod report;

const DIRECTORY: &str = "bench/ten-lines";

/// The name of the program that each of the packages builds.
const PROGRAM: &str = "ten-lines";

const ROUNDS_DEFAULT: usize = 3;

/// One way to write the ten lines.
struct Candidate {
    name: &'static str,
    package: &'static str,
    features: &'static str,
}

const CANDIDATES: [Candidate; 4] = [
    Candidate {
        name: "aquifer",
        package: "aquifer",
        features: "",
    },
    Candidate {
        name: "sqlx",
        package: "sqlx",
        features: "",
    },
    Candidate {
        name: "deadpool-postgres",
        package: "deadpool",
        features: "",
    },
    Candidate {
        name: "deadpool-postgres, moka, redis",
        package: "deadpool",
        features: "cache",
    },
];

/// What one build took.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Build {
    /// Seconds until it was done.
    elapsed: f64,
    /// Processor seconds of cargo and everything that it ran.
    processor: f64,
}

/// What was found out about one candidate.
#[derive(Default)]
struct Measured {
    name: &'static str,
    crates: usize,
    debug: Vec<Build>,
    release: Vec<Build>,
    bytes: u64,
}

/// Measures all candidates and prints a table.
pub(super) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let rounds = rounds(arguments)?;
    // The versions of the workspace, as its users get them; the peers have lock files of their own.
    let lock = format!("{DIRECTORY}/aquifer/Cargo.lock");
    fs::copy(workspace.path("Cargo.lock"), workspace.path(&lock))
        .map_err(|error| Failure::io(&lock, &error))?;
    let target = workspace.target()?.join(PROGRAM);
    let mut measured = Vec::new();
    for candidate in &CANDIDATES {
        // What is downloaded now is not waited for later.
        let mut fetch = cargo(workspace, candidate, "fetch");
        process::run(&mut fetch, process::LONG)?;
        measured.push(Measured {
            name: candidate.name,
            crates: crates(workspace, candidate)?,
            ..Measured::default()
        });
    }
    for round in 1..=rounds {
        for (candidate, measured) in CANDIDATES.iter().zip(&mut measured) {
            eprintln!("-- round {round} of {rounds}: {}", candidate.name);
            measured
                .debug
                .push(build(workspace, candidate, &target, None)?);
            let release = build(workspace, candidate, &target, Some("--release"))?;
            measured.release.push(release);
            measured.bytes = size(&target.join("release").join(PROGRAM))?;
            eprintln!("   {} bytes, {} crates", measured.bytes, measured.crates);
        }
    }
    remove(&target)?;
    println!("{}", report::table(&measured));
    Ok(())
}

fn rounds(arguments: &[String]) -> Result<usize, Failure> {
    let rounds = match arguments {
        [] => Some(ROUNDS_DEFAULT),
        [option, number] if option == "--rounds" => number.parse().ok(),
        _ => None,
    };
    rounds.filter(|rounds| *rounds > 0).ok_or_else(|| {
        Failure::new("usage: cargo xtask bench ten-lines [--rounds N], with N at least 1")
    })
}

fn cargo(workspace: &Workspace, candidate: &Candidate, command: &str) -> Command {
    let manifest = format!("{DIRECTORY}/{}/Cargo.toml", candidate.package);
    let mut cargo = workspace.cargo();
    cargo.args([command, "--manifest-path", &manifest]);
    if candidate.package != "aquifer" {
        cargo.arg("--locked");
    }
    cargo
}

/// How many crates end up in the program or run inside the compiler for it; not what only build
/// scripts use.
fn crates(workspace: &Workspace, candidate: &Candidate) -> Result<usize, Failure> {
    let mut tree = cargo(workspace, candidate, "tree");
    tree.args(["--edges", "normal", "--prefix", "none", "--no-dedupe"]);
    tree.args(["--format", "{p}", "--features", candidate.features]);
    Ok(others(&process::output(&mut tree)?))
}

/// The distinct crates of a tree without its root.
fn others(tree: &str) -> usize {
    let crates: BTreeSet<&str> = tree.lines().filter(|line| !line.is_empty()).collect();
    crates.len().saturating_sub(1)
}

fn build(
    workspace: &Workspace,
    candidate: &Candidate,
    target: &Path,
    profile: Option<&str>,
) -> Result<Build, Failure> {
    remove(target)?;
    let mut build = cargo(workspace, candidate, "build");
    build.args(["--quiet", "--features", candidate.features]);
    build.args(profile).env("CARGO_TARGET_DIR", target);
    let mut timed = with_times(&build);
    let started = Instant::now();
    let output = process::output(&mut timed)?;
    let elapsed = started.elapsed().as_secs_f64();
    let processor = processor_seconds(&output).ok_or_else(|| {
        Failure::new(format!(
            "the shell's `times` can't be understood:\n{output}"
        ))
    })?;
    let profile = profile.map_or("debug", |profile| profile.trim_start_matches('-'));
    eprintln!("   {profile}: {elapsed:.1} s, {processor:.1} s of processor");
    Ok(Build { elapsed, processor })
}

/// The same command in a shell that tells at the end how much processor time it took: other programs
/// on the machine make a build longer, but hardly change that.
fn with_times(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "\"$@\" >&2 || exit; times", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        shell.current_dir(directory);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// User and system seconds of the shell's children: the second line of `times`, as `1m2.34s 0m5.6s`.
fn processor_seconds(times: &str) -> Option<f64> {
    let line = times.lines().nth(1)?;
    line.split_whitespace()
        .map(|time| {
            let (minutes, seconds) = time.strip_suffix('s')?.split_once('m')?;
            Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
        })
        .sum()
}

fn size(program: &Path) -> Result<u64, Failure> {
    fs::metadata(program)
        .map(|found| found.len())
        .map_err(|error| Failure::io(program.display(), &error))
}

fn remove(directory: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(directory) {
        Err(error) if directory.exists() => Err(Failure::io(directory.display(), &error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_that_of_the_children_and_not_of_the_shell() {
        let dash = "0m0.010000s 0m0.000000s\n1m2.340000s 0m5.660000s\n";
        assert_eq!(processor_seconds(dash), Some(68.0));
        assert_eq!(processor_seconds("0m0.01s 0m0.00s\n"), None);
        assert_eq!(processor_seconds("0m0.0s 0m0.0s\n12 seconds\n"), None);
    }

    #[test]
    fn a_program_in_the_shell_is_timed_and_its_failure_is_seen() {
        let mut echo = Command::new("sh");
        echo.args(["-c", "echo \"$1\"", "sh", "not in the output"]);
        let output = process::output(&mut with_times(&echo)).expect("it succeeds");
        assert!(processor_seconds(&output).is_some(), "{output}");
        let mut failing = Command::new("sh");
        failing.args(["-c", "exit 7"]);
        process::output(&mut with_times(&failing)).expect_err("exit 7");
    }

    #[test]
    fn a_crate_that_is_used_twice_counts_once_and_the_program_itself_does_not() {
        assert_eq!(others("ten-lines v0\na v1\nb v1\na v1\na v2\n"), 3);
    }

    #[test]
    fn rounds_are_a_number_and_not_none() {
        let strings = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        let parse = |line: &str| rounds(&Vec::from_iter::<Vec<String>>(strings(line)));
        assert_eq!(parse("--rounds 2").ok(), Some(2));
        assert_eq!(parse("").ok(), Some(ROUNDS_DEFAULT));
        for wrong in ["--rounds 0", "--rounds many", "--rounds", "2"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
