//! bb8 with bb8-postgres, 10 connections that keep their prepared statements: as it is by default,
//! where each check-out tests the connection, and without that test.

use ::bb8::{ManageConnection, Pool, PooledConnection};
use bb8_postgres::PostgresConnectionManager;
use tokio_postgres::NoTls;

use super::tokio_postgres::connection::Connection;
use crate::contender::{Opening, race};
use crate::{Contender, Entry, Error, Place, User, Workload};

const OFFERS: &[Workload] = &[
    Workload::Select,
    Workload::Decode,
    Workload::Insert,
    Workload::Update,
    Workload::Transaction,
    Workload::Slow,
    Workload::Acquire,
    Workload::Storm,
];

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "bb8",
        offers: OFFERS,
        open: |place| open(place, true),
    },
    Entry {
        name: "bb8, untested",
        offers: &[Workload::Select, Workload::Acquire],
        open: |place| open(place, false),
    },
];

struct Bb8(Pool<Manager>);

fn open(place: Place, test: bool) -> Opening {
    Box::pin(async move {
        let manager = PostgresConnectionManager::new_from_stringlike(place.pairs(), NoTls)?;
        let pool = Pool::builder().max_size(10).test_on_check_out(test);
        Ok(race(Bb8(pool.build(Manager(manager)).await?)))
    })
}

/// bb8-postgres hands out a bare client, which would prepare each statement anew.
struct Manager(PostgresConnectionManager<NoTls>);

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = tokio_postgres::Error;

    async fn connect(&self) -> Result<Connection, Self::Error> {
        Ok(Connection::of(self.0.connect().await?))
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), Self::Error> {
        // As bb8-postgres does.
        connection.client().simple_query("").await.map(drop)
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.client().is_closed()
    }
}

impl Bb8 {
    async fn take(&self) -> Result<PooledConnection<'_, Manager>, Error> {
        Ok(self.0.get().await?)
    }
}

impl Contender for Bb8 {
    async fn user(&self, id: i64) -> Result<User, Error> {
        self.take().await?.user(id).await
    }

    async fn users(&self, first: i64, last: i64) -> Result<Vec<User>, Error> {
        self.take().await?.users(first, last).await
    }

    async fn insert(&self, user: i64) -> Result<u64, Error> {
        self.take().await?.insert(user).await
    }

    async fn update(&self, account: i64) -> Result<u64, Error> {
        self.take().await?.update(account).await
    }

    async fn transaction(&self, key: i64) -> Result<u64, Error> {
        self.take().await?.transaction(key).await
    }

    async fn slow(&self, seconds: f64) -> Result<(), Error> {
        self.take().await?.slow(seconds).await
    }

    async fn acquire(&self) -> Result<(), Error> {
        drop(self.take().await?);
        Ok(())
    }
}
