//! Whether a value that was kept is still the one in the database.
//!
//! A value depends on *tags*: a key, a row, a table, a name that the user chose. Each tag has a
//! [`Stamp`], whose [`Mark`] every write of what the tag stands for replaces by one that never was before.
//! A value is kept together with the marks that held *before* it was read from the database, and is good
//! for as long as they hold: whoever read the old row has an old mark, however late its value arrives.
//! So nothing depends on the order in which values are stored and removed, and no clock is asked.
//!
//! All processes share the stamps in Redis. So as not to ask for them at each read, a process has a
//! [`Board`]: one counter for each tag that it keeps values of, raised by each announcement that the tag's
//! stamp has changed, and a state of the link by which announcements come. The path of a value:
//!
//! | step | what | why then |
//! |---|---|---|
//! | 1 | [`Board::note`] | a change announced from here on is noticed |
//! | 2 | read the stamps, [`Noted::with`] → [`Ticket`] | a write that the database read may miss has a newer stamp |
//! | 3 | read the database, from a replica only if it has come to [`Ticket::position`] | a replica may not know the write yet |
//! | 4 | keep the value with [`Ticket::proof`] | there is no other way to a [`Proof`] |
//! | 5 | use it while [`Proof::holds`]; when it does not, back to 1 and 2: if the stamps are still the same, [`Proof::renewed`] | an announcement may have been of something else, and those of a lost link are unknown |
//!
//! The path of a write: commit; the new stamp in Redis, with the position of the commit;
//! [`Board::changed`], after that, since a fill that began before may have taken the old stamp; and only
//! then is the caller told.
//!
//! The link: [`Board::link_lost`] as soon as it is in doubt, [`Board::link_made`] when announcements are
//! sure to come again. Between them nothing holds, and afterwards nothing of before.
//!
//! The tests run readers, writers, lost links, evictions and flushes in random orders through this very
//! code (`tests/world.rs`), and each rule above that is left out must be found out by them.

mod board;
mod stamp;
mod ticket;

pub use self::board::{Board, Noted};
pub use self::stamp::{Mark, Stamp};
pub use self::ticket::{Proof, Ticket};

#[cfg(test)]
mod tests;
