use std::borrow::Cow;
use std::fmt;

use super::Error;

/// Bytes of a name that PostgreSQL keeps.
const LENGTH_MAX: usize = 63;

/// One name, or one part of a qualified name: a table, column, alias, constraint.
///
/// It is taken literally, case and all, and always written in quotes. 1 to 63 bytes, no NUL.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Cow<'static, str>);

impl Name {
    /// A name that PostgreSQL takes whole.
    ///
    /// # Errors
    /// When it is empty, longer than 63 bytes, or contains a NUL.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Result<Self, Error> {
        let name = name.into();
        let (problem, remedy) = match &*name {
            "" => ("a name is empty".into(), "give it at least one character"),
            name if name.len() > LENGTH_MAX => (
                format!("the name {name:.20?}… has {} bytes", name.len()),
                "PostgreSQL keeps 63 of them: shorten it",
            ),
            name if name.contains('\0') => (
                format!("the name {:?} contains a NUL", name.replace('\0', "␀")),
                "PostgreSQL has no such names",
            ),
            _ => return Ok(Self(name)),
        };
        Err(Error::new(problem, remedy))
    }

    /// A name that is known at compile time; `None` where [`new`](Self::new) would refuse it.
    ///
    /// ```
    /// use aquifer_core::sql::Name;
    ///
    /// const ID: Option<Name> = Name::constant("id");
    /// assert_eq!(ID.unwrap().as_str(), "id");
    /// ```
    #[must_use]
    pub const fn constant(name: &'static str) -> Option<Self> {
        let mut rest = name.as_bytes();
        if rest.is_empty() || rest.len() > LENGTH_MAX {
            return None;
        }
        while let [first, behind @ ..] = rest {
            if *first == 0 {
                return None;
            }
            rest = behind;
        }
        Some(Self(Cow::Borrowed(name)))
    }

    /// The name without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Appends the name in quotes: the only way by which a name becomes text.
    #[inline]
    pub(super) fn write(&self, out: &mut String) {
        out.push('"');
        if self.0.as_bytes().contains(&b'"') {
            for part in self.0.split_inclusive('"') {
                out.push_str(part);
                if part.ends_with('"') {
                    out.push('"');
                }
            }
        } else {
            out.push_str(&self.0);
        }
        out.push('"');
    }
}

/// In quotes, as in SQL.
impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(self.0.len() + 2);
        self.write(&mut text);
        formatter.write_str(&text)
    }
}

/// A table, with its schema if that is given.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Table {
    /// Its schema; without one, `search_path` decides.
    pub schema: Option<Name>,
    /// Its name.
    pub name: Name,
}

impl Table {
    /// Reads `posts` or `app.posts`; for names with a dot in them build it from [`Name`]s.
    ///
    /// # Errors
    /// When a part is no name, or the text looks like something other than a table.
    pub fn parse(text: impl Into<Cow<'static, str>>) -> Result<Self, Error> {
        let text = text.into();
        if is_simple(&text) {
            return Ok(Name(text).into());
        }
        let text = plain(text, "table")?;
        let (schema, name) = split_qualifier(text, "table")?;
        Ok(Self { schema, name })
    }

    pub(super) fn write(&self, out: &mut String) {
        if let Some(schema) = &self.schema {
            schema.write(out);
            out.push('.');
        }
        self.name.write(out);
    }
}

impl From<Name> for Table {
    fn from(name: Name) -> Self {
        Self { schema: None, name }
    }
}

/// In quotes, as in SQL.
impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        formatter.write_str(&text)
    }
}

/// A column, with its table or the table's alias if that is given.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Column {
    /// Its table, or the alias that the table has in the statement.
    pub table: Option<Name>,
    /// Its name.
    pub name: Name,
}

impl Column {
    /// Reads `name` or `users.name`; for names with a dot in them build it from [`Name`]s.
    ///
    /// # Errors
    /// When a part is no name, or the text looks like something other than a column.
    pub fn parse(text: impl Into<Cow<'static, str>>) -> Result<Self, Error> {
        let text = text.into();
        if is_simple(&text) {
            return Ok(Name(text).into());
        }
        let text = plain(text, "column")?;
        let (table, name) = split_qualifier(text, "column")?;
        Ok(Self { table, name })
    }

    #[inline]
    pub(super) fn write(&self, out: &mut String) {
        if let Some(table) = &self.table {
            table.write(out);
            out.push('.');
        }
        self.name.write(out);
    }
}

impl From<Name> for Column {
    fn from(name: Name) -> Self {
        Self { table: None, name }
    }
}

/// In quotes, as in SQL.
impl fmt::Display for Column {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        formatter.write_str(&text)
    }
}

/// A text and the alias that stood behind it.
pub type Aliased = (Cow<'static, str>, Option<Name>);

/// Splits `users as u` into `users` and `u`; without ` as ` there is no alias.
///
/// # Errors
/// When the alias is no name.
pub fn split_alias(text: impl Into<Cow<'static, str>>) -> Result<Aliased, Error> {
    let text = text.into();
    // The shortest one is `a as b`, and most texts have no blank at all.
    let Some(at) = find_as(&text) else {
        return Ok((text, None));
    };
    let (before, after) = split_cow(text, at, 4);
    Ok((before, Some(Name::new(after)?)))
}

/// Whether the text is one name as nearly all are, for which one look is enough.
#[inline]
fn is_simple(text: &str) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    (1..=LENGTH_MAX).contains(&text.len()) && text.as_bytes().iter().all(word)
}

fn find_as(text: &str) -> Option<usize> {
    if !text.as_bytes().contains(&b' ') {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    lower.rfind(" as ")
}

fn split_qualifier(text: Cow<'static, str>, what: &str) -> Result<(Option<Name>, Name), Error> {
    let Some(at) = text.bytes().position(|byte| byte == b'.') else {
        return Ok((None, Name::new(text)?));
    };
    let (before, after) = split_cow(text, at, 1);
    if after.contains('.') {
        return Err(Error::new(
            format!(
                "the {what} {:?} has more than two parts",
                format!("{before}.{after}")
            ),
            "give the table an alias and use that; a name that contains dots is given as `Name`",
        ));
    }
    Ok((Some(Name::new(before)?), Name::new(after)?))
}

/// Splits at a place that is known to be a border of characters, and drops so many bytes there.
fn split_cow(
    text: Cow<'static, str>,
    at: usize,
    drop: usize,
) -> (Cow<'static, str>, Cow<'static, str>) {
    match text {
        Cow::Borrowed(text) => {
            let before = text.get(..at).unwrap_or_default();
            let after = text.get(at + drop..).unwrap_or_default();
            (before.into(), after.into())
        }
        Cow::Owned(mut text) => {
            let after = text.get(at + drop..).unwrap_or_default().to_owned();
            text.truncate(at);
            (text.into(), after.into())
        }
    }
}

/// Refuses what is surely meant to be more than a name: it would be quoted, and nobody would find it.
fn plain(text: Cow<'static, str>, what: &str) -> Result<Cow<'static, str>, Error> {
    if text
        .bytes()
        .any(|byte| matches!(byte, b'(' | b')' | b'"' | b'\'' | b';'))
    {
        return Err(Error::new(
            format!("{text:?} is no name of a {what}"),
            "names are given without quotes, and expressions by an expression or raw!; a name that \
             has such characters is given as `Name`",
        ));
    }
    Ok(text)
}
