//! Backend messages as they lie in a buffer: one byte of tag, four of length, the body.

use crate::{Error, Kind};

/// Bytes of tag and length in front of each body.
pub(crate) const HEADER: usize = 5;

/// The tags of backend messages that the driver tells apart.
pub(crate) mod tag {
    pub(crate) const BIND_COMPLETE: u8 = b'2';
    pub(crate) const CLOSE_COMPLETE: u8 = b'3';
    pub(crate) const COMMAND_COMPLETE: u8 = b'C';
    pub(crate) const COPY_BOTH: u8 = b'W';
    pub(crate) const COPY_DATA: u8 = b'd';
    pub(crate) const COPY_DONE: u8 = b'c';
    pub(crate) const COPY_IN: u8 = b'G';
    pub(crate) const COPY_OUT: u8 = b'H';
    pub(crate) const DATA_ROW: u8 = b'D';
    pub(crate) const EMPTY_QUERY: u8 = b'I';
    pub(crate) const ERROR: u8 = b'E';
    pub(crate) const NO_DATA: u8 = b'n';
    pub(crate) const NOTICE: u8 = b'N';
    pub(crate) const NOTIFICATION: u8 = b'A';
    pub(crate) const PARAMETER_DESCRIPTION: u8 = b't';
    pub(crate) const PARAMETER_STATUS: u8 = b'S';
    pub(crate) const PARSE_COMPLETE: u8 = b'1';
    pub(crate) const PORTAL_SUSPENDED: u8 = b's';
    pub(crate) const READY: u8 = b'Z';
    pub(crate) const ROW_DESCRIPTION: u8 = b'T';
}

/// A message's tag, and its length with the header.
pub(crate) type Message = (u8, usize);

/// One whole message at the start of `buffer`: its tag and its full length with header.
///
/// The announced length is checked against `message_max` before anything is reserved for it;
/// `Ok(None)` means that more bytes are needed.
pub(crate) fn peek(buffer: &[u8], message_max: usize) -> Result<Option<Message>, &'static str> {
    let Some(header) = buffer.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let [tag, a, b, c, d] = *header;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length < 4 {
        return Err("a message announced a length below 4");
    }
    if length > message_max {
        return Err("a message announced more than the configured maximum");
    }
    Ok((buffer.len() > length).then_some((tag, length + 1)))
}

/// The messages in a complete answer, in order.
#[derive(Clone, Debug)]
pub(crate) struct Frames<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Frames<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // The driver cut the answer at message boundaries, so a rest that is no message is the end.
        let (tag, length) = peek(self.0, usize::MAX).ok()??;
        let (message, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, message.get(HEADER..)?))
    }
}

/// Reads the body of a message from front to back; every read is checked.
#[derive(Debug)]
pub(crate) struct Body<'a>(pub(crate) &'a [u8]);

impl<'a> Body<'a> {
    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        let (first, rest) = self.0.split_first().ok_or_else(short)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Error> {
        let (first, rest) = self.0.split_first_chunk::<2>().ok_or_else(short)?;
        self.0 = rest;
        Ok(i16::from_be_bytes(*first))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Error> {
        let (first, rest) = self.0.split_first_chunk::<4>().ok_or_else(short)?;
        self.0 = rest;
        Ok(i32::from_be_bytes(*first))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        let (first, rest) = self.0.split_first_chunk::<4>().ok_or_else(short)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*first))
    }

    /// Bytes up to the next NUL, which is passed over.
    pub(crate) fn cstr(&mut self) -> Result<&'a [u8], Error> {
        let end = self
            .0
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(short)?;
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        Ok(text)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Error> {
        std::str::from_utf8(self.cstr()?)
            .map_err(|error| protocol("text that is not UTF-8").with_source(error))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An error that says how the server broke the protocol.
pub(crate) fn protocol(what: &'static str) -> Error {
    Error::new(Kind::Protocol, what).with_sent(true)
}

fn short() -> Error {
    protocol("a message ended before its fields did")
}

/// The fields of an ErrorResponse or NoticeResponse.
pub(crate) fn error_fields(body: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut body = Body(body);
    std::iter::from_fn(move || {
        let kind = body.u8().ok().filter(|kind| *kind != 0)?;
        let value = body.cstr().ok()?;
        Some((kind, value))
    })
}
