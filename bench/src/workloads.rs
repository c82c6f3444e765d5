//! What the contenders do. One file per kind of work.

mod acquire;
mod bulk;
mod decode;
mod insert;
mod select;
mod slow;
pub mod storm;
mod transaction;
mod update;

use clap::ValueEnum;

use crate::contender::{Boxed, Racer, Turn};
use crate::user::{Keys, LOAD};
use crate::{Contender, Error};

/// A kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// One row by its key, read into a struct.
    Select,
    /// 1,000 rows read into structs.
    Decode,
    /// One row inserted, a transaction of its own.
    Insert,
    /// One row updated, a transaction of its own.
    Update,
    /// An update and an insert in one transaction.
    Transaction,
    /// 10,000 rows inserted.
    Bulk,
    /// As select, while 1 % of the calls take 50 to 100 ms; only the others count.
    Slow,
    /// A connection taken and given back.
    Acquire,
    /// A cold pool, and 256 callers at once.
    Storm,
}

/// Whether a piece of work is among those measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sample {
    Counted,
    NotCounted,
}

/// How a contender does one piece of a work, and how one sees that it was done right.
pub(crate) trait Work: 'static {
    fn once<C: Contender>(
        contender: &C,
        keys: &mut Keys,
    ) -> impl Future<Output = Result<Sample, Error>> + Send;
}

impl Workload {
    pub(crate) fn run_for<C: Contender>(self, racer: &Racer<C>, turn: Turn) -> Boxed<Vec<u32>> {
        match self {
            Self::Select | Self::Storm => racer.time::<select::Select>(turn),
            Self::Decode => racer.time::<decode::Decode>(turn),
            Self::Insert => racer.time::<insert::Insert>(turn),
            Self::Update => racer.time::<update::Update>(turn),
            Self::Transaction => racer.time::<transaction::Transaction>(turn),
            Self::Bulk => racer.time::<bulk::Bulk>(turn),
            Self::Slow => racer.time::<slow::Slow>(turn),
            Self::Acquire => racer.time::<acquire::Acquire>(turn),
        }
    }

    pub(crate) fn run_count<C: Contender>(
        self,
        racer: &Racer<C>,
        tasks: usize,
        pieces: usize,
    ) -> Boxed<()> {
        match self {
            Self::Select | Self::Storm => racer.count::<select::Select>(tasks, pieces),
            Self::Decode => racer.count::<decode::Decode>(tasks, pieces),
            Self::Insert => racer.count::<insert::Insert>(tasks, pieces),
            Self::Update => racer.count::<update::Update>(tasks, pieces),
            Self::Transaction => racer.count::<transaction::Transaction>(tasks, pieces),
            Self::Bulk => racer.count::<bulk::Bulk>(tasks, pieces),
            Self::Slow => racer.count::<slow::Slow>(tasks, pieces),
            Self::Acquire => racer.count::<acquire::Acquire>(tasks, pieces),
        }
    }

    /// The table that each turn finds empty, and how many rows one piece of work adds to it.
    #[must_use]
    pub fn fills(self) -> Option<(&'static str, usize)> {
        match self {
            Self::Insert | Self::Transaction => Some(("events", 1)),
            Self::Bulk => Some(("bulk", LOAD)),
            Self::Select
            | Self::Decode
            | Self::Update
            | Self::Slow
            | Self::Acquire
            | Self::Storm => None,
        }
    }
}

/// Says that `wanted` rows should have been touched.
fn expect_rows(touched: u64, wanted: u64) -> Result<Sample, Error> {
    if touched == wanted {
        Ok(Sample::Counted)
    } else {
        Err(format!("{touched} rows were touched instead of {wanted}").into())
    }
}
