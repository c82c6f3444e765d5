//! deadpool-postgres with its own cache of prepared statements, 10 connections, its defaults.

use deadpool_postgres::{Manager, Pool};
use tokio_postgres::NoTls;

use super::tokio_postgres::connection::{read, read_all};
use crate::contender::race;
use crate::statements::{BODY, INSERT, NAME, RANGE, SELECT, SLOW, UPDATE};
use crate::{Contender, Entry, Error, User, Workload};

/// As the tables call it.
pub const DEADPOOL: &str = "deadpool-postgres";

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: DEADPOOL,
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
    open: |place| {
        Box::pin(async move {
            let manager = Manager::new(place.pairs().parse()?, NoTls);
            Ok(race(Deadpool(Pool::builder(manager).max_size(10).build()?)))
        })
    },
}];

struct Deadpool(Pool);

impl Contender for Deadpool {
    async fn user(&self, id: i64) -> Result<User, Error> {
        let client = self.0.get().await?;
        let statement = client.prepare_cached(SELECT).await?;
        Ok(read(&client.query_one(&statement, &[&id]).await?)?)
    }

    async fn users(&self, first: i64, last: i64) -> Result<Vec<User>, Error> {
        let client = self.0.get().await?;
        let statement = client.prepare_cached(RANGE).await?;
        read_all(&client.query(&statement, &[&first, &last]).await?)
    }

    async fn insert(&self, user: i64) -> Result<u64, Error> {
        let client = self.0.get().await?;
        let statement = client.prepare_cached(INSERT).await?;
        Ok(client.execute(&statement, &[&user, &BODY, &5]).await?)
    }

    async fn update(&self, account: i64) -> Result<u64, Error> {
        let client = self.0.get().await?;
        let statement = client.prepare_cached(UPDATE).await?;
        Ok(client.execute(&statement, &[&account, &NAME]).await?)
    }

    async fn transaction(&self, key: i64) -> Result<u64, Error> {
        let mut client = self.0.get().await?;
        let transaction = client.transaction().await?;
        let update = transaction.prepare_cached(UPDATE).await?;
        let updated = transaction.execute(&update, &[&key, &NAME]).await?;
        let insert = transaction.prepare_cached(INSERT).await?;
        let inserted = transaction.execute(&insert, &[&key, &BODY, &5]).await?;
        transaction.commit().await?;
        Ok(updated + inserted)
    }

    async fn slow(&self, seconds: f64) -> Result<(), Error> {
        let client = self.0.get().await?;
        let statement = client.prepare_cached(SLOW).await?;
        client.query_one(&statement, &[&seconds]).await?;
        Ok(())
    }

    async fn acquire(&self) -> Result<(), Error> {
        drop(self.0.get().await?);
        Ok(())
    }
}
