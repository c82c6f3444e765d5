//! No query at all: what the harness itself costs, to be subtracted from what is counted.

use std::time::SystemTime;

use crate::contender::race;
use crate::{Contender, Entry, Error, User, Workload};

/// The harness alone.
pub const NOTHING: Entry = Entry {
    name: "harness alone",
    offers: &[Workload::Select],
    open: |_place| Box::pin(async { Ok(race(Nothing)) }),
};

struct Nothing;

impl Contender for Nothing {
    async fn user(&self, id: i64) -> Result<User, Error> {
        Ok(User {
            id,
            name: String::new(),
            email: String::new(),
            active: true,
            created_at: SystemTime::UNIX_EPOCH,
        })
    }
}
