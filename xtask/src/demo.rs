use std::env;

use crate::End;
use crate::failure::Failure;
use crate::process;
use crate::programs::{self, POSTGRES, REDIS};
use crate::workspace::Workspace;

/// Runs the demo as a newcomer sees it. With `DATABASE_URL` set it needs no binaries of PostgreSQL, and
/// without `redis-server` it leaves one step out.
pub(crate) fn run(
    workspace: &Workspace,
    release: bool,
    arguments: &[String],
) -> Result<End, Failure> {
    if env::var_os("DATABASE_URL").is_none() {
        programs::ensure(&[POSTGRES, REDIS])?;
    }
    let mut cargo = workspace.cargo();
    cargo.arg("run");
    if release {
        cargo.arg("--release");
    }
    cargo
        .args(["--package", "aquifer-cli", "--", "demo"])
        .args(arguments);
    eprintln!("== demo: $ {}", process::line(&cargo));
    let status = cargo
        .status()
        .map_err(|error| Failure::io("cargo can't be run", &error))?;
    Ok(if status.success() {
        End::Done
    } else {
        End::Failed
    })
}
