use crate::command_line::DeepOptions;
use crate::failure::Failure;
use crate::programs::{self, REDIS};
use crate::step::Outcome;
use crate::workspace::Workspace;

use super::rehearsed::{Rehearsed, number};

const MINUTES: u32 = 2;

/// Figures of the trial itself, as they stand in the line.
const TRIAL: [&str; 5] = [
    "reads",
    "violations",
    "read_your_writes_violations",
    "propagation_ms_p99",
    "herd_queries",
];
const MUTANTS: [&str; 2] = ["mutants", "mutants_caught"];

/// Four processes with a cache each under faults, every read of which is checked; then once more without
/// each of the rules that it is to hold, which must be found out.
pub(super) fn run(workspace: &Workspace, options: &DeepOptions) -> Result<Outcome, Failure> {
    programs::ensure(&[REDIS])?;
    let trial = Rehearsed {
        name: "cache",
        tests: &["cache::trial::no_read"],
        variable: "AQUIFER_TRIAL_SECONDS",
        amount: options.minutes.unwrap_or(MINUTES) * 60,
        json: false,
        cfg: None,
    };
    let trial = trial.run(workspace);
    let mutants = Rehearsed {
        name: "mutants",
        tests: &["cache::trial::each_rule"],
        variable: "AQUIFER_MUTANT_SECONDS",
        amount: 60,
        json: false,
        cfg: Some("mutants"),
    };
    let mutants = mutants.run(workspace);
    let (trial, mutants) = (trial?, mutants?);
    if options.json {
        println!("{}", together(&trial, &mutants)?);
    }
    Ok(Outcome::Done)
}

/// Both reports in one line; the tests themselves have looked at what may not be.
fn together(trial: &str, mutants: &str) -> Result<String, Failure> {
    let mut fields = Vec::new();
    for (report, keys) in [(trial, &TRIAL[..]), (mutants, &MUTANTS[..])] {
        for key in keys {
            fields.push(format!("\"{key}\":{}", number(report, key)?));
        }
    }
    Ok(format!("{{{}}}", fields.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_reports_stand_in_one_line() {
        let trial = r#"{"reads":10,"violations":0,"read_your_writes_violations":0,"propagation_ms_p99":1.5,"herd_queries":1,"faults":{"cut":2}}"#;
        let line = together(trial, r#"{"mutants":16,"mutants_caught":15}"#).expect("all there");
        assert_eq!(
            line,
            r#"{"reads":10,"violations":0,"read_your_writes_violations":0,"propagation_ms_p99":1.5,"herd_queries":1,"mutants":16,"mutants_caught":15}"#
        );
        together(trial, "{}").expect_err("no mutants");
    }
}
