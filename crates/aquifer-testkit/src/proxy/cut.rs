use super::Direction;
use super::splitter::Head;

/// How a connection through the proxy ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// Both sides see an orderly end (FIN).
    Close,
    /// The receiver of this direction sees the end of the stream; the other direction goes on.
    HalfClose(Direction),
    /// Both sides see a reset (RST), with what is still unread lost.
    Reset,
    /// Both sides see nothing any more: no data, no end.
    Silence,
}

/// Ends a connection at a chosen message of the PostgreSQL protocol, once.
///
/// ```
/// use aquifer_testkit::{Cut, Direction, Ending};
///
/// // The server has committed, and the client will never know.
/// let cut = Cut::before(Direction::ToClient, b'C').containing("COMMIT");
/// // The second statement of the next connection never reaches the server.
/// let cut = Cut::before(Direction::ToServer, b'Q').nth(2).on_next_connection();
/// // The tenth message boundary, whatever the message.
/// let cut = Cut::after_any(Direction::ToClient).nth(10).with(Ending::Reset);
/// ```
///
/// Messages are named by their tag byte; those without one by [`tag`](super::tag). A direction that
/// is encrypted has no messages that the proxy can see.
#[derive(Clone, Debug)]
#[must_use = "a cut does nothing until it is given to `Proxy::cut`"]
pub struct Cut {
    direction: Direction,
    tag: Option<u8>,
    text: Option<Vec<u8>>,
    after: bool,
    nth: u64,
    ending: Ending,
    scope: Scope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Any,
    Next,
    Connection(u64),
}

impl Cut {
    /// Nothing of the message with this tag is forwarded.
    pub fn before(direction: Direction, tag: u8) -> Self {
        Self::new(direction, Some(tag), false)
    }

    /// The message with this tag is the last one that is forwarded in this direction.
    pub fn after(direction: Direction, tag: u8) -> Self {
        Self::new(direction, Some(tag), true)
    }

    /// As [`before`](Self::before), for a message of any kind.
    pub fn before_any(direction: Direction) -> Self {
        Self::new(direction, None, false)
    }

    /// As [`after`](Self::after), for a message of any kind.
    pub fn after_any(direction: Direction) -> Self {
        Self::new(direction, None, true)
    }

    fn new(direction: Direction, tag: Option<u8>, after: bool) -> Self {
        Self {
            direction,
            tag,
            text: None,
            after,
            nth: 1,
            ending: Ending::Close,
            scope: Scope::Any,
        }
    }

    /// Only messages with these bytes count, upper or lower case; the first 4,096 are looked at.
    pub fn containing(mut self, text: impl AsRef<[u8]>) -> Self {
        self.text = Some(text.as_ref().to_ascii_lowercase());
        self
    }

    /// The n-th matching message from now on, over all connections in scope. Default: 1, the first.
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = nth.max(1);
        self
    }

    /// How the connection ends. Default: [`Ending::Close`].
    pub fn with(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// Only the next connection that the proxy accepts. Default: any.
    pub fn on_next_connection(mut self) -> Self {
        self.scope = Scope::Next;
        self
    }

    /// Only this connection, counted from 1 in the order of acceptance. Default: any.
    pub fn on_connection(mut self, number: u64) -> Self {
        self.scope = Scope::Connection(number);
        self
    }

    pub(super) fn accepted(&mut self, connection: u64) {
        if self.scope == Scope::Next {
            self.scope = Scope::Connection(connection);
        }
    }

    /// Counts a message; the ending, if this is the one.
    pub(super) fn meets(&mut self, moment: Moment<'_>) -> Option<Ending> {
        let in_scope = match self.scope {
            Scope::Any => true,
            Scope::Next => false,
            Scope::Connection(number) => number == moment.connection,
        };
        let matches = in_scope
            && self.direction == moment.direction
            && self.after == moment.after
            && self.tag.is_none_or(|tag| tag == moment.head.tag)
            && self
                .text
                .as_ref()
                .is_none_or(|text| contains(&moment.head.prefix, text));
        if !matches {
            return None;
        }
        self.nth -= 1;
        (self.nth == 0).then_some(self.ending)
    }
}

/// A message that is about to be forwarded, or just was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    pub(super) connection: u64,
    pub(super) direction: Direction,
    pub(super) head: &'a Head,
    pub(super) after: bool,
}

fn contains(bytes: &[u8], lowercase: &[u8]) -> bool {
    lowercase.is_empty()
        || bytes
            .windows(lowercase.len())
            .any(|window| window.eq_ignore_ascii_case(lowercase))
}
