use std::fmt;

use crate::{Error, ErrorKind};

/// A name of a table, column or channel; its `Display` is quoted, so that it means itself only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    /// A name that PostgreSQL takes unshortened; `what` it names stands in the error.
    pub(crate) fn new(what: &str, name: &str) -> Result<Self, Error> {
        let problem = match name {
            "" => "is empty",
            name if name.len() > 63 => "is longer than the 63 bytes that PostgreSQL keeps of it",
            name if name.contains('\0') => "contains a NUL",
            _ => return Ok(Self(name.to_owned())),
        };
        Err(Error::new(
            ErrorKind::Usage,
            format!("the {what}'s name {problem}"),
        ))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// The name of a table: `"users"`, or `("app", "users")` with its schema.
///
/// Names are taken literally, case and all; a dot is part of the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    schema: Option<String>,
    table: String,
}

impl TableName {
    /// The name as SQL has it, each part quoted.
    pub(crate) fn quoted(&self) -> Result<String, Error> {
        let table = Name::new("table", &self.table)?;
        match &self.schema {
            None => Ok(table.to_string()),
            Some(schema) => Ok(format!("{}.{table}", Name::new("schema", schema)?)),
        }
    }
}

impl From<&str> for TableName {
    fn from(table: &str) -> Self {
        table.to_owned().into()
    }
}

impl From<String> for TableName {
    fn from(table: String) -> Self {
        Self {
            schema: None,
            table,
        }
    }
}

impl<S: Into<String>, T: Into<String>> From<(S, T)> for TableName {
    fn from((schema, table): (S, T)) -> Self {
        Self {
            schema: Some(schema.into()),
            table: table.into(),
        }
    }
}
