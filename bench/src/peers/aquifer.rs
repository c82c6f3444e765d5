//! Aquifer as `Db::connect` opens it: one configuration, the default, for everything here.

mod bulk;
mod repository;

use aquifer::{Batch, Config, Db, Lookup, Session};

pub use self::bulk::{COPY, INSERT_MANY};
pub(super) use self::repository::FIND;
use crate::contender::race;
use crate::statements::{BODY, INSERT, NAME, RANGE, SELECT, SELECT_ANY, SLOW, UPDATE};
use crate::{Contender, Entry, Error, Place, User, Workload};

/// The handle and its query methods.
pub const AQUIFER: &str = "aquifer";
/// Look-ups by key that travel together.
pub const LOOKUP: &str = "aquifer, lookup";
/// The two statements of the transaction as a static batch.
pub const BATCH: &str = "aquifer, batch";

/// The handle that shares lanes for all reads, for counting: a valgrind that slows the program down lets
/// reads seem slow, and some of them would be tried alone, the more the busier the machine is.
pub(super) const COUNTED: Entry = Entry {
    name: "aquifer, all reads shared",
    offers: &[Workload::Select],
    open: |place| Box::pin(async move { Ok(race(Aquifer(connect(&place).await?.shared()))) }),
};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: AQUIFER,
        offers: &[
            Workload::Select,
            Workload::Decode,
            Workload::Insert,
            Workload::Update,
            Workload::Transaction,
            Workload::Slow,
            Workload::Acquire,
            Workload::Storm,
        ],
        open: |place| Box::pin(async move { Ok(race(Aquifer(connect(&place).await?))) }),
    },
    Entry {
        name: LOOKUP,
        offers: &[Workload::Select],
        open: |place| {
            Box::pin(async move {
                let users = connect(&place).await?.lookup(SELECT_ANY, "id");
                Ok(race(Users(users)))
            })
        },
    },
    Entry {
        name: BATCH,
        offers: &[Workload::Transaction],
        open: |place| Box::pin(async move { Ok(race(Batched(connect(&place).await?))) }),
    },
    bulk::ENTRIES[0],
    bulk::ENTRIES[1],
    bulk::ENTRIES[2],
];

async fn connect(place: &Place) -> Result<Db, Error> {
    Ok(Db::connect_with(&Config::from_url(place.pairs())?).await?)
}

struct Aquifer(Db);

impl Contender for Aquifer {
    async fn user(&self, id: i64) -> Result<User, Error> {
        Ok(self.0.query_one(SELECT, (id,)).await?)
    }

    async fn users(&self, first: i64, last: i64) -> Result<Vec<User>, Error> {
        Ok(self.0.query_as(RANGE, (first, last)).await?)
    }

    async fn insert(&self, user: i64) -> Result<u64, Error> {
        Ok(self.0.execute(INSERT, (user, BODY, 5)).await?)
    }

    async fn update(&self, account: i64) -> Result<u64, Error> {
        Ok(self.0.execute(UPDATE, (account, NAME)).await?)
    }

    async fn transaction(&self, key: i64) -> Result<u64, Error> {
        let touched = self.0.with_transaction(async |tx| {
            let updated = tx.execute(UPDATE, (key, NAME)).await?;
            let inserted = tx.execute(INSERT, (key, BODY, 5)).await?;
            Ok::<_, aquifer::Error>(updated + inserted)
        });
        Ok(touched.await?)
    }

    async fn slow(&self, seconds: f64) -> Result<(), Error> {
        self.0.query_value::<i32>(SLOW, (seconds,)).await?;
        Ok(())
    }

    /// A transaction without a statement: nothing else of the public surface takes a connection and
    /// leaves its session as it was.
    async fn acquire(&self) -> Result<(), Error> {
        Ok(self.0.begin().await?.rollback().await?)
    }
}

struct Users(Lookup<i64, User>);

impl Contender for Users {
    async fn user(&self, id: i64) -> Result<User, Error> {
        self.0.find(id).await?.ok_or_else(|| "no such user".into())
    }
}

struct Batched(Db);

impl Contender for Batched {
    async fn transaction(&self, key: i64) -> Result<u64, Error> {
        let both = Batch::new()
            .add(UPDATE, (key, NAME))
            .add(INSERT, (key, BODY, 5));
        Ok(self.0.batch(both).await?.iter().sum())
    }
}
