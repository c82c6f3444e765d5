use crate::failure::Failure;
use crate::process;
use crate::programs::{self, POSTGRES, STRACE, VALGRIND};
use crate::step::Outcome;
use crate::workspace::Workspace;

const MANIFEST: &str = "bench/Cargo.toml";

/// The wire's shared connection as the benchmark calls it.
const CONTENDER: &str = "aquifer-wire, 1 shared";

/// What one shared query may cost, at 64 tasks: the key in the benchmark's report, and the limit.
/// Counts stay the same on a busy machine, times do not: so counts are the gate.
const LIMITS: [(&str, f64); 2] = [("instructions", 4_000.0), ("system_calls", 0.5)];

/// Counts client instructions and system calls per shared query.
pub(super) fn run(workspace: &Workspace) -> Result<Outcome, Failure> {
    if !workspace.has(MANIFEST) {
        return Ok(Outcome::NotRun("there is no bench/ yet".to_owned()));
    }
    programs::ensure(&[POSTGRES, STRACE, VALGRIND])?;
    let mut cargo = workspace.cargo();
    cargo.args([
        "build",
        "--release",
        "--manifest-path",
        MANIFEST,
        "--no-default-features",
        "--bin",
        "wire",
    ]);
    process::run(&mut cargo, process::LONG)?;
    eprintln!("   counting, which takes some minutes");
    let mut cargo = workspace.cargo();
    cargo.args([
        "run",
        "--quiet",
        "--release",
        "--manifest-path",
        MANIFEST,
        "--no-default-features",
        "--bin",
        "wire",
        "--",
    ]);
    cargo.args(["--no-rates", "--json", "--only", CONTENDER]);
    check(&process::output(&mut cargo)?)?;
    Ok(Outcome::Done)
}

fn check(report: &str) -> Result<(), Failure> {
    let mut excesses = Vec::new();
    for (key, limit) in LIMITS {
        let count = count(report, key).ok_or_else(|| {
            Failure::new(format!(
                "the report has no number `{key}` for `{CONTENDER}`:\n{report}"
            ))
        })?;
        eprintln!("   {key} per query: {count}, at most {limit}");
        if count > limit {
            excesses.push(format!("{count} {key}, at most {limit}"));
        }
    }
    if excesses.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "a shared query costs too much: {}",
        excesses.join("; ")
    )))
}

/// A number from the last line of the report, which is JSON on one line.
fn count(report: &str, key: &str) -> Option<f64> {
    let (_, rest) = report
        .lines()
        .last()?
        .split_once(&format!("\"contender\":\"{CONTENDER}\""))?;
    let (object, _) = rest.split_once('}')?;
    let (_, rest) = object.split_once(&format!("\"{key}\":"))?;
    rest.split(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(instructions: &str, system_calls: &str) -> String {
        format!(
            "Per query at 64 tasks\n{{\"counts\":[{{\"contender\":\"tokio-postgres\",\
             \"instructions\":16000,\"system_calls\":2.1}},{{\"contender\":\"{CONTENDER}\",\
             \"instructions\":{instructions},\"system_calls\":{system_calls}}}],\"rates\":[]}}\n"
        )
    }

    #[test]
    fn counts_within_the_limits_pass() {
        check(&report("3900.0", "0.3")).expect("within the limits");
    }

    #[test]
    fn each_count_above_its_limit_fails_with_the_numbers() {
        let failure = check(&report("4001.0", "0.3")).expect_err("too many instructions");
        assert!(
            failure.to_string().contains("4001 instructions"),
            "{failure}"
        );
        let failure = check(&report("3900.0", "0.7")).expect_err("too many system calls");
        assert!(
            failure.to_string().contains("0.7 system_calls"),
            "{failure}"
        );
    }

    #[test]
    fn a_count_that_was_not_made_does_not_pass() {
        assert!(check(&report("null", "0.3")).is_err());
        assert!(check("").is_err());
    }
}
