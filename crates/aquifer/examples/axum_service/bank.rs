//! What the service does; it knows no SQL and no HTTP.

use std::sync::Arc;

use aquifer::{Db, Repository, insert};

use crate::failure::Failure;
use crate::repositories::{Account, AccountRepository, Transfer};

pub(crate) struct Bank {
    db: Db,
    accounts: Arc<dyn AccountRepository>,
    transfers: Arc<dyn Repository<Transfer>>,
}

impl Bank {
    pub(crate) fn new(
        db: Db,
        accounts: Arc<dyn AccountRepository>,
        transfers: Arc<dyn Repository<Transfer>>,
    ) -> Self {
        Self {
            db,
            accounts,
            transfers,
        }
    }

    pub(crate) async fn open(&self, owner: String, balance: i64) -> Result<Account, Failure> {
        Ok(self
            .accounts
            .insert(insert!(Account { owner, balance }))
            .await?)
    }

    pub(crate) async fn account(&self, id: i64) -> Result<Account, Failure> {
        self.accounts.find(id).await?.ok_or(Failure::NotFound)
    }

    /// Both repositories work on the same `Db`, so their calls join the transaction: all of it
    /// happens, or nothing.
    pub(crate) async fn transfer(&self, from: i64, to: i64, amount: i64) -> Result<i64, Failure> {
        self.db
            .with_transaction(async |_| {
                // The lower number first, so that two transfers never wait for each other.
                let mut changes = [(from, -amount), (to, amount)];
                changes.sort_unstable();
                for (id, change) in changes {
                    let changed = self.accounts.change(id, change).await?;
                    changed.ok_or(Failure::NotFound)?;
                }
                let record = insert!(Transfer {
                    debtor: from,
                    creditor: to,
                    amount
                });
                Ok(self.transfers.insert(record).await?.id)
            })
            .await
    }
}
