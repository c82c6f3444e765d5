//! `aquifer config`: what a service would run with, and where each value comes from.

use std::io::{self, Write};
use std::path::PathBuf;

use aquifer::{Config, Origin};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::Failure;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Prints each value and where it comes from, with passwords masked
    ///
    /// Reads what a service here would read: the file that AQUIFER_CONFIG names, or aquifer.toml
    /// in the working directory; over it the environment (DATABASE_URL, REDIS_URL, AQUIFER_… and
    /// the PG… variables of libpq). What a program sets by itself is not known here. Nothing is
    /// connected to.
    ///
    /// Exits with 2 if a value can't be used; standard error then says which, and why.
    Print(Print),
}

#[derive(Args)]
pub(crate) struct Print {
    /// Reads this TOML file instead of the one that AQUIFER_CONFIG names
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Prints a JSON array of objects with name, value and origin; null is a value not set
    #[arg(long)]
    json: bool,
}

type Row = (&'static str, String, Origin);

pub(crate) fn run(command: &Command, output: &mut impl Write) -> Result<(), Failure> {
    let Command::Print(print) = command;
    let config = match &print.file {
        Some(path) => Config::from_file(path)?.with_env()?,
        None => Config::load()?,
    };
    let rows: Vec<_> = config.values().collect();
    let written = if print.json {
        write_json(&rows, output)
    } else {
        write_table(&rows, output)
    };
    match written.and_then(|()| output.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    // Only now: where the values come from helps to understand the refusal.
    Ok(config.validate()?)
}

fn write_json(rows: &[Row], output: &mut impl Write) -> io::Result<()> {
    let object = |(name, value, origin): &Row| {
        let value = if value.is_empty() {
            Value::Null
        } else {
            json!(value)
        };
        json!({ "name": name, "value": value, "origin": origin.to_string() })
    };
    let objects: Vec<_> = rows.iter().map(object).collect();
    serde_json::to_writer_pretty(&mut *output, &objects)?;
    writeln!(output)
}

fn write_table(rows: &[Row], output: &mut impl Write) -> io::Result<()> {
    let shown = |value: &str| {
        if value.is_empty() {
            "-".to_owned()
        } else {
            printable(value)
        }
    };
    let header = ["NAME", "VALUE", "ORIGIN"].map(str::to_owned);
    let rows = rows.iter().map(|(name, value, origin)| {
        [
            (*name).to_owned(),
            shown(value),
            printable(&origin.to_string()),
        ]
    });
    let lines: Vec<_> = [header].into_iter().chain(rows).collect();
    let width = |cell: fn(&[String; 3]) -> &String| {
        lines
            .iter()
            .map(|line| cell(line).chars().count())
            .max()
            .unwrap_or_default()
    };
    let (names, values) = (width(|[name, _, _]| name), width(|[_, value, _]| value));
    for [name, value, origin] in &lines {
        writeln!(output, "{name:names$}  {value:values$}  {origin}")?;
    }
    Ok(())
}

/// Without characters that would move the cursor or end the line.
pub(crate) fn printable(text: &str) -> String {
    let escaped = |character: char| match character {
        control if control.is_control() => control.escape_default().to_string(),
        other => other.to_string(),
    };
    text.chars().map(escaped).collect()
}
