use std::env;
use std::time::Duration;

use crate::failure::Failure;
use crate::process;
use crate::programs::{self, POSTGRES};
use crate::step::Outcome;
use crate::workspace::Workspace;

const VARIABLE: &str = "AQUIFER_TRANSFERS";

/// Forty times what the ordinary run does.
const TRANSFERS: &str = "10000";

const LIMIT: Duration = Duration::from_secs(2 * 60 * 60);

/// Ten thousand transfers while connections are cut at random messages; `AQUIFER_TRANSFERS`
/// overrides the number.
pub(super) fn run(workspace: &Workspace) -> Result<Outcome, Failure> {
    programs::ensure(&[POSTGRES])?;
    let mut cargo = workspace.cargo();
    cargo.args(["test", "-p", "aquifer", "--test", "it", "ledger::"]);
    cargo.env(
        VARIABLE,
        env::var_os(VARIABLE).unwrap_or_else(|| TRANSFERS.into()),
    );
    process::run(&mut cargo, LIMIT)?;
    Ok(Outcome::Done)
}
