//! What the server says about one statement.

use std::collections::BTreeSet;

use aquifer::query::Lint;
use aquifer::{AssertSafe, DatabaseError, Dedicated, Error, ErrorKind};

use super::collected::Collected;
use super::types;

/// What the server says of a statement that it would run and can't plan, such as SET.
const SYNTAX: &str = "42601";

/// A statement, and what was found.
#[derive(Debug)]
pub(super) struct Inspected {
    pub(super) collected: Collected,
    /// Why the server does not take it.
    pub(super) refusal: Option<Refusal>,
    pub(super) lints: Vec<Lint>,
    /// Why the server could not plan it without values, so that there are no lints.
    pub(super) unplanned: Option<String>,
    /// The types of its parameters.
    pub(super) parameters: Vec<String>,
    /// The tables of the server's plan.
    pub(super) tables: BTreeSet<String>,
}

/// Why the server does not take a statement.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// The server's SQLSTATE; where this side refuses it, a name.
    pub(super) code: String,
    pub(super) message: String,
    pub(super) detail: Option<String>,
    pub(super) hint: Option<String>,
    /// The character of the text at which it was found, from 1.
    pub(super) position: Option<u32>,
}

impl Refusal {
    /// The server's word for it, where it is the server that refuses.
    pub(super) fn sqlstate(&self) -> Option<&str> {
        (self.code.len() == 5).then_some(&self.code)
    }
}

/// Asks the server.
pub(super) async fn inspect(
    session: &Dedicated,
    collected: &Collected,
) -> Result<Inspected, Error> {
    let sql = || AssertSafe(collected.sql.clone());
    let mut inspected = Inspected {
        collected: collected.clone(),
        refusal: None,
        lints: Vec::new(),
        unplanned: None,
        parameters: Vec::new(),
        tables: BTreeSet::new(),
    };
    match session.describe(sql()).await {
        Ok(described) => {
            let names = described.parameters().iter().map(|ty| ty.name().to_owned());
            inspected.parameters = names.collect();
            inspected.refusal = types::changed(&collected.parameters, &inspected.parameters);
            if inspected.refusal.is_some() {
                return Ok(inspected);
            }
        }
        Err(error) => {
            inspected.refusal = Some(refusal(error)?);
            return Ok(inspected);
        }
    }
    match session.generic_plan(sql()).await {
        Ok(explained) => {
            let tables = explained
                .steps()
                .into_iter()
                .filter_map(|step| step.table());
            inspected.tables = tables.map(str::to_owned).collect();
            inspected.lints = explained.lints();
        }
        Err(error) => {
            let refusal = refusal(error)?;
            match refusal.code.as_str() {
                SYNTAX => inspected.unplanned = Some("it only has a syntax".to_owned()),
                // Rights and the targets of ON CONFLICT are looked at here only.
                state if state.starts_with("42") => inspected.refusal = Some(refusal),
                // A domain may refuse NULL, which is no fault of the statement.
                _ => inspected.unplanned = Some(refusal.message),
            }
        }
    }
    Ok(inspected)
}

/// What is said of the statement; an error that says nothing of it ends the check.
fn refusal(error: Error) -> Result<Refusal, Error> {
    let Some(said) = error.database() else {
        return match error.kind() {
            // It can't even be sent: COPY, a NUL, too long a text.
            ErrorKind::Usage | ErrorKind::Encode | ErrorKind::Limit => Ok(Refusal {
                code: "not_sent".to_owned(),
                message: error.to_string(),
                detail: None,
                hint: None,
                position: None,
            }),
            _ => Err(error),
        };
    };
    let code = said.code().code();
    // The connection, want of memory or room, and a server that ends.
    if ["08", "53", "57P"]
        .iter()
        .any(|class| code.starts_with(class))
    {
        return Err(error);
    }
    Ok(Refusal {
        code: code.to_owned(),
        message: said.message().to_owned(),
        detail: said.detail().map(str::to_owned),
        hint: said.hint().map(str::to_owned),
        position: DatabaseError::position(said),
    })
}
