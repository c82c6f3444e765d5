//! A crate outside the workspace that uses `aquifer` as a stranger would, by path, and whose
//! program is the README's example word for word.

use std::fs;
use std::time::Duration;

use crate::failure::Failure;
use crate::process;
use crate::programs::{self, POSTGRES};
use crate::readme;
use crate::step::Outcome;
use crate::workspace::Workspace;

const MANIFEST: &str = "tests/outside/Cargo.toml";

/// Starts a private server and runs the README's program there.
const RUNNER: &str = "with_server";

/// What is laid out by rustfmt; main.rs is laid out as the README.
pub(crate) const FORMATTED: [&str; 3] = [
    "tests/outside/build.rs",
    "tests/outside/src/bin/example.rs",
    "tests/outside/src/bin/with_server.rs",
];

/// The ten lines take less than a second; a slow machine may need a while for the server.
const LIMIT: Duration = Duration::from_secs(60);

/// Compares the texts, then builds and runs the program.
pub(crate) fn run(workspace: &Workspace) -> Result<Outcome, Failure> {
    compare(workspace)?;
    if !workspace.library_is_there()? {
        return Ok(Outcome::NotRun(
            "crates/aquifer exports nothing yet".to_owned(),
        ));
    }
    programs::ensure(&[POSTGRES])?;
    // The versions of the workspace, so that what is built already is used again. A lock file of
    // its own would have to be kept in step by hand.
    fs::copy(
        workspace.path("Cargo.lock"),
        workspace.path("tests/outside/Cargo.lock"),
    )
    .map_err(|error| Failure::io("tests/outside/Cargo.lock", &error))?;
    let target = workspace.target()?;
    let mut build = workspace.cargo();
    build.args(["build", "--manifest-path", MANIFEST, "--bins"]);
    build.env("CARGO_TARGET_DIR", &target);
    process::run(&mut build, process::LONG)?;
    let mut program = std::process::Command::new(target.join("debug").join(RUNNER));
    process::run(&mut program, LIMIT)?;
    Ok(Outcome::Done)
}

/// The program in `tests/outside` is the README's example, so that the example cannot rot.
fn compare(workspace: &Workspace) -> Result<(), Failure> {
    let example = readme::example(&workspace.read("README.md")?)
        .ok_or_else(|| Failure::new("README.md has no block of Rust"))?;
    let program = "tests/outside/src/main.rs";
    if readme::repeats(&workspace.read(program)?, &example) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{program} differs from the first Rust block of README.md; copy the block into it"
    )))
}
