//! What a test run has collected.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::Failure;

/// A statement, and where in the source it was sent; in the order of the places.
#[derive(Clone, Debug)]
pub(super) struct Collected {
    pub(super) sql: String,
    pub(super) places: BTreeSet<Place>,
    /// The types of the parameters that it was sent with, once for each schema that tests had; none
    /// where nobody knew.
    pub(super) parameters: BTreeSet<Vec<String>>,
}

/// A place in a source file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    file: String,
    line: u32,
    column: u32,
}

/// Reads all files, each statement once.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Collected>, Failure> {
    let mut statements: BTreeMap<String, Sent> = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(file)
            .map_err(|error| failure(format!("{} can't be read: {error}", file.display())))?;
        for (number, line) in (1..).zip(text.lines()) {
            let (sql, place, parameters) = parsed(line).ok_or_else(|| {
                failure(format!(
                    "{}:{number} is no collected statement; remove the file and run the tests again",
                    file.display()
                ))
            })?;
            let (places, types) = statements.entry(sql).or_default();
            places.insert(place);
            types.extend(parameters);
        }
    }
    if statements.is_empty() {
        // A check that checks nothing must not pass.
        return Err(failure(
            "nothing was collected; run the tests with AQUIFER_COLLECT and the feature `testing`, \
             see `aquifer check --help`"
                .to_owned(),
        ));
    }
    let mut list: Vec<_> = statements
        .into_iter()
        .map(|(sql, (places, parameters))| Collected {
            sql,
            places,
            parameters,
        })
        .collect();
    list.sort_by(|a, b| (&a.places, &a.sql).cmp(&(&b.places, &b.sql)));
    Ok(list)
}

/// Where, and with which types of its parameters.
type Sent = (BTreeSet<Place>, BTreeSet<Vec<String>>);
type Parsed = (String, Place, Option<Vec<String>>);

fn parsed(line: &str) -> Option<Parsed> {
    let object: Value = serde_json::from_str(line).ok()?;
    let text = |name| object.get(name).and_then(Value::as_str);
    let (sql, location) = (text("sql")?, text("location")?);
    let mut parts = location.rsplitn(3, ':');
    let (column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
    let place = Place {
        file: file.to_owned(),
        line: line.parse().ok()?,
        column: column.parse().ok()?,
    };
    let names = |list: &Value| serde_json::from_value(list.clone()).ok();
    let parameters = match object.get("parameters") {
        Some(list) => Some(names(list)?),
        None => None,
    };
    Some((sql.to_owned(), place, parameters))
}

fn failure(text: String) -> Failure {
    Failure {
        code: 1,
        cause: text.into(),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column } = self;
        write!(formatter, "{file}:{line}:{column}")
    }
}
