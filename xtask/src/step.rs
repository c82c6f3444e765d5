use std::time::Instant;

use crate::End;
use crate::failure::Failure;
use crate::workspace::Workspace;

type Run = fn(&Workspace) -> Result<Outcome, Failure>;

/// One named part of a longer command.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
}

/// What became of a step that did not fail.
pub(crate) enum Outcome {
    Done,
    /// It could not be run; the text says for want of what.
    NotRun(String),
}

/// Whether the steps after a failed one are still worth running.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterFailure {
    Continue,
    Stop,
}

/// Runs the steps of `cargo xtask COMMAND`, or only those that are named, and sums up.
pub(crate) fn run(
    workspace: &Workspace,
    command: &str,
    steps: &[Step],
    only: &[String],
    after_failure: AfterFailure,
) -> Result<End, Failure> {
    let chosen = choose(steps, only)?;
    let started = Instant::now();
    let mut not_run = Vec::new();
    let mut failures = Vec::new();
    for (number, step) in chosen.iter().enumerate() {
        eprintln!("\n== {}/{} {}", number + 1, chosen.len(), step.name);
        let began = Instant::now();
        let outcome = (step.run)(workspace);
        let seconds = began.elapsed().as_secs_f32();
        match outcome {
            Ok(Outcome::Done) => eprintln!("== {}: done in {seconds:.1} s", step.name),
            Ok(Outcome::NotRun(why)) => {
                eprintln!("== {}: NOT RUN, {why}", step.name);
                not_run.push(format!("   not run: {}, {why}", step.name));
            }
            Err(failure) => {
                let again = format!("cargo xtask {command} {}", step.name);
                let failure = failure.within(step.name).again(again);
                if after_failure == AfterFailure::Stop {
                    return Err(failure);
                }
                eprintln!("== {}: FAILED after {seconds:.1} s", step.name);
                failures.push(failure.to_string());
            }
        }
    }
    if !failures.is_empty() {
        failures.append(&mut not_run);
        return Err(Failure::new(failures.join("\n")));
    }
    let done = chosen.len() - not_run.len();
    let seconds = started.elapsed().as_secs_f32();
    eprintln!(
        "\n== cargo xtask {command}: {done} of {} steps done in {seconds:.0} s",
        chosen.len()
    );
    for line in &not_run {
        eprintln!("{line}");
    }
    Ok(if not_run.is_empty() {
        End::Done
    } else {
        End::Incomplete
    })
}

fn choose<'a>(steps: &'a [Step], only: &[String]) -> Result<Vec<&'a Step>, Failure> {
    if only.is_empty() {
        return Ok(steps.iter().collect());
    }
    let find = |name: &String| {
        steps.iter().find(|step| step.name == name).ok_or_else(|| {
            let names: Vec<_> = steps.iter().map(|step| step.name).collect();
            Failure::new(format!(
                "there is no step {name}; there are: {}",
                names.join(", ")
            ))
        })
    };
    only.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: &[Step] = &[
        Step {
            name: "good",
            run: |_| Ok(Outcome::Done),
        },
        Step {
            name: "absent",
            run: |_| Ok(Outcome::NotRun("there is no input".to_owned())),
        },
        Step {
            name: "bad",
            run: |_| Err(Failure::new("it broke")),
        },
    ];

    fn run_only(only: &[&str], after_failure: AfterFailure) -> Result<End, Failure> {
        let workspace = Workspace::find().expect("tests run inside the project");
        let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
        run(&workspace, "try", STEPS, &only, after_failure)
    }

    #[test]
    fn a_failure_names_its_step_and_the_command_to_run_it_again() {
        for after_failure in [AfterFailure::Continue, AfterFailure::Stop] {
            let failure = run_only(&["good", "bad"], after_failure)
                .err()
                .expect("bad fails");
            assert!(
                failure.to_string().contains("bad failed: it broke"),
                "{failure}"
            );
            assert!(
                failure.to_string().contains("cargo xtask try bad"),
                "{failure}"
            );
        }
    }

    #[test]
    fn a_step_that_could_not_run_is_not_counted_as_done() {
        assert!(matches!(
            run_only(&["good"], AfterFailure::Stop),
            Ok(End::Done)
        ));
        assert!(matches!(
            run_only(&["good", "absent"], AfterFailure::Stop),
            Ok(End::Incomplete)
        ));
    }

    #[test]
    fn an_unknown_step_is_refused_with_the_names_that_exist() {
        let failure = run_only(&["godo"], AfterFailure::Stop)
            .err()
            .expect("no such step");
        assert!(
            failure.to_string().contains("good, absent, bad"),
            "{failure}"
        );
    }
}
