use crate::failure::Failure;
use crate::process;
use crate::step::Outcome;
use crate::workspace::Workspace;

/// What is written for it: the tests of a type that couples a lock and wakers.
const TESTS: &[(&str, &str)] = &[
    ("aquifer", "pool::desk"),
    ("aquifer-core", "stamps::tests::interleavings"),
];

/// Tries many interleavings of the types that couple locks and wakers, where an ordinary test sees
/// a few.
pub(super) fn run(workspace: &Workspace) -> Result<Outcome, Failure> {
    for (package, module) in TESTS {
        let mut cargo = workspace.cargo();
        cargo.args(["test", "--package", package, "--lib", module]);
        // A directory of its own: other flags mean other builds of everything.
        cargo.args(["--target-dir", "target/shuttle"]);
        cargo.env("RUSTFLAGS", "--cfg shuttle");
        process::run(&mut cargo, process::LONG)?;
    }
    Ok(Outcome::Done)
}
