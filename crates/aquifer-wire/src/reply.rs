mod composed;
mod fetch;
mod stored;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::{Buf, Bytes};

pub(crate) use self::fetch::{End, read_fetch};
use crate::frame::{self, Body, Frames, tag};
use crate::row::Row;
use crate::statement::{Columns, Statement};
use crate::{DatabaseError, Error, Kind, SqlState};

/// The whole result of one statement.
///
/// The rows lie in the bytes as they came; they are decoded when they are asked for.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(crate) columns: Arc<Columns>,
    /// The columns that the session described, where they differ from the statement's.
    pub(crate) changed_fields: Option<Fields>,
    /// From the first row to the end of the statement's completion.
    frames: Bytes,
    /// Where the completion stands in `frames`.
    completion: usize,
    rows: usize,
}

/// Where one row stands in its [`Reply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowAt {
    start: usize,
    end: usize,
}

/// Where the answer to one statement lies among the frames of its request.
struct Extent {
    start: usize,
    completion: usize,
    end: usize,
    rows: usize,
    changed_fields: Option<Fields>,
}

/// One column of a RowDescription, its type not yet looked up.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) table: u32,
    pub(crate) ty: u32,
}

pub(crate) type Fields = Box<[Field]>;

/// What a Describe answered.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) parameters: Vec<u32>,
    pub(crate) fields: Vec<Field>,
}

impl Reply {
    /// The columns; none for a statement without a result.
    #[must_use]
    pub fn columns(&self) -> &Arc<Columns> {
        &self.columns
    }

    /// How many rows were returned.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether no row was returned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows in order.
    pub fn rows(&self) -> impl Iterator<Item = Row> + use<'_> {
        self.bodies().map(|body| self.row(body))
    }

    /// The bodies of the rows, for decoding without an owned row in between.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = &[u8]> {
        Frames(&self.frames)
            .filter(|(tag, _)| *tag == tag::DATA_ROW)
            .map(|(_, body)| body)
    }

    /// The bodies of the rows, each with its place.
    pub(crate) fn places(&self) -> impl Iterator<Item = (RowAt, &[u8])> {
        let mut walk = Frames(&self.frames);
        std::iter::from_fn(move || {
            loop {
                let (tag, body) = walk.next()?;
                if tag == tag::DATA_ROW {
                    let end = self.frames.len() - walk.0.len();
                    let start = end - body.len();
                    return Some((RowAt { start, end }, body));
                }
            }
        })
    }

    /// The body of the row at that place.
    pub(crate) fn body_at(&self, row: RowAt) -> Result<&[u8], Error> {
        let body = self.frames.get(row.start..row.end);
        body.ok_or_else(|| frame::protocol("a row that is not of this reply"))
    }

    /// An owned row; its body is shared where it lies in this reply, as it nearly always does.
    pub(crate) fn row(&self, body: &[u8]) -> Row {
        let own = self.frames.as_ptr_range();
        let within = own.contains(&body.as_ptr()) || body.is_empty();
        let body = if within {
            self.frames.slice_ref(body)
        } else {
            Bytes::copy_from_slice(body)
        };
        Row::new(Arc::clone(&self.columns), body)
    }

    /// How many rows the statement inserted, changed, deleted or returned, as the server counted.
    #[must_use]
    pub fn affected(&self) -> u64 {
        read_count(self.tag_bytes())
    }

    /// How many bytes it takes as it came.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.frames.len()
    }

    /// The server's tag, for example `INSERT 0 1`.
    #[must_use]
    pub fn tag(&self) -> &str {
        std::str::from_utf8(self.tag_bytes()).unwrap_or_default()
    }

    fn tag_bytes(&self) -> &[u8] {
        let mut completion = Frames(self.frames.get(self.completion..).unwrap_or_default());
        let text = completion
            .next()
            .and_then(|(tag, body)| read_tag(tag, body).ok());
        text.unwrap_or_default()
    }

    fn new(statement: &Statement, frames: Bytes, extent: Extent) -> Self {
        Self {
            columns: Arc::clone(statement.columns()),
            changed_fields: extent.changed_fields,
            frames,
            completion: extent.completion - extent.start,
            rows: extent.rows,
        }
    }
}

/// The number that is the last word of a tag, else 0.
///
/// Read as it stands there: to check the tag as text first, and to search it, costs ten times as much,
/// and each write asks for the number twice.
fn read_count(tag: &[u8]) -> u64 {
    let digits = tag.iter().rev().take_while(|byte| byte.is_ascii_digit());
    let (words, count) = tag.split_at(tag.len() - digits.count());
    if !words.is_empty() && !words.ends_with(b" ") {
        return 0;
    }
    let mut digits = count.iter().map(|byte| u64::from(byte - b'0'));
    let count = digits.try_fold(0_u64, |count, digit| {
        count.checked_mul(10)?.checked_add(digit)
    });
    count.unwrap_or(0)
}

/// Whether the statement must be prepared anew: the server dropped it, or its plan no longer fits.
///
/// The same code from within the statement is something else: what it executed before may stay.
pub(crate) fn is_stale(error: &Error) -> bool {
    let Some(database) = error.database().filter(|_| !error.executed()) else {
        return false;
    };
    match *database.code() {
        SqlState::INVALID_SQL_STATEMENT_NAME | SqlState::DUPLICATE_PREPARED_STATEMENT => true,
        SqlState::FEATURE_NOT_SUPPORTED => database.routine() == Some("RevalidateCachedQuery"),
        // A type was dropped and made again under another OID.
        SqlState::INTERNAL_ERROR => database
            .message()
            .starts_with("cache lookup failed for type"),
        _ => false,
    }
}

/// Reads the answer to an Execute request of one statement.
pub(crate) fn read_one(mut frames: Bytes, statement: &Statement) -> Result<Reply, Error> {
    let mut rest = Frames(&frames);
    let extent = extent(&mut rest, frames.len(), statement)?;
    end(rest)?;
    frames.truncate(extent.end);
    frames.advance(extent.start);
    Ok(Reply::new(statement, frames, extent))
}

/// Splits the answer to an Execute request into one reply per statement.
pub(crate) fn read<'a>(
    frames: &Bytes,
    statements: impl Iterator<Item = &'a Arc<Statement>>,
) -> Result<Vec<Reply>, Error> {
    let mut replies = Vec::with_capacity(statements.size_hint().0);
    let mut rest = Frames(frames);
    for statement in statements {
        let extent = extent(&mut rest, frames.len(), statement)?;
        let own = frames.slice(extent.start..extent.end);
        replies.push(Reply::new(statement, own, extent));
    }
    end(rest)?;
    Ok(replies)
}

/// Walks to the end of one statement's answer, within frames of `length` bytes.
#[inline]
fn extent(rest: &mut Frames<'_>, length: usize, statement: &Statement) -> Result<Extent, Error> {
    let mut walk = rest.clone();
    let mut start = length - walk.0.len();
    let mut width = width_bytes(statement.columns().list().len());
    let (mut rows, mut changed_fields, mut bound) = (0, None, false);
    loop {
        let completion = length - walk.0.len();
        let (tag, body) = walk.next().ok_or_else(missing)?;
        match tag {
            tag::DATA_ROW => {
                if body.first_chunk() != Some(&width) {
                    return Err(frame::protocol("a row of another width than was described"));
                }
                rows += 1;
            }
            tag::BIND_COMPLETE => {
                bound = true;
                start = length - walk.0.len();
            }
            tag::COMMAND_COMPLETE | tag::EMPTY_QUERY | tag::PORTAL_SUSPENDED => {
                read_tag(tag, body)?;
                let end = length - walk.0.len();
                *rest = walk;
                return Ok(Extent {
                    start,
                    completion,
                    end,
                    rows,
                    changed_fields,
                });
            }
            _ => {
                let described = description(tag, body);
                if let Some(fields) = described.map_err(|error| error.with_executed(bound))? {
                    width = width_bytes(fields.len());
                    let changed = !same(&fields, statement.columns().list());
                    changed_fields = changed.then(|| fields.into_boxed_slice());
                }
            }
        }
    }
}

/// What may stand in an answer besides rows: an error, or a description, of which the fields are
/// returned.
#[cold]
fn description(tag: u8, body: &[u8]) -> Result<Option<Vec<Field>>, Error> {
    match tag {
        tag::NO_DATA => Ok(Some(Vec::new())),
        tag::ROW_DESCRIPTION => read_fields(body).map(Some),
        tag::COPY_OUT => Err(copy()),
        tag::ERROR => Err(server_error(body)),
        _ => Ok(None),
    }
}

/// Looks at what follows the last completion: a deferred constraint may still fail at the Sync.
fn end(mut rest: Frames<'_>) -> Result<(), Error> {
    rest.try_for_each(|(tag, body)| match tag {
        tag::ERROR => Err(server_error(body)),
        _ => Ok(()),
    })
}

/// Whether one of the statements may have ended a transaction, and with it what came before.
pub(crate) fn may_have_committed(frames: &[u8]) -> bool {
    // A procedure and a block of code may end transactions within.
    let ends = [
        b"COMMIT".as_slice(),
        b"ROLLBACK",
        b"PREPARE TRANSACTION",
        b"CALL",
        b"DO",
    ];
    Frames(frames)
        .filter(|(tag, _)| *tag == tag::COMMAND_COMPLETE)
        .any(|(_, body)| ends.iter().any(|end| body.starts_with(end)))
}

/// The tags of a script's statements, or its first error.
pub(crate) fn read_tags(frames: &[u8]) -> Result<Vec<String>, Error> {
    let mut tags = Vec::new();
    for (tag, body) in Frames(frames) {
        match tag {
            tag::COMMAND_COMPLETE => {
                tags.push(String::from_utf8_lossy(read_tag(tag, body)?).into_owned());
            }
            tag::COPY_OUT => return Err(copy()),
            tag::ERROR => return Err(server_error(body)),
            _ => {}
        }
    }
    Ok(tags)
}

pub(crate) fn read_description(frames: &[u8]) -> Result<Description, Error> {
    let mut description = Description {
        parameters: Vec::new(),
        fields: Vec::new(),
    };
    for (tag, body) in Frames(frames) {
        match tag {
            tag::PARAMETER_DESCRIPTION => {
                let mut body = Body(body);
                body.i16()?;
                while !body.is_empty() {
                    description.parameters.push(body.u32()?);
                }
            }
            tag::ROW_DESCRIPTION => description.fields = read_fields(body)?,
            tag::ERROR => return Err(server_error(body)),
            _ => {}
        }
    }
    Ok(description)
}

fn read_fields(body: &[u8]) -> Result<Vec<Field>, Error> {
    let mut body = Body(body);
    let count = body.i16()?;
    let mut fields = Vec::new();
    while !body.is_empty() {
        // A database in SQL_ASCII may hold a name that is not UTF-8.
        let name = String::from_utf8_lossy(body.cstr()?).into_owned();
        let table = body.u32()?;
        // The column's number within its table.
        body.i16()?;
        let ty = body.u32()?;
        // The type's size, its modifier, the format.
        body.i16()?;
        body.i32()?;
        body.i16()?;
        fields.push(Field { name, table, ty });
    }
    if usize::try_from(count).is_ok_and(|count| count == fields.len()) {
        Ok(fields)
    } else {
        Err(frame::protocol("more or fewer columns than were announced"))
    }
}

/// Whether a RowDescription or NoData says what the columns are known to be.
pub(crate) fn fits(tag: u8, body: &[u8], columns: &Columns) -> bool {
    let fields = description(tag, body).ok().flatten();
    fields.is_some_and(|fields| same(&fields, columns.list()))
}

fn same(fields: &[Field], columns: &[crate::statement::Column]) -> bool {
    let pairs = fields.iter().zip(columns);
    fields.len() == columns.len()
        && pairs.fold(true, |same, (field, column)| {
            same && field.name == column.name() && field.ty == column.ty().oid()
        })
}

/// The text of a CommandComplete, without its NUL; the other ends of a statement have none.
fn read_tag(tag: u8, body: &[u8]) -> Result<&[u8], Error> {
    if tag != tag::COMMAND_COMPLETE {
        return Ok(&[]);
    }
    body.strip_suffix(&[0])
        .ok_or_else(|| frame::protocol("the tag of a statement without its end"))
}

/// How a DataRow of so many columns begins.
fn width_bytes(columns: usize) -> [u8; 2] {
    u16::try_from(columns).unwrap_or(u16::MAX).to_be_bytes()
}

pub(crate) fn server_error(body: &[u8]) -> Error {
    Error::from_database(DatabaseError::from_fields(frame::error_fields(body)))
}

pub(crate) fn missing() -> Error {
    frame::protocol("an answer without the end of its statement")
}

fn copy() -> Error {
    Error::new(
        Kind::Limit,
        "COPY TO STDOUT can't run as a query; use `copy_out`",
    )
    .with_sent(true)
}
