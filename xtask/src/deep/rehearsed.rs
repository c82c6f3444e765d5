use std::fs;
use std::time::Duration;

use crate::failure::Failure;
use crate::process;
use crate::programs::{self, POSTGRES};
use crate::workspace::Workspace;

/// The file that the test writes its figures to.
const REPORT: &str = "AQUIFER_REPORT";

const LIMIT: Duration = Duration::from_secs(2 * 60 * 60);

/// Integration tests of the library, run for longer than the gate has time for.
pub(super) struct Rehearsed {
    pub(super) name: &'static str,
    /// Parts of the tests' names; one of them writes the figures.
    pub(super) tests: &'static [&'static str],
    /// The environment variable that says for how long.
    pub(super) variable: &'static str,
    pub(super) amount: u32,
    /// Whether its figures are the last line of the standard output.
    pub(super) json: bool,
    /// A `--cfg` that changes the library; it is built in a directory of its own.
    pub(super) cfg: Option<&'static str>,
}

impl Rehearsed {
    /// Returns the figures; they are printed even if the test fails, which is told after them.
    pub(super) fn run(&self, workspace: &Workspace) -> Result<String, Failure> {
        programs::ensure(&[POSTGRES])?;
        let directory = workspace.target()?;
        let report = directory.join(format!("{}.json", self.name));
        // One of an earlier run must not be taken for this one's.
        fs::remove_file(&report).ok();
        let mut cargo = workspace.cargo();
        cargo.args(["test", "-p", "aquifer", "--all-features", "--test", "it"]);
        if let Some(cfg) = self.cfg {
            cargo.arg("--target-dir").arg(directory.join(cfg));
            cargo.env("RUSTFLAGS", format!("--cfg {cfg}"));
        }
        cargo.arg("--");
        cargo.args(["--nocapture", "--test-threads", "1"]);
        cargo.args(self.tests);
        cargo.env(self.variable, self.amount.to_string());
        cargo.env(REPORT, &report);
        let run = process::run(&mut cargo, LIMIT);
        let written = fs::read_to_string(&report);
        if let (Ok(figures), true) = (&written, self.json) {
            println!("{figures}");
        }
        run?;
        written.map_err(|error| Failure::io("the test wrote no figures", &error))
    }
}

/// A number of the report, which is one object on one line.
pub(super) fn number(report: &str, key: &str) -> Result<f64, Failure> {
    let value = report
        .split_once(&format!("\"{key}\":"))
        .and_then(|(_, rest)| rest.split([',', '}']).next());
    value
        .and_then(|value| value.trim().parse().ok())
        .ok_or_else(|| Failure::new(format!("the report has no number `{key}`:\n{report}")))
}
