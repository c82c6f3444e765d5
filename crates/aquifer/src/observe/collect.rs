//! Writes each distinct statement to a file, for `aquifer check`.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::panic::Location;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use aquifer_core::scan;
use aquifer_wire::types::Type;
use aquifer_wire::{Catalog, Statement};
use serde_json::{Value, json};

use super::{Observer, QueryFinished, log};
use crate::Error;

/// Statements of a test run, one JSON object a line; several processes may add to one file.
#[derive(Debug)]
pub(crate) struct Collector(Mutex<State>);

#[derive(Debug)]
struct State {
    file: File,
    /// Hashes of the lines that were written.
    known: HashSet<u64>,
}

impl Collector {
    /// Adds to a file, which is made with its directories unless it is there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let known = HashSet::new();
        Ok(Self(Mutex::new(State { file, known })))
    }

    fn add(&self, sql: &str, location: &Location<'_>, catalog: Option<&Catalog>) {
        // What it was sent with: the schema that it is checked against later may have other types.
        let statement = catalog.and_then(|catalog| catalog.statement(sql));
        let names = |statement: &Statement| -> Value {
            statement.parameters().iter().map(Type::name).collect()
        };
        let location = location.to_string();
        let object = match statement {
            Some(statement) => {
                json!({ "sql": sql, "location": location, "parameters": names(&statement) })
            }
            None => json!({ "sql": sql, "location": location }),
        };
        // With its end, so that what another process adds at the same time is another line.
        let mut line = object.to_string();
        line.push('\n');
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.known.insert(aquifer_wire::fingerprint(&line))
            && let Err(error) = state.file.write_all(line.as_bytes())
        {
            log::not_collected(&error);
        }
    }
}

impl Observer for Collector {
    fn query_finished(&self, event: &QueryFinished<'_>) {
        let (sql, location) = (event.sql, event.location);
        if is_own(location) || event.error.is_some_and(is_wrong) {
            return;
        }
        let parts = scan::statements(sql);
        let texts: Vec<_> = parts
            .into_iter()
            .filter_map(|range| sql.get(range))
            .collect();
        // A script may need what it has made itself; what can't be planned has nothing to be checked.
        if texts.iter().all(|text| is_planned(text)) {
            for text in texts {
                self.add(text, location, event.known.0);
            }
        }
    }
}

/// Whether it is sent by a part of this crate, such as a migration.
///
/// Statements of a repository are the service's: behind `dyn Repository` nobody knows the place of
/// the call, and one in the repository stands for it.
fn is_own(location: &Location<'_>) -> bool {
    let sources = file!().strip_suffix("observe/collect.rs");
    let within = sources.and_then(|sources| location.file().strip_prefix(sources));
    within.is_some_and(|file| !file.starts_with("repository"))
}

/// Whether the statement itself was refused, so that a test must have meant it.
fn is_wrong(error: &Error) -> bool {
    error
        .sqlstate()
        .is_some_and(|state| state.code().starts_with("42"))
}

/// Whether the server makes a plan of it.
fn is_planned(text: &str) -> bool {
    let text = text.trim_start_matches(|skipped: char| skipped == '(' || skipped.is_whitespace());
    let end = text.find(|next: char| !next.is_ascii_alphabetic());
    let word = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
    let planned = [
        "select", "with", "values", "table", "insert", "update", "delete", "merge",
    ];
    planned.iter().any(|known| word.eq_ignore_ascii_case(known))
}
