//! What the service needs from storage, as object-safe traits, and how PostgreSQL provides it.
//!
//! [`Repository`] has what most need; what a service needs besides is a method of a trait that extends
//! it. So `Arc<dyn AccountRepository>` can be injected, by a test with something else than PostgreSQL
//! behind it, such as `aquifer::testing::FakeRepository`.

use aquifer::entity::Entity;
use aquifer::{Repo, Repository, SessionFuture};
use serde::Serialize;

#[derive(Debug, Entity, Serialize)]
#[entity(table = "accounts")]
pub(crate) struct Account {
    #[entity(key, auto)]
    pub(crate) id: i64,
    pub(crate) owner: String,
    pub(crate) balance: i64,
}

#[derive(Debug, Entity)]
#[entity(table = "transfers")]
pub(crate) struct Transfer {
    #[entity(key, auto)]
    pub(crate) id: i64,
    pub(crate) debtor: i64,
    pub(crate) creditor: i64,
    pub(crate) amount: i64,
}

pub(crate) trait AccountRepository: Repository<Account> {
    /// Adds to the balance, or takes from it; `None` when there is no such account.
    fn change(&self, id: i64, amount: i64) -> SessionFuture<'_, Option<Account>>;
}

impl AccountRepository for Repo<Account> {
    fn change(&self, id: i64, amount: i64) -> SessionFuture<'_, Option<Account>> {
        let changed = Account::update()
            .set(Account::BALANCE, Account::BALANCE + amount)
            .filter(Account::ID.eq(id))
            .fetch(self.session());
        Box::pin(async move { Ok(changed.await?.pop()) })
    }
}
