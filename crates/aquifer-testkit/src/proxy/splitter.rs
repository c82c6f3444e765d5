use std::sync::atomic::{AtomicBool, Ordering};

use super::Direction;

/// Tags of what has no tag byte on the wire, for [`Cut`](super::Cut) and the counters.
pub mod tag {
    /// The client's StartupMessage.
    pub const STARTUP: u8 = 0;
    /// The client's SSLRequest.
    pub const SSL_REQUEST: u8 = 1;
    /// The client's GSSENCRequest.
    pub const GSS_REQUEST: u8 = 2;
    /// The client's CancelRequest.
    pub const CANCEL_REQUEST: u8 = 3;
    /// The server's single byte in answer to SSLRequest or GSSENCRequest.
    pub const ENCRYPTION_REPLY: u8 = 4;
}

/// So much of a message is held back and looked at before any of it is forwarded.
const PREFIX_MAX: usize = 4096;

/// PostgreSQL's own limits, of a message and of a start-up packet; anything above is neither.
const LENGTH_MAX: usize = 1 << 30;
const STARTUP_LENGTH_MAX: usize = 10_000;

/// What both directions of one connection know about how it began.
#[derive(Debug, Default)]
pub(super) struct Session {
    reply_due: AtomicBool,
    opaque: AtomicBool,
}

/// The first bytes of a message, as a cut looks at them.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) tag: u8,
    pub(super) prefix: Vec<u8>,
}

/// Bytes to forward in one go.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    /// The message that begins here.
    pub(super) begins: Option<Head>,
    /// Whether a message ends here.
    pub(super) ends: bool,
}

/// Finds the messages in the bytes of one direction, with bounded memory.
#[derive(Debug)]
pub(super) struct Splitter {
    direction: Direction,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Collecting the start of a message → `Within`, or again `Between` if that is all of it.
    Between { held: Vec<u8>, started: bool },
    /// Passing on the rest of a long message → `Between`.
    Within { left: usize },
    /// Not the protocol, or encrypted: passed on as it is. Final.
    Opaque,
}

impl Splitter {
    pub(super) fn new(direction: Direction, postgres: bool) -> Self {
        let state = if postgres {
            State::Between {
                held: Vec::new(),
                // Only a client begins without tag bytes.
                started: direction == Direction::ToClient,
            }
        } else {
            State::Opaque
        };
        Self { direction, state }
    }

    /// Splits what arrived into pieces, in order; a beginning that is still too short is kept.
    pub(super) fn feed(&mut self, session: &Session, mut bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let (piece, rest) = self.next(session, bytes);
            pieces.extend(piece);
            bytes = rest;
        }
        pieces
    }

    /// What was kept when the stream ended in the middle of a beginning.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        match std::mem::replace(&mut self.state, State::Opaque) {
            State::Between { held, .. } => held,
            State::Within { .. } | State::Opaque => Vec::new(),
        }
    }

    fn next<'a>(&mut self, session: &Session, bytes: &'a [u8]) -> (Option<Piece>, &'a [u8]) {
        if session.opaque.load(Ordering::Relaxed) {
            let held = self.rest();
            if !held.is_empty() {
                return (Some(Piece::plain(&held)), bytes);
            }
        }
        match &mut self.state {
            State::Opaque => (Some(Piece::plain(bytes)), &[]),
            State::Within { left } => {
                let (now, rest) = bytes.split_at(bytes.len().min(*left));
                *left -= now.len();
                let ends = *left == 0;
                if ends {
                    self.state = State::Between {
                        held: Vec::new(),
                        started: true,
                    };
                }
                let mut piece = Piece::plain(now);
                piece.ends = ends;
                (Some(piece), rest)
            }
            State::Between { held, started } => {
                if self.direction == Direction::ToClient
                    && held.is_empty()
                    && let Some(piece) = encryption_reply(session, bytes)
                {
                    return (Some(piece), bytes.get(1..).unwrap_or_default());
                }
                let wanted = wanted(held, *started);
                let missing = wanted.saturating_sub(held.len());
                let (now, rest) = bytes.split_at(bytes.len().min(missing));
                held.extend_from_slice(now);
                if held.len() < wanted || self::wanted(held, *started) > held.len() {
                    return (None, rest);
                }
                let held = std::mem::take(held);
                let started = *started;
                (Some(self.begin(session, held, started)), rest)
            }
        }
    }

    fn begin(&mut self, session: &Session, held: Vec<u8>, started: bool) -> Piece {
        let Some(total) = total(&held, started) else {
            self.state = State::Opaque;
            if !started {
                // TLS from the first byte, most likely: then the answer is no message either.
                session.opaque.store(true, Ordering::Relaxed);
            }
            return Piece::plain(&held);
        };
        let tag = if started {
            held.first().copied().unwrap_or_default()
        } else {
            untagged(&held)
        };
        let encryption = !started && matches!(tag, tag::SSL_REQUEST | tag::GSS_REQUEST);
        if encryption {
            session.reply_due.store(true, Ordering::Relaxed);
        }
        let left = total - held.len();
        self.state = if left == 0 {
            State::Between {
                held: Vec::new(),
                started: !encryption,
            }
        } else {
            State::Within { left }
        };
        Piece {
            begins: Some(Head {
                tag,
                prefix: held.clone(),
            }),
            ends: left == 0,
            bytes: held,
        }
    }
}

impl Piece {
    fn plain(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            begins: None,
            ends: false,
        }
    }
}

/// The one byte that answers a request for encryption; a yes makes all that follows opaque.
fn encryption_reply(session: &Session, bytes: &[u8]) -> Option<Piece> {
    let &reply = bytes.first()?;
    if !session.reply_due.swap(false, Ordering::Relaxed) || reply == b'E' {
        return None;
    }
    if matches!(reply, b'S' | b'G') {
        session.opaque.store(true, Ordering::Relaxed);
    }
    Some(Piece {
        bytes: vec![reply],
        begins: Some(Head {
            tag: tag::ENCRYPTION_REPLY,
            prefix: vec![reply],
        }),
        ends: true,
    })
}

/// How many bytes have to be there before the message can be judged, as far as is known by now.
fn wanted(held: &[u8], started: bool) -> usize {
    let header = if started { 5 } else { 8 };
    if held.len() < header {
        return header;
    }
    total(held, started).map_or(header, |total| total.min(PREFIX_MAX))
}

/// The length of the whole message on the wire; none if the length is impossible.
fn total(held: &[u8], started: bool) -> Option<usize> {
    let tag = usize::from(started);
    let field: [u8; 4] = held.get(tag..tag + 4)?.try_into().ok()?;
    let length = usize::try_from(u32::from_be_bytes(field)).ok()?;
    let possible = if started {
        4..LENGTH_MAX
    } else {
        8..STARTUP_LENGTH_MAX
    };
    possible.contains(&length).then_some(length + tag)
}

fn untagged(held: &[u8]) -> u8 {
    match held.get(4..8) {
        Some([4, 210, 22, 47]) => tag::SSL_REQUEST,
        Some([4, 210, 22, 48]) => tag::GSS_REQUEST,
        Some([4, 210, 22, 46]) => tag::CANCEL_REQUEST,
        _ => tag::STARTUP,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSL: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];
    const STARTUP: &[u8] = &[0, 0, 0, 9, 0, 3, 0, 0, 0];

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).expect("short");
        [&[tag], &length.to_be_bytes()[..], body].concat()
    }

    /// The tags seen and the bytes forwarded, with `size` bytes arriving at a time.
    fn split(
        direction: Direction,
        session: &Session,
        bytes: &[u8],
        size: usize,
    ) -> (Vec<u8>, Vec<u8>) {
        let mut splitter = Splitter::new(direction, true);
        let mut pieces = Vec::new();
        for chunk in bytes.chunks(size) {
            pieces.extend(splitter.feed(session, chunk));
        }
        let begun: Vec<u8> = pieces
            .iter()
            .filter_map(|piece| piece.begins.as_ref())
            .map(|head| head.tag)
            .collect();
        let mut forwarded: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece.bytes.clone())
            .collect();
        forwarded.extend(splitter.rest());
        (begun, forwarded)
    }

    #[test]
    fn messages_are_found_however_they_are_cut_up() {
        let long = message(b'd', &[7; 3 * PREFIX_MAX]);
        let client = [
            SSL,
            STARTUP,
            &message(b'Q', b"commit\0"),
            &message(b'S', b""),
            &long,
            &message(b'X', b""),
        ]
        .concat();
        let server = [
            b"N",
            &message(b'R', &[0; 4])[..],
            &long,
            &message(b'Z', b"I"),
        ]
        .concat();
        for size in [1, 2, 3, 5, 7, 64, client.len()] {
            let session = Session::default();
            let (tags, bytes) = split(Direction::ToServer, &session, &client, size);
            assert_eq!(
                tags,
                [tag::SSL_REQUEST, tag::STARTUP, b'Q', b'S', b'd', b'X']
            );
            assert_eq!(bytes, client);
            let (tags, bytes) = split(Direction::ToClient, &session, &server, size);
            assert_eq!(tags, [tag::ENCRYPTION_REPLY, b'R', b'd', b'Z']);
            assert_eq!(bytes, server);
        }
    }

    #[test]
    fn after_a_yes_to_encryption_nothing_is_interpreted() {
        let session = Session::default();
        split(Direction::ToServer, &session, SSL, 8);
        let (tags, bytes) = split(Direction::ToClient, &session, b"S\x16\x03\x01Z", 2);
        assert_eq!(
            (tags, bytes),
            (vec![tag::ENCRYPTION_REPLY], b"S\x16\x03\x01Z".to_vec())
        );
        let (tags, bytes) = split(Direction::ToServer, &session, b"\x16\x03\x01", 1);
        assert_eq!((tags, bytes), (Vec::new(), b"\x16\x03\x01".to_vec()));
    }

    #[test]
    fn tls_from_the_first_byte_is_passed_on_both_ways() {
        let session = Session::default();
        let mut answers = Splitter::new(Direction::ToClient, true);
        assert!(answers.feed(&session, b"\x16\x03").is_empty());
        let hello = b"\x16\x03\x01\x02\x00\x01\x00";
        let (tags, bytes) = split(Direction::ToServer, &session, &hello.repeat(3), 7);
        assert_eq!((tags, bytes), (Vec::new(), hello.repeat(3)));
        let pieces = answers.feed(&session, b"\x03\x00");
        let bytes: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.bytes).collect();
        assert_eq!(bytes, b"\x16\x03\x03\x00");
    }

    #[test]
    fn what_is_no_message_is_passed_on() {
        let session = Session::default();
        let junk = b"Q\xff\xff\xff\xffjunk that goes on";
        let bytes = [STARTUP, junk].concat();
        let (tags, forwarded) = split(Direction::ToServer, &session, &bytes, 4);
        assert_eq!((tags, forwarded), (vec![tag::STARTUP], bytes));
        let (_, forwarded) = split(Direction::ToServer, &session, &[0, 0, 0], 1);
        assert_eq!(forwarded, [0, 0, 0], "a cut-off beginning is not swallowed");
    }
}
