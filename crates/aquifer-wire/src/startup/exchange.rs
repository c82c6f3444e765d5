//! Sends and receives single messages while the session is not open yet.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::frame::{Body, HEADER, error_fields, peek, tag};
use crate::transport::Transport;
use crate::{DatabaseError, Error, Kind};

/// No message of a start-up is longer than this; a server that announces more is not believed.
const MESSAGE_MAX: usize = 64 * 1024;
/// Nor are all of them together.
const TOTAL_MAX: usize = 1024 * 1024;

/// The tags that are met during start-up only.
pub(super) const AUTHENTICATION: u8 = b'R';
pub(super) const BACKEND_KEY_DATA: u8 = b'K';
const NEGOTIATE_PROTOCOL_VERSION: u8 = b'v';

/// A stream with its two buffers.
pub(super) struct Exchange {
    transport: Transport,
    incoming: BytesMut,
    /// Messages to be sent next.
    pub(super) outgoing: BytesMut,
    /// Whole NoticeResponse messages, kept for those who will listen to the session's events.
    notices: BytesMut,
    received: usize,
}

/// A message without its header.
pub(super) struct Message {
    pub(super) tag: u8,
    pub(super) body: Bytes,
}

impl Exchange {
    pub(super) fn new(transport: Transport) -> Self {
        Self {
            transport,
            incoming: BytesMut::with_capacity(4096),
            outgoing: BytesMut::with_capacity(512),
            notices: BytesMut::new(),
            received: 0,
        }
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The stream, and the messages that are left for the session: the notices, then what was read
    /// but not looked at yet.
    pub(super) fn into_parts(self) -> (Transport, BytesMut) {
        let mut unread = self.notices;
        unread.unsplit(self.incoming);
        (self.transport, unread)
    }

    /// Writes what is in `outgoing`.
    pub(super) async fn send(&mut self) -> Result<(), Error> {
        let written = self.transport.write_all(&self.outgoing).await;
        self.outgoing.clear();
        written.map_err(broken)?;
        self.transport.flush().await.map_err(broken)
    }

    /// The next message that is neither a notice, which is kept, nor an error, which is returned.
    pub(super) async fn next(&mut self) -> Result<Message, Error> {
        loop {
            // The announced length is checked before anything is reserved for it.
            let Some((tag, length)) = peek(&self.incoming, MESSAGE_MAX).map_err(malformed)? else {
                self.read().await?;
                continue;
            };
            let message = self.incoming.split_to(length).freeze();
            let body = message.slice(HEADER..);
            match tag {
                tag::ERROR => return Err(refused(DatabaseError::from_fields(error_fields(&body)))),
                tag::NOTICE => self.notices.extend_from_slice(&message),
                NEGOTIATE_PROTOCOL_VERSION => negotiated(&mut Body(&body))?,
                tag => return Ok(Message { tag, body }),
            }
        }
    }

    async fn read(&mut self) -> Result<(), Error> {
        self.incoming.reserve(1024);
        let read = self.transport.read_buf(&mut self.incoming).await;
        self.received += read.map_err(broken).and_then(|read| match read {
            0 => Err(closed()),
            read => Ok(read),
        })?;
        if self.received > TOTAL_MAX {
            return Err(Error::new(
                Kind::Protocol,
                format!("the server sent more than {TOTAL_MAX} bytes before the session was ready"),
            ));
        }
        Ok(())
    }
}

/// NegotiateProtocolVersion: version 3.0, which we speak, is the lowest, so only an option can be
/// what the server does not know.
fn negotiated(body: &mut Body<'_>) -> Result<(), Error> {
    let _newest_minor = body.i32()?;
    match body.i32()? {
        0 => Ok(()),
        _ => Err(Error::new(
            Kind::Connect,
            "the server does not know a protocol option among the start-up settings",
        )),
    }
}

/// The server's own words for why there is no session.
fn refused(database: DatabaseError) -> Error {
    let (kind, text) = match database.code().class() {
        "28" => (Kind::Authentication, "the server refused the login"),
        _ => (Kind::Connect, "the server refused the session"),
    };
    Error::new(kind, text).with_database(Some(database))
}

fn malformed(problem: &str) -> Error {
    Error::new(
        Kind::Protocol,
        format!("{problem} during start-up; is the peer a PostgreSQL server?"),
    )
}

/// A message that has no place here.
pub(super) fn unexpected(place: &str) -> Error {
    Error::new(
        Kind::Protocol,
        format!("the server sent a message that has no place {place}"),
    )
}

/// The peer went away; with TLS also without a proper goodbye.
fn broken(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => closed(),
        _ if error
            .get_ref()
            .is_some_and(|cause| cause.is::<rustls::Error>()) =>
        {
            crate::tls::handshake_error(error, false)
        }
        _ => Error::new(
            Kind::Connect,
            format!("the connection broke before the session was ready: {error}"),
        )
        .with_source(error),
    }
}

pub(super) fn closed() -> Error {
    Error::new(
        Kind::Connect,
        "the server closed the connection before the session was ready",
    )
}
