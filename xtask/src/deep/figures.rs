use crate::failure::Failure;
use crate::process;
use crate::programs::{self, POSTGRES};
use crate::step::Outcome;
use crate::workspace::Workspace;

/// Prints what the pool costs and how fair it is; they are figures, not verdicts, since they depend
/// on the machine.
pub(super) fn run(workspace: &Workspace) -> Result<Outcome, Failure> {
    programs::ensure(&[POSTGRES])?;
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--release", "--package", "aquifer", "--lib"]);
    cargo.args(["figures", "--", "--ignored", "--nocapture"]);
    cargo.args(["--test-threads", "1"]);
    process::run(&mut cargo, process::LONG)?;
    Ok(Outcome::Done)
}
