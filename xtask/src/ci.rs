use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::End;
use crate::failure::Failure;
use crate::guides;
use crate::outside;
use crate::process;
use crate::programs::{self, POSTGRES, REDIS};
use crate::step::{self, AfterFailure, Outcome, Step};
use crate::test::{self, EVERYTHING, Lock};
use crate::tidy;
use crate::workspace::Workspace;

/// What must hold before a merge, the quickest to fail first.
const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        run: fmt,
    },
    Step {
        name: "tidy",
        run: |workspace| tidy::check(workspace).map(|()| Outcome::Done),
    },
    Step {
        name: "clippy",
        run: clippy,
    },
    Step {
        name: "doc",
        run: doc,
    },
    Step {
        name: "test",
        run: tests,
    },
    Step {
        name: "examples",
        run: examples,
    },
    Step {
        name: "demo",
        run: demo,
    },
    Step {
        name: "outside",
        run: outside::run,
    },
    Step {
        name: "guides",
        run: guides::run,
    },
];

/// An example ends by itself; with its private server that takes a few seconds.
const EXAMPLE_LIMIT: Duration = Duration::from_secs(120);

/// The demo does much more, but a minute is enough; the rest is for a machine under load.
const DEMO_LIMIT: Duration = Duration::from_secs(300);

const EXAMPLES: &str = "crates/aquifer/examples";

pub(crate) fn run(workspace: &Workspace, only: &[String]) -> Result<End, Failure> {
    match step::run(workspace, "ci", STEPS, only, AfterFailure::Stop)? {
        // A step of the gate is left out for one reason only: the library exports nothing yet.
        End::Incomplete => Ok(End::Done),
        end => Ok(end),
    }
}

fn fmt(workspace: &Workspace) -> Result<Outcome, Failure> {
    let mut cargo = workspace.cargo();
    cargo.args(["fmt", "--all", "--check"]);
    let formatted = process::run(&mut cargo, process::LONG);
    formatted.map_err(|failure| failure.again("cargo fmt --all"))?;
    // The outside crate is no member of the workspace, and its main.rs is laid out as the README.
    let mut rustfmt = Command::new("rustfmt");
    rustfmt
        .args(["--check", "--edition", "2024"])
        .args(outside::FORMATTED);
    process::run(rustfmt.current_dir(workspace.root()), process::LONG)?;
    Ok(Outcome::Done)
}

fn clippy(workspace: &Workspace) -> Result<Outcome, Failure> {
    let mut cargo = workspace.cargo();
    cargo
        .args(["clippy", "--locked", "--all-targets"])
        .args(EVERYTHING);
    cargo.args(["--", "--deny", "warnings"]);
    process::run(&mut cargo, process::LONG)?;
    Ok(Outcome::Done)
}

/// Only libraries: the binary `aquifer` would overwrite the pages of the library of that name.
fn doc(workspace: &Workspace) -> Result<Outcome, Failure> {
    let mut cargo = workspace.cargo();
    cargo
        .args(["doc", "--locked", "--no-deps", "--lib"])
        .args(EVERYTHING);
    cargo.env("RUSTDOCFLAGS", "--deny warnings");
    process::run(&mut cargo, process::LONG)?;
    Ok(Outcome::Done)
}

fn tests(workspace: &Workspace) -> Result<Outcome, Failure> {
    match test::all(workspace, &[], Lock::Locked)? {
        true => Ok(Outcome::Done),
        false => Err(Failure::new("a test failed; the runner's output is above")),
    }
}

/// Builds all examples and runs each; the list is read from the directory, so none is forgotten.
fn examples(workspace: &Workspace) -> Result<Outcome, Failure> {
    if !workspace.library_is_there()? {
        return Ok(Outcome::NotRun(
            "crates/aquifer exports nothing yet".to_owned(),
        ));
    }
    programs::ensure(&[POSTGRES, REDIS])?;
    let names = example_names(workspace)?;
    // Built like the tests, so that nothing is compiled twice for another set of features.
    let mut cargo = workspace.cargo();
    cargo
        .args(["build", "--locked", "--examples"])
        .args(EVERYTHING);
    process::run(&mut cargo, process::LONG)?;
    let directory = workspace.target()?.join("debug/examples");
    for name in &names {
        eprintln!("-- example {name}");
        // A service ends after it has served itself once; the other examples take no arguments.
        let mut program = Command::new(directory.join(name));
        program.arg("--once").current_dir(workspace.root());
        process::run(&mut program, EXAMPLE_LIMIT).map_err(|failure| {
            failure.again(format!(
                "cargo run --package aquifer --all-features --example {name} -- --once"
            ))
        })?;
    }
    Ok(Outcome::Done)
}

fn example_names(workspace: &Workspace) -> Result<Vec<String>, Failure> {
    let entries = fs::read_dir(workspace.path(EXAMPLES))
        .map_err(|error| Failure::io(format!("{EXAMPLES} can't be read"), &error))?;
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension().is_some_and(|e| e == "rs") || path.join("main.rs").is_file()
        })
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    if names.is_empty() {
        return Err(Failure::new(format!("{EXAMPLES} holds no example")));
    }
    Ok(names)
}

/// With the default features, as a user builds it.
fn demo(workspace: &Workspace) -> Result<Outcome, Failure> {
    programs::ensure(&[POSTGRES, REDIS])?;
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--locked", "--package", "aquifer-cli"]);
    process::run(&mut cargo, process::LONG)?;
    let mut cargo = workspace.cargo();
    cargo.args([
        "run",
        "--quiet",
        "--locked",
        "--package",
        "aquifer-cli",
        "--",
    ]);
    cargo.args(["demo", "--once"]);
    process::run(&mut cargo, DEMO_LIMIT)
        .map_err(|failure| failure.again("cargo xtask demo --once"))?;
    Ok(Outcome::Done)
}
