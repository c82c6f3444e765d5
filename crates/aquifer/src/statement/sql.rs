use std::borrow::Cow;
use std::fmt;

use aquifer_wire::types::Value;

/// Text that may be run as SQL: `&'static str`, [`raw!`](crate::raw) or [`AssertSafe`].
///
/// A `String` is none: it may hold what a user typed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be run as SQL",
    label = "this may hold what a user typed",
    note = "write the text as a literal and pass values as parameters: (\"… where id = $1\", (id,))",
    note = "for text built at run time from trusted parts only, say so: AssertSafe(text)"
)]
pub trait SqlText: Send {
    /// The text, and the parameters that it brings along.
    fn into_sql(self) -> Sql;
}

/// SQL text with the parameters that it brings along, if any.
pub struct Sql {
    text: Cow<'static, str>,
    params: Option<Vec<Value>>,
}

impl Sql {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn params(&self) -> Option<&Vec<Value>> {
        self.params.as_ref()
    }

    /// The text, where parameters can't go along.
    pub(crate) fn text_alone(&self) -> Result<&str, crate::Error> {
        match self.params {
            None => Ok(&self.text),
            Some(_) => Err(crate::Error::new(
                crate::ErrorKind::Usage,
                "a script takes no parameters; use `batch` for several statements with parameters",
            )),
        }
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sql")
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}

impl SqlText for &'static str {
    fn into_sql(self) -> Sql {
        Sql {
            text: Cow::Borrowed(self),
            params: None,
        }
    }
}

/// Text built at run time, for which the caller asserts that no part came from outside.
///
/// ```no_run
/// # use aquifer::{AssertSafe, Db, Error, Session};
/// # async fn example(db: &Db, columns: &[&'static str]) -> Result<(), Error> {
/// let sql = format!("select {} from users", columns.join(", "));
/// db.query(AssertSafe(sql), ()).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it is a marker that users construct"
)]
pub struct AssertSafe<T>(pub T);

impl SqlText for AssertSafe<String> {
    fn into_sql(self) -> Sql {
        Sql {
            text: Cow::Owned(self.0),
            params: None,
        }
    }
}

impl SqlText for AssertSafe<&str> {
    fn into_sql(self) -> Sql {
        Sql {
            text: Cow::Owned(self.0.to_owned()),
            params: None,
        }
    }
}

/// SQL text with values bound at its `{}`; made by [`raw!`](crate::raw).
pub struct RawSql {
    template: &'static str,
    values: Vec<Value>,
}

impl RawSql {
    /// For [`raw!`](crate::raw), which has checked that there are as many `{}` as values.
    #[doc(hidden)]
    #[must_use]
    pub fn new(template: &'static str, values: Vec<Value>) -> Self {
        Self { template, values }
    }

    /// The text as it was written, and its values: for a part of a statement, in which parameters
    /// are numbered only when all of it is known.
    pub(crate) fn into_parts(self) -> (&'static str, Vec<Value>) {
        (self.template, self.values)
    }
}

impl SqlText for RawSql {
    fn into_sql(self) -> Sql {
        let mut text = String::with_capacity(self.template.len() + 8);
        let mut number = 0;
        let mut rest = self.template;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(at);
            text.push_str(before);
            // `{{` and `}}` stand for one brace each, `{}` for the next parameter.
            if after.starts_with("{}") {
                number += 1;
                text.push('$');
                text.push_str(&number.to_string());
            } else {
                text.push_str(after.get(..1).unwrap_or_default());
            }
            rest = after.get(2..).unwrap_or_default();
        }
        text.push_str(rest);
        Sql {
            text: Cow::Owned(text),
            params: Some(self.values),
        }
    }
}

impl fmt::Debug for RawSql {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RawSql")
            .field("template", &self.template)
            .finish_non_exhaustive()
    }
}

/// How many `{}` a template of [`raw!`](crate::raw) has; a lone brace is a compile error.
#[doc(hidden)]
#[must_use]
#[expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "runs at compile time only"
)]
pub const fn count_placeholders(template: &str) -> usize {
    let bytes = template.as_bytes();
    let (mut at, mut count) = (0, 0);
    while at < bytes.len() {
        if bytes[at] == b'{' || bytes[at] == b'}' {
            let pair = if at + 1 < bytes.len() {
                bytes[at + 1]
            } else {
                0
            };
            match (bytes[at], pair) {
                (b'{', b'}') => count += 1,
                (b'{', b'{') | (b'}', b'}') => {}
                _ => panic!(
                    "a lone brace in raw!: write an empty pair for a value, or double the brace"
                ),
            }
            at += 1;
        }
        at += 1;
    }
    count
}

/// SQL text with values in place: each `{}` becomes a parameter, never text.
///
/// A literal brace is written twice. That there are as many values as `{}` is checked at compile
/// time. Values are what has [`IntoValue`](crate::types::IntoValue); those that are borrowed are copied.
///
/// ```
/// # use aquifer::raw;
/// # fn example(email: &str) {
/// let statement = raw!("select id from users where lower(email) = lower({})", email);
/// # }
/// ```
#[macro_export]
macro_rules! raw {
    ($template:literal $(, $value:expr)* $(,)?) => {{
        const GIVEN: usize = <[&str]>::len(&[$(stringify!($value)),*]);
        const _: () = assert!(
            $crate::count_placeholders($template) == GIVEN,
            "raw! needs one value for each pair of braces in its text"
        );
        $crate::RawSql::new(
            $template,
            ::std::vec![$($crate::types::IntoValue::into_value($value)),*],
        )
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_become_numbered_parameters_and_doubled_ones_stay() {
        let raw = crate::raw!("select '{{}}'::jsonb, {} + {}", 1_i64, 2_i64);
        let sql = raw.into_sql();
        assert_eq!(sql.text(), "select '{}'::jsonb, $1 + $2");
        assert_eq!(sql.params().map(Vec::len), Some(2));
    }
}
