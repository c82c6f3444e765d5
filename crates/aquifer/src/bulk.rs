//! Many rows at a time: COPY both ways, results row after row, and what they hold meanwhile.

mod columns;
mod copy_in;
mod copy_out;
mod progress;
mod seat;
mod stream;
mod watched;
mod writer;

use aquifer_core::retry::Intent;

pub(crate) use self::columns::{Arrays, Target};
pub use self::copy_in::CopyIn;
pub use self::copy_out::CopyOut;
pub(crate) use self::progress::Meter;
pub use self::progress::Progress;
pub(crate) use self::seat::{Around, BoxFuture, Need, Seat};
pub use self::stream::RowStream;
pub(crate) use self::watched::Watched;
pub use self::writer::CopyWriter;
use crate::Error;
use crate::execute::may_help;

/// Whether something that has had no effect yet is begun again on another connection.
pub(crate) fn may_begin_again(error: &Error) -> bool {
    error
        .wire()
        .is_some_and(|error| may_help(false, error, Intent::Read))
}
