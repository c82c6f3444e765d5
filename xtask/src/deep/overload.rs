use std::env;
use std::time::Duration;

use crate::failure::Failure;
use crate::process;
use crate::programs::{self, POSTGRES};
use crate::step::Outcome;
use crate::workspace::Workspace;

const VARIABLE: &str = "AQUIFER_OVERLOAD";

/// Seconds of each phase.
const SECONDS: &str = "5";

const LIMIT: Duration = Duration::from_secs(60 * 60);

/// Three times the load that can be served, by turns with just so much: at least nine tenths of it
/// must still be served, and the queue must be empty soon after. `AQUIFER_OVERLOAD` overrides the
/// seconds of each phase. It prints what it measured; nothing else should run on the machine.
pub(super) fn run(workspace: &Workspace) -> Result<Outcome, Failure> {
    programs::ensure(&[POSTGRES])?;
    let mut cargo = workspace.cargo();
    cargo.args(["test", "-p", "aquifer", "--test", "it", "overload::"]);
    cargo.args(["--", "--nocapture"]);
    cargo.env(
        VARIABLE,
        env::var_os(VARIABLE).unwrap_or_else(|| SECONDS.into()),
    );
    process::run(&mut cargo, LIMIT)?;
    Ok(Outcome::Done)
}
