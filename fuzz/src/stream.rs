//! What a server says, as messages between its turns.

/// The tag of ReadyForQuery, with which a turn of the server ends.
const READY: u8 = b'Z';

/// The answers of a server: one turn for each Sync or Query, after that of start-up.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// The messages of each turn.
    pub turns: Vec<Vec<Message>>,
}

/// One message, or what takes its place.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The first byte.
    pub tag: u8,
    /// The length that is announced, if it is not the true one.
    pub announced: Option<u32>,
    /// What follows the length.
    pub body: Vec<u8>,
    /// Bytes behind, which are no message.
    pub garbage: Vec<u8>,
}

impl Stream {
    /// Reads what was recorded.
    ///
    /// # Panics
    /// When the recording is broken.
    #[must_use]
    pub fn read(mut bytes: &[u8]) -> Self {
        let (mut turns, mut turn) = (Vec::new(), Vec::new());
        while let Some((header, rest)) = bytes.split_first_chunk::<5>() {
            let [tag, length @ ..] = *header;
            let length = u32::from_be_bytes(length) as usize - 4;
            let (body, rest) = rest.split_at(length);
            bytes = rest;
            turn.push(Message {
                tag,
                body: body.to_vec(),
                ..Message::default()
            });
            if tag == READY {
                turns.push(std::mem::take(&mut turn));
            }
        }
        assert!(bytes.is_empty() && turn.is_empty(), "a broken recording");
        Self { turns }
    }

    /// All messages, whatever their turn.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.turns.iter().flatten()
    }

    /// The bytes of each turn.
    #[must_use]
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        let turn = |turn: &Vec<Message>| turn.iter().flat_map(Message::bytes).collect();
        self.turns.iter().map(turn).collect()
    }
}

impl Message {
    fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.body.len() + 4).unwrap_or(u32::MAX);
        let length = self.announced.unwrap_or(length).to_be_bytes();
        [&[self.tag], &length[..], &self.body, &self.garbage].concat()
    }
}
