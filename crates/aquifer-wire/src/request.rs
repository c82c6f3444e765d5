//! Frontend messages: what one request looks like on the wire.

use std::cell::Cell;
use std::io;

use bytes::{BufMut, BytesMut};
use postgres_protocol::message::frontend;

use crate::names::{Name, Names, UNNAMED};
use crate::statement::Statement;

/// Execute with no portal name and no row limit.
const EXECUTE: &[u8] = b"E\0\0\0\x09\0\0\0\0\0";
/// The end of a request: the server answers ReadyForQuery.
pub(crate) const SYNC: &[u8] = b"S\0\0\0\x04";
/// The polite end of a session.
pub(crate) const TERMINATE: &[u8] = b"X\0\0\0\x04";

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
    /// Do nothing but answer.
    Sync,
}

/// What was written besides the statements, to be taken back when the server skips it. Usually
/// nothing, so requests carry it boxed.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) parses: Vec<(u64, u32)>,
    pub(crate) closes: Vec<u32>,
}

impl Request<'_> {
    /// How many answers (rows to the end, or a description) it takes until it is complete.
    pub(crate) fn steps(&self) -> usize {
        match self {
            Self::Execute(bound) => bound.len(),
            Self::Describe { .. } => 1,
            Self::Simple { .. } | Self::Control { .. } | Self::Sync => 0,
        }
    }

    /// Appends the messages, without the Sync.
    ///
    /// # Errors
    /// When the text holds a NUL or a message would exceed the protocol's 2 GiB.
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
                    Name::Known(name) => name,
                    Name::New(name) => {
                        written.get_or_insert_default().parses.push((*id, name));
                        frontend::parse(&name_text(name), sql, [], out)?;
                        name
                    }
                };
                frontend::describe(b'S', &name_text(name), out)?;
            }
            Self::Simple { sql } | Self::Control { sql } => frontend::query(sql, out)?,
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
    let name = match names.name(bound.statement.id) {
        Name::Known(name) => name,
        Name::New(name) => {
            let written = written.get_or_insert_default();
            written.parses.push((bound.statement.id, name));
            let text = name_text(name);
            let types = bound
                .statement
                .parameters
                .iter()
                .map(postgres_types::Type::oid);
            frontend::parse(&text, &bound.statement.sql, types, out)?;
            // The description may be older than this session: the answer tells.
            frontend::describe(b'S', &text, out)?;
            name
        }
    };
    write_bind(name, bound.parameters, out)?;
    out.put_slice(EXECUTE);
    Ok(())
}

fn write_bind(name: u32, parameters: &[u8], out: &mut BytesMut) -> io::Result<()> {
    let mut digits = [0; 10];
    let (letter, digits): (&[u8], &[u8]) = match name {
        UNNAMED => (b"", b""),
        name => (b"s", decimal(name, &mut digits)),
    };
    // The length itself, no portal name, `s` and the digits, the NUL behind them.
    let length = 4 + 1 + letter.len() + digits.len() + 1 + parameters.len();
    let [a, b, c, d] = i32::try_from(length)
        .map_err(|_large| io::Error::other("the parameters of one statement exceed 2 GiB"))?
        .to_be_bytes();
    out.put_slice(&[b'B', a, b, c, d, 0]);
    out.put_slice(letter);
    out.put_slice(digits);
    out.put_u8(0);
    out.put_slice(parameters);
    Ok(())
}

/// The digits of a number; `fmt` takes ten times as long, and this is done for every query.
fn decimal(number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut rest = number;
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        start -= 1;
        if rest == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

fn name_text(name: u32) -> String {
    match name {
        UNNAMED => String::new(),
        name => format!("s{name}"),
    }
}
