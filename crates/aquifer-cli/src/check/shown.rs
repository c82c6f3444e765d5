//! How it is told.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::Count;
use super::excerpt::excerpt;
use super::inspect::{Inspected, Refusal};

pub(super) fn text(
    inspected: &[Inspected],
    count: Count,
    version: &str,
    output: &mut impl Write,
) -> io::Result<()> {
    for one in inspected {
        if let Some(refusal) = &one.refusal {
            let Refusal { code, message, .. } = refusal;
            writeln!(output, "error[{code}]: {message}")?;
            place(one, refusal.position, output)?;
            for (name, text) in [("detail", &refusal.detail), ("hint", &refusal.hint)] {
                if let Some(text) = text {
                    writeln!(output, "  = {name}: {text}")?;
                }
            }
            writeln!(output)?;
        }
        if let Some(message) = &one.unplanned {
            writeln!(
                output,
                "note: it could not be planned without values: {message}"
            )?;
            place(one, None, output)?;
            writeln!(output)?;
        }
        for lint in &one.lints {
            writeln!(output, "warning[{}]: {lint}", lint.name())?;
            place(one, None, output)?;
            writeln!(output)?;
        }
    }
    let Count {
        errors, warnings, ..
    } = count;
    writeln!(
        output,
        "checked {} on PostgreSQL {version}: {}, {}",
        counted(inspected.len(), "statement"),
        counted(errors, "error"),
        counted(warnings, "warning"),
    )
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Where the statement is sent, and its line with a caret.
fn place(one: &Inspected, position: Option<u32>, output: &mut impl Write) -> io::Result<()> {
    for place in &one.collected.places {
        writeln!(output, "  --> {place}")?;
    }
    let shown = excerpt(&one.collected.sql, position);
    let number = shown.line.to_string();
    let margin = " ".repeat(number.len());
    writeln!(output, " {margin} |")?;
    writeln!(output, " {number} | {}", shown.text)?;
    if let Some(caret) = shown.caret {
        writeln!(output, " {margin} | {}^", " ".repeat(caret))?;
    }
    Ok(())
}

pub(super) fn json(
    inspected: &[Inspected],
    count: Count,
    version: &str,
    output: &mut impl Write,
) -> io::Result<()> {
    let statements: Vec<_> = inspected.iter().map(object).collect();
    let whole = json!({
        "server_version": version,
        "statements": statements,
        "errors": count.errors,
        "warnings": count.warnings,
        "denied": count.denied,
    });
    serde_json::to_writer_pretty(&mut *output, &whole)?;
    writeln!(output)
}

fn object(one: &Inspected) -> Value {
    let places = one.collected.places.iter().map(ToString::to_string);
    let lints = one
        .lints
        .iter()
        .map(|lint| json!({ "lint": lint.name(), "message": lint.to_string() }));
    let error = one.refusal.as_ref().map(|refusal| {
        json!({
            "sqlstate": refusal.sqlstate(),
            "code": refusal.code,
            "message": refusal.message,
            "detail": refusal.detail,
            "hint": refusal.hint,
            "position": refusal.position,
        })
    });
    json!({
        "sql": one.collected.sql,
        "locations": places.collect::<Vec<_>>(),
        "parameters": one.parameters,
        "tables": one.tables,
        "error": error,
        "unplanned": one.unplanned,
        "warnings": lints.collect::<Vec<_>>(),
    })
}
