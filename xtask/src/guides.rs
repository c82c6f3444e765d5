//! The code of the guides in which other libraries stand: in the workspace of the benchmarks, since
//! the main one depends on none of them.

use crate::failure::Failure;
use crate::process;
use crate::programs::{self, POSTGRES};
use crate::step::Outcome;
use crate::workspace::Workspace;

/// Compiles and runs it; `tidy` compares it with the pages.
pub(crate) fn run(workspace: &Workspace) -> Result<Outcome, Failure> {
    programs::ensure(&[POSTGRES])?;
    let mut cargo = workspace.cargo();
    // Only those libraries that the guides show: all peers would take minutes.
    cargo
        .args(["test", "--manifest-path", "bench/Cargo.toml"])
        .args(["--no-default-features", "--features", "guides"])
        .args(["--test", "guides"]);
    cargo.env("CARGO_TARGET_DIR", workspace.target()?);
    process::run(&mut cargo, process::LONG)?;
    Ok(Outcome::Done)
}
