use std::env;
use std::time::Duration;

use crate::failure::Failure;
use crate::process;
use crate::programs::{self, PGBOUNCER, POSTGRES, REDIS};
use crate::step::Outcome;
use crate::test::EVERYTHING;
use crate::workspace::Workspace;

const VARIABLE: &str = "PROPTEST_CASES";

/// Forty times proptest's default of 256.
const CASES: &str = "10240";

const LIMIT: Duration = Duration::from_secs(2 * 60 * 60);

/// All tests again with many more cases for each property; `PROPTEST_CASES` overrides the number.
///
/// It reaches every property that takes proptest's default configuration.
pub(super) fn run(workspace: &Workspace) -> Result<Outcome, Failure> {
    programs::ensure(&[PGBOUNCER, POSTGRES, REDIS])?;
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]);
    cargo.args(EVERYTHING);
    cargo.env(
        VARIABLE,
        env::var_os(VARIABLE).unwrap_or_else(|| CASES.into()),
    );
    process::run(&mut cargo, LIMIT)?;
    Ok(Outcome::Done)
}
