use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aquifer::migrate::{Applied, MigrationState, MigrationStatus, Planned};
use serde_json::{Value, json};

use crate::Failure;

pub(super) fn applied(all: &[Applied], json: bool, output: &mut impl Write) -> Result<(), Failure> {
    if json {
        let object = |one: &Applied| {
            json!({
                "version": one.version,
                "description": one.description,
                "reverted": one.reverted,
                "elapsed_ms": milliseconds(one.elapsed),
            })
        };
        return written(print(all.iter().map(object), output));
    }
    if all.is_empty() {
        return written(writeln!(output, "nothing to do"));
    }
    for one in all {
        let what = if one.reverted { "reverted" } else { "applied" };
        let (version, description) = (one.version, &one.description);
        written(writeln!(
            output,
            "{what} {version} {description} ({:.1} ms)",
            milliseconds(one.elapsed)
        ))?;
    }
    Ok(())
}

pub(super) fn planned(all: &[Planned], json: bool, output: &mut impl Write) -> Result<(), Failure> {
    if json {
        let object = |one: &Planned| {
            json!({
                "version": one.version,
                "description": one.description,
                "file": one.file,
                "transaction": one.in_transaction,
                "statements": one.statements,
            })
        };
        return written(print(all.iter().map(object), output));
    }
    if all.is_empty() {
        return written(writeln!(output, "nothing to do"));
    }
    for one in all {
        let around = if one.in_transaction {
            "in a transaction of its own"
        } else {
            "without a transaction, each statement by itself"
        };
        written(writeln!(output, "-- {}: {around}", one.file))?;
        for statement in &one.statements {
            written(writeln!(output, "{statement};"))?;
        }
    }
    Ok(())
}

pub(super) fn status(
    all: &[MigrationStatus],
    json: bool,
    output: &mut impl Write,
) -> Result<(), Failure> {
    if json {
        let object = |one: &MigrationStatus| {
            json!({
                "version": one.version,
                "description": one.description,
                "file": one.file,
                "state": name(one.state),
                "installed_on": one.installed_on.map(seconds),
                "execution_ms": one.execution_time.map(milliseconds),
            })
        };
        return written(print(all.iter().map(object), output));
    }
    for one in all {
        let (version, description) = (one.version, &one.description);
        let state = name(one.state);
        written(writeln!(output, "{version:<14}  {state:<8}  {description}"))?;
    }
    Ok(())
}

fn print(objects: impl Iterator<Item = Value>, output: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *output, &Value::from_iter(objects))?;
    writeln!(output)
}

/// Whoever reads may have seen enough.
fn written(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn name(state: MigrationState) -> &'static str {
    match state {
        MigrationState::Applied => "applied",
        MigrationState::Changed => "changed",
        MigrationState::Dirty => "dirty",
        MigrationState::Missing => "missing",
        MigrationState::Pending => "pending",
        _ => "unknown",
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// Seconds since 1970, as `date +%s`.
fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
