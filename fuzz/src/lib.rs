//! Servers that lie to the PostgreSQL connection of Aquifer: recorded answers of a real server,
//! damaged at random with regard to their structure.
//!
//! `cargo run --release --bin wire -- SECONDS` makes up conversations until the time is over;
//! `… --bin wire -- 0 SEED` plays one of them again. `cargo run --example record` makes the
//! recordings in `corpus/` anew from a private server.

mod conversation;
mod decoding;
mod mutation;
mod peer;
mod stream;

pub use crate::conversation::Conversation;
pub use crate::mutation::mutate;
pub use crate::peer::{Ending, Peer, ROUNDS_TO_REST};
pub use crate::stream::{Message, Stream};

/// What a session of these conversations may hold.
#[must_use]
pub fn limits() -> aquifer_wire::Limits {
    let mut limits = aquifer_wire::Limits::default();
    limits.message_max = MESSAGE_MAX;
    limits.statements_max = 3;
    limits
}

/// The most bytes of one message that the client takes; the recordings have none that is larger.
pub const MESSAGE_MAX: usize = 32 * 1024;
