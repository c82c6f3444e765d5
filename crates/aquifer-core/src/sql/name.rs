use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::Error;

/// Bytes of a name that PostgreSQL keeps.
const LENGTH_MAX: usize = 63;

/// One name, or one part of a qualified name: a table, column, alias, constraint.
///
/// It is taken literally, case and all, and always written in quotes. 1 to 63 bytes, no NUL.
#[derive(Clone)]
pub struct Name(Text);

/// What a name is made of.
#[derive(Clone)]
enum Text {
    /// Of the program, and such that quotes can be put around it as it is: as nearly all are.
    Simple(&'static str),
    /// Any other.
    Any(Cow<'static, str>),
}

/// A name of the program that is checked when the program is compiled, and so never again.
///
/// ```
/// use aquifer_core::sql::{Name, StaticName};
///
/// const ID: StaticName = StaticName::new("id").unwrap();
/// assert_eq!(Name::from(ID).to_string(), r#""id""#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticName {
    name: &'static str,
    is_simple: bool,
}

impl StaticName {
    /// A name that PostgreSQL takes whole; `None` for one that [`Name::new`] would refuse.
    #[must_use]
    pub const fn new(name: &'static str) -> Option<Self> {
        let is_simple = is_simple(name);
        if is_simple {
            return Some(Self { name, is_simple });
        }
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
        Some(Self { name, is_simple })
    }

    /// The name without quotes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.name
    }
}

impl From<StaticName> for Name {
    #[inline]
    fn from(known: StaticName) -> Self {
        Self(match known.is_simple {
            true => Text::Simple(known.name),
            false => Text::Any(Cow::Borrowed(known.name)),
        })
    }
}

impl Name {
    /// A name that PostgreSQL takes whole.
    ///
    /// # Errors
    /// When it is empty, longer than 63 bytes, or contains a NUL.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Result<Self, Error> {
        let name = name.into();
        if is_simple(&name) {
            return Ok(Self::simple(name));
        }
        Self::checked(name)
    }

    /// A name of which it is known that it is a simple one.
    #[inline]
    fn simple(name: Cow<'static, str>) -> Self {
        Self(match name {
            Cow::Borrowed(name) => Text::Simple(name),
            name @ Cow::Owned(_) => Text::Any(name),
        })
    }

    fn checked(name: Cow<'static, str>) -> Result<Self, Error> {
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
            _ => return Ok(Self(Text::Any(name))),
        };
        Err(Error::new(problem, remedy))
    }

    /// The name, of which nothing is left here.
    fn take(&mut self) -> Self {
        Self(std::mem::replace(&mut self.0, Text::Simple("")))
    }

    /// The name without quotes.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Simple(name) => name,
            Text::Any(name) => name,
        }
    }

    /// Appends the name in quotes: the only way by which a name becomes text.
    #[inline]
    pub(super) fn write(&self, out: &mut String) {
        let name = match &self.0 {
            Text::Simple(name) => name,
            Text::Any(name) if is_simple(name) => &**name,
            Text::Any(name) => return write_doubled(name, out),
        };
        // Both quotes and the name at once.
        out.reserve(name.len() + 2);
        out.push('"');
        out.push_str(name);
        out.push('"');
    }
}

#[cold]
fn write_doubled(name: &str, out: &mut String) {
    out.push('"');
    for part in name.split_inclusive('"') {
        out.push_str(part);
        if part.ends_with('"') {
            out.push('"');
        }
    }
    out.push('"');
}

impl PartialEq for Name {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Name").field(&self.as_str()).finish()
    }
}

/// In quotes, as in SQL.
impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(self.as_str().len() + 2);
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
        let (schema, name) = split_qualifier(text, "table")?;
        Ok(Self { schema, name })
    }

    /// The table, of which nothing is left here.
    pub(super) fn take(&mut self) -> Self {
        Self {
            schema: self.schema.take(),
            name: self.name.take(),
        }
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

/// A table and its alias, as `users` or `app.users as u`.
///
/// # Errors
/// When a part is no name, or the text looks like something other than a table.
#[inline]
pub fn aliased_table(text: impl Into<Cow<'static, str>>) -> Result<(Table, Option<Name>), Error> {
    let text = text.into();
    if is_simple(&text) {
        return Ok((Name::simple(text).into(), None));
    }
    let (table, alias) = split_alias(text)?;
    Ok((Table::parse(table)?, alias))
}

/// A column and the alias that it is given, as `name` or `u.name as label`.
///
/// # Errors
/// When a part is no name, or the text looks like something other than a column.
#[inline]
pub fn aliased_column(text: impl Into<Cow<'static, str>>) -> Result<(Column, Option<Name>), Error> {
    let text = text.into();
    if let Cow::Borrowed(simple) = text
        && let Some((table, name)) = split_simple(simple)
    {
        return Ok((Column { table, name }, None));
    }
    let (column, alias) = split_alias(text)?;
    Ok((Column::parse(column)?, alias))
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

/// Whether the text is one name as nearly all are, for which one look is enough: nothing in it that
/// separates parts, that quotes, or that no name has.
#[inline]
const fn is_simple(text: &str) -> bool {
    let bytes = text.as_bytes();
    // Eight bytes are looked at as one number, the last eight twice where they don't come out even.
    let Some(last) = bytes.last_chunk() else {
        return !bytes.is_empty() && is_plain(padded(bytes));
    };
    let mut rest = bytes;
    while let Some((eight, behind)) = rest.split_first_chunk() {
        if !is_plain(*eight) {
            return false;
        }
        rest = behind;
    }
    bytes.len() <= LENGTH_MAX && is_plain(*last)
}

/// Fewer than eight bytes, and letters behind them.
const fn padded(mut bytes: &[u8]) -> [u8; 8] {
    let mut eight = u64::from_ne_bytes([b'a'; 8]);
    while let [first, behind @ ..] = bytes {
        eight = (eight << 8) | *first as u64;
        bytes = behind;
    }
    eight.to_ne_bytes()
}

/// Whether none of the bytes is below `0` (blanks, quotes, parentheses, dots, NUL) or a semicolon.
const fn is_plain(eight: [u8; 8]) -> bool {
    let word = u64::from_ne_bytes(eight);
    has_byte_below(word, b'0') | has_byte_below(word ^ (ONES * b';' as u64), 1) == 0
}

/// A byte of ones.
const ONES: u64 = u64::MAX / 0xff;

/// Not 0 where one of the bytes is below the limit: it borrows, which shows in its highest bit.
const fn has_byte_below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * limit as u64) & !word & (ONES << 7)
}

fn find_as(text: &str) -> Option<usize> {
    let mut fours = text.as_bytes().windows(4);
    fours.rposition(|four| four.eq_ignore_ascii_case(b" as "))
}

/// A name and what stands before its dot.
type Qualified = (Option<Name>, Name);

#[inline]
fn split_qualifier(text: Cow<'static, str>, what: &str) -> Result<Qualified, Error> {
    if let Cow::Borrowed(simple) = text
        && let Some(names) = split_simple(simple)
    {
        return Ok(names);
    }
    split_checked(text, what)
}

/// One or two names as nearly all are, of a text that lives forever.
#[inline]
fn split_simple(text: &'static str) -> Option<Qualified> {
    if is_simple(text) {
        return Some((None, Name(Text::Simple(text))));
    }
    let at = text.bytes().position(|byte| byte == b'.')?;
    let (before, after) = (text.get(..at)?, text.get(at + 1..)?);
    let both = is_simple(before) && is_simple(after);
    both.then_some((Some(Name(Text::Simple(before))), Name(Text::Simple(after))))
}

fn split_checked(text: Cow<'static, str>, what: &str) -> Result<Qualified, Error> {
    let text = plain(text, what)?;
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
