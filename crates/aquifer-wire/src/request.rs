//! Frontend messages: what one request looks like on the wire.

use std::cell::Cell;
use std::io;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use postgres_protocol::message::frontend;

use crate::copy::CopyLink;
use crate::names::{Name, Names, Parsed, UNNAMED};
use crate::statement::Statement;
use crate::types::Type;

/// Execute with no portal name and no row limit.
const EXECUTE: &[u8] = b"E\0\0\0\x09\0\0\0\0\0";
/// Bind of the unnamed statement to the unnamed portal, without parameters.
const BIND_NOTHING: &[u8] = b"B\0\0\0\x0c\0\0\0\0\0\0\0\0";
/// Has the server answer although no Sync follows yet.
const FLUSH: &[u8] = b"H\0\0\0\x04";
/// The end of a request: the server answers ReadyForQuery.
pub(crate) const SYNC: &[u8] = b"S\0\0\0\x04";
/// The polite end of a session.
pub(crate) const TERMINATE: &[u8] = b"X\0\0\0\x04";

/// The largest length of one message that PostgreSQL takes (its `PQ_LARGE_MESSAGE_LIMIT`). It closes
/// the connection on a larger one without a word to the client.
pub(crate) const MESSAGE_MAX: usize = 0x3fff_fffe;

/// A statement with its encoded parameters: the tail of a Bind message.
#[derive(Debug)]
pub(crate) struct Bound<'a> {
    pub(crate) statement: &'a Statement,
    pub(crate) parameters: &'a [u8],
}

/// The largest buffer that a thread keeps.
const BUFFER_MAX: usize = 16 * 1024;

thread_local! {
    /// Parameters are encoded before the queue is locked, since their types may be the user's; a
    /// buffer for each thread saves one for each query.
    static BUFFER: Cell<Option<BytesMut>> = const { Cell::new(None) };
}

/// Lends an empty buffer for the time of a call.
pub(crate) fn with_buffer<T>(fill: impl FnOnce(&mut BytesMut) -> T) -> T {
    // Taken out, so that a call within the call gets one of its own.
    let mut buffer = BUFFER
        .try_with(Cell::take)
        .ok()
        .flatten()
        .unwrap_or_default();
    let filled = fill(&mut buffer);
    if buffer.capacity() <= BUFFER_MAX {
        buffer.clear();
        // Fails only while the thread ends, which frees it.
        BUFFER.try_with(|place| place.set(Some(buffer))).ok();
    }
    filled
}

/// What one request asks of the server.
#[derive(Debug)]
pub(crate) enum Request<'a> {
    /// Run statements in one implicit transaction, or in the one that is open.
    Execute(&'a [Bound<'a>]),
    /// Prepare under the id and describe.
    Describe { id: u64, sql: &'a str },
    /// Run a script by the simple protocol.
    Simple { sql: &'a str },
    /// Begin, divide or end a transaction, by the simple protocol.
    Control { sql: &'a str },
    /// Run a COPY with the client; the Sync follows when this side has sent all.
    Copy {
        sql: &'a str,
        link: &'a Arc<CopyLink>,
    },
    /// Bind to a portal of that number, unless it is bound, and execute at most so many rows.
    Portal {
        number: u64,
        bound: Option<Bound<'a>>,
        rows_max: u32,
    },
    /// Close the portal.
    ClosePortal { number: u64 },
    /// Do nothing but answer.
    Sync,
}

/// What was written besides the statements, to be taken back when the server skips it. Usually
/// nothing, so requests carry it boxed.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) parses: Vec<Parsed>,
    pub(crate) closes: Vec<u32>,
    /// The COPY that the request is.
    pub(crate) copy: Option<Arc<CopyLink>>,
}

impl Request<'_> {
    /// How many answers (rows to the end, or a description) it takes until it is complete.
    pub(crate) fn steps(&self) -> usize {
        match self {
            Self::Execute(bound) => bound.len(),
            Self::Describe { .. } | Self::Copy { .. } | Self::Portal { .. } => 1,
            Self::Simple { .. } | Self::Control { .. } | Self::ClosePortal { .. } | Self::Sync => 0,
        }
    }

    /// Appends the messages, without the Sync.
    ///
    /// # Errors
    /// When the text holds a NUL or a message would exceed [`MESSAGE_MAX`].
    pub(crate) fn write(
        &self,
        names: &mut Names,
        written: &mut Option<Box<Written>>,
        out: &mut BytesMut,
    ) -> io::Result<()> {
        if matches!(self, Self::Execute(_) | Self::Describe { .. }) && !names.to_close.is_empty() {
            let written = written.get_or_insert_default();
            written.closes = std::mem::take(&mut names.to_close);
            for name in &written.closes {
                frontend::close(b'S', &name_text(*name), out)?;
            }
        }
        match self {
            Self::Execute(list) => {
                for bound in *list {
                    write_bound(bound, names, written, out)?;
                }
            }
            Self::Describe { id, sql } => {
                let name = match names.name(*id) {
                    // Prepared at the first attempt, whose group then failed at its end.
                    Name::Known(name) | Name::Unsettled(name) => name,
                    Name::New(name) => {
                        let parsed = Parsed::new(*id, name, None);
                        written.get_or_insert_default().parses.push(parsed);
                        write_parse(&name_text(name), sql, &[], out)?;
                        name
                    }
                };
                frontend::describe(b'S', &name_text(name), out)?;
            }
            Self::Simple { sql } | Self::Control { sql } => {
                // The length itself, and the NUL behind the text.
                check_length("the script", 4 + sql.len() + 1)?;
                frontend::query(sql, out)?;
            }
            Self::Copy { sql, link } => {
                let written = written.get_or_insert_default();
                // No description has the number 0.
                written.parses.push(Parsed::new(0, UNNAMED, None));
                written.copy = Some(Arc::clone(link));
                write_parse("", sql, &[], out)?;
                out.put_slice(BIND_NOTHING);
                out.put_slice(EXECUTE);
                out.put_slice(FLUSH);
            }
            Self::Portal {
                number,
                bound,
                rows_max,
            } => {
                let portal = portal_text(*number);
                if let Some(bound) = bound {
                    let name = prepare(bound.statement, names, written, out)?;
                    write_portal(&portal, name, bound.parameters, out)?;
                }
                let rows_max = i32::try_from(*rows_max).unwrap_or(i32::MAX);
                frontend::execute(&portal, rows_max, out)?;
            }
            Self::ClosePortal { number } => {
                written.get_or_insert_default().closes.push(0);
                frontend::close(b'P', &portal_text(*number), out)?;
            }
            Self::Sync => {}
        }
        Ok(())
    }
}

fn write_bound(
    bound: &Bound<'_>,
    names: &mut Names,
    written: &mut Option<Box<Written>>,
    out: &mut BytesMut,
) -> io::Result<()> {
    let name = prepare(bound.statement, names, written, out)?;
    write_bind(name, bound.parameters, out)?;
    out.put_slice(EXECUTE);
    Ok(())
}

fn write_parse(name: &str, sql: &str, types: &[Type], out: &mut BytesMut) -> io::Result<()> {
    // The length itself, name and text with the NUL behind each, the types with their count.
    let length = 4 + name.len() + 1 + sql.len() + 1 + 2 + 4 * types.len();
    check_length("the statement's text", length)?;
    frontend::parse(name, sql, types.iter().map(Type::oid), out)
}

/// Refuses a message before anything of it is written, so that it takes no room.
fn check_length(what: &str, length: usize) -> io::Result<()> {
    if length <= MESSAGE_MAX {
        return Ok(());
    }
    let text = format!(
        "{what} makes a message of {length} bytes, more than the {MESSAGE_MAX} that PostgreSQL \
         takes; split it"
    );
    Err(io::Error::other(text))
}

/// The name of the statement on this connection, which prepares it first if it is new there.
#[inline]
fn prepare(
    statement: &Statement,
    names: &mut Names,
    written: &mut Option<Box<Written>>,
    out: &mut BytesMut,
) -> io::Result<u32> {
    match names.name(statement.id) {
        Name::Known(name) => Ok(name),
        Name::New(name) => {
            let parsed = Parsed::new(statement.id, name, Some(&statement.columns));
            written.get_or_insert_default().parses.push(parsed);
            let text = name_text(name);
            write_parse(&text, &statement.sql, &statement.parameters, out)?;
            // The description may be older than this session: the answer tells.
            frontend::describe(b'S', &text, out)?;
            Ok(name)
        }
        Name::Unsettled(name) => {
            // Nor does whoever comes before that answer know.
            frontend::describe(b'S', &name_text(name), out)?;
            Ok(name)
        }
    }
}

fn write_bind(name: u32, parameters: &[u8], out: &mut BytesMut) -> io::Result<()> {
    let mut text = [0; 12];
    let text = name_cstr(name, &mut text);
    // The length itself, no portal name, the statement's.
    let length = 4 + 1 + text.len() + parameters.len();
    let [a, b, c, d] = message_length(length)?;
    out.put_slice(&[b'B', a, b, c, d, 0]);
    out.put_slice(text);
    out.put_slice(parameters);
    Ok(())
}

/// As [`write_bind`], to a portal that has a name.
fn write_portal(portal: &str, name: u32, parameters: &[u8], out: &mut BytesMut) -> io::Result<()> {
    let name = name_text(name);
    let length = 4 + portal.len() + 1 + name.len() + 1 + parameters.len();
    let [a, b, c, d] = message_length(length)?;
    out.put_slice(&[b'B', a, b, c, d]);
    for text in [portal, &name] {
        out.put_slice(text.as_bytes());
        out.put_u8(0);
    }
    out.put_slice(parameters);
    Ok(())
}

/// The length of a Bind message.
fn message_length(length: usize) -> io::Result<[u8; 4]> {
    check_length("what the parameters hold", length)?;
    Ok(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes())
}

/// As [`name_text`], with the NUL behind it; `fmt` takes ten times as long, and this is done for
/// every query.
fn name_cstr(name: u32, text: &mut [u8; 12]) -> &[u8] {
    if name == UNNAMED {
        return &[0];
    }
    let mut rest = name;
    // The last byte stays 0.
    let mut start = text.len() - 1;
    for place in text.iter_mut().rev().skip(1) {
        start -= 1;
        if rest == 0 && start < 10 {
            *place = b's';
            break;
        }
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text.get(start..).unwrap_or_default()
}

fn name_text(name: u32) -> String {
    match name {
        UNNAMED => String::new(),
        name => format!("s{name}"),
    }
}

fn portal_text(number: u64) -> String {
    format!("p{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_would_not_take_is_not_written() {
        assert!(check_length("the text", MESSAGE_MAX).is_ok());
        assert!(check_length("the text", MESSAGE_MAX + 1).is_err());
        // Zeroes that nobody looks at take no memory.
        let sql = String::from_utf8(vec![0; MESSAGE_MAX]).unwrap();
        let requests = [
            Request::Describe { id: 1, sql: &sql },
            Request::Simple { sql: &sql },
            Request::Control { sql: &sql },
        ];
        for request in requests {
            let (mut names, mut written, mut out) = (Names::new(8), None, BytesMut::new());
            let refused = request.write(&mut names, &mut written, &mut out);
            let text = refused.unwrap_err().to_string();
            assert!(text.contains("1073741822"), "{text}");
            assert!(out.capacity() < 1_000, "{} bytes are held", out.capacity());
        }
    }

    #[test]
    fn parameters_that_the_server_would_not_take_are_not_written() {
        let statement = Statement::new(1, "s", vec![Type::BYTEA], Arc::default());
        let parameters = vec![0; MESSAGE_MAX - 7];
        let bound = [Bound {
            statement: &statement,
            parameters: &parameters,
        }];
        let (mut names, mut written, mut out) = (Names::new(8), None, BytesMut::new());
        let refused = Request::Execute(&bound).write(&mut names, &mut written, &mut out);
        assert!(refused.is_err() && out.capacity() < 1_000);
        let parses = written.unwrap().parses;
        let [parsed] = &parses[..] else {
            panic!("nothing to be taken back");
        };
        assert_eq!((parsed.id, parsed.name), (1, 1));
    }
}
