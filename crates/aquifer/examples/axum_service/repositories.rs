//! What the service needs from storage, as object-safe traits, and how PostgreSQL provides it.
//!
//! A method returns a boxed future, as those of `Session` do, so that `Arc<dyn AccountRepository>`
//! can be injected, by a test with something else than PostgreSQL behind it.

use std::pin::Pin;

use aquifer::{Db, Error, FromRow, Session};
use serde::Serialize;

/// What an object-safe async method returns.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

#[derive(Debug, FromRow, Serialize)]
pub(crate) struct Account {
    pub(crate) id: i64,
    pub(crate) owner: String,
    pub(crate) balance: i64,
}

pub(crate) trait AccountRepository: Send + Sync {
    fn open(&self, owner: String, balance: i64) -> Answer<'_, Account>;

    fn find(&self, id: i64) -> Answer<'_, Option<Account>>;

    /// Adds to the balance, or takes from it; `None` when there is no such account.
    fn change(&self, id: i64, amount: i64) -> Answer<'_, Option<Account>>;
}

pub(crate) trait TransferRepository: Send + Sync {
    /// Returns the number of the record.
    fn record(&self, debtor: i64, creditor: i64, amount: i64) -> Answer<'_, i64>;
}

pub(crate) struct PostgresAccounts {
    db: Db,
}

impl PostgresAccounts {
    pub(crate) fn new(db: Db) -> Self {
        Self { db }
    }
}

impl AccountRepository for PostgresAccounts {
    fn open(&self, owner: String, balance: i64) -> Answer<'_, Account> {
        self.db.query_one(
            "insert into accounts (owner, balance) values ($1, $2) returning *",
            (owner, balance),
        )
    }

    fn find(&self, id: i64) -> Answer<'_, Option<Account>> {
        let select = "select * from accounts where id = $1";
        self.db.query_opt(select, (id,))
    }

    fn change(&self, id: i64, amount: i64) -> Answer<'_, Option<Account>> {
        self.db.query_opt(
            "update accounts set balance = balance + $1 where id = $2 returning *",
            (amount, id),
        )
    }
}

pub(crate) struct PostgresTransfers {
    db: Db,
}

impl PostgresTransfers {
    pub(crate) fn new(db: Db) -> Self {
        Self { db }
    }
}

impl TransferRepository for PostgresTransfers {
    fn record(&self, debtor: i64, creditor: i64, amount: i64) -> Answer<'_, i64> {
        self.db.query_value(
            "insert into transfers (debtor, creditor, amount) values ($1, $2, $3) returning id",
            (debtor, creditor, amount),
        )
    }
}
