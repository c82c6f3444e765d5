use crate::End;
use crate::failure::Failure;
use crate::process;
use crate::programs::{self, PGBOUNCER, POSTGRES, REDIS};
use crate::workspace::Workspace;

/// Which packages and features the tests are run with. All features: they are additive, and the
/// type adapters have their tests too.
pub(crate) const EVERYTHING: [&str; 2] = ["--workspace", "--all-features"];

/// Whether cargo may change `Cargo.lock`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// A developer may just have added a dependency.
    Free,
    /// The gate takes what is committed.
    Locked,
}

/// Runs the tests; what the runner says last is what stands last.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<End, Failure> {
    match all(workspace, arguments, Lock::Free)? {
        true => Ok(End::Done),
        false => Ok(End::Failed),
    }
}

/// Runs the doc tests and then all others, and returns whether all passed.
///
/// Arguments go to the runner of the other tests and narrow the run, so that the doc tests are
/// left out then.
pub(crate) fn all(
    workspace: &Workspace,
    arguments: &[String],
    lock: Lock,
) -> Result<bool, Failure> {
    programs::ensure(&[PGBOUNCER, POSTGRES, REDIS])?;
    if arguments.is_empty() {
        eprintln!("== doc tests");
        let mut cargo = workspace.cargo();
        cargo
            .args(["test", "--doc"])
            .args(EVERYTHING)
            .args(lock.option());
        if !process::status(&mut cargo, process::LONG)?.success() {
            return Ok(false);
        }
    } else {
        eprintln!("== doc tests: left out, the arguments choose among the other tests");
    }
    eprintln!("== tests");
    let mut cargo = workspace.cargo();
    // Not cargo-nextest: the tests of one binary share one server, and it gives each a process.
    cargo.args([
        "test",
        "--no-fail-fast",
        "--lib",
        "--bins",
        "--tests",
        "--examples",
    ]);
    cargo.args(EVERYTHING).args(lock.option()).args(arguments);
    let mut failed = Vec::new();
    let status = process::watched(&mut cargo, process::LONG, |line| {
        failed.extend(failed_test(line).map(str::to_owned));
    })?;
    // Again at the end: what many other tests have printed since stands in between.
    for test in &failed {
        eprintln!("== failed: {test}");
    }
    Ok(status.success())
}

/// The name of a test that has failed, in a line of the runner.
fn failed_test(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

impl Lock {
    pub(crate) fn option(self) -> Option<&'static str> {
        (self == Self::Locked).then_some("--locked")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_failed_tests_name_one() {
        assert_eq!(failed_test("test a::b ... FAILED"), Some("a::b"));
        for line in ["test a::b ... ok", "test result: FAILED. 1 passed", "a::b"] {
            assert_eq!(failed_test(line), None, "{line}");
        }
    }
}
