//! Money that moves between accounts from many tasks at once.

use std::time::Instant;

use aquifer::{Db, Error, Session};
use tokio::task::JoinSet;

use super::chance::Chance;
use super::excerpt::excerpt;
use super::figures;
use super::scene::Scene;
use super::schema::{ACCOUNTS, BALANCE};
use super::stage::{Chapter, Failure, Step};

const SOURCE: &str = include_str!("transfers.rs");

const TRANSFERS: u64 = 2_000;
/// More than some accounts will hold, so that some transfers are refused half-way.
const AMOUNT_MAX: u32 = 400;

/// Both rows, always in one order, so that no two transfers wait for each other.
const LOCK: &str = "select from accounts where id in ($1, $2) order by id for update";
const GIVE: &str = "update accounts set balance = balance + $1 where id = $2";
const TAKE: &str = "update accounts set balance = balance - $1 where id = $2";
const NOTE: &str = "insert into transfers (debtor, creditor, amount) values ($1, $2, $3)";

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "2,000 transfers at once",
        why: "Each of 2,000 tasks gives money to one account before it takes it from another. \
              Were one of them committed by half, there would be more money than before.",
        code: excerpt(SOURCE, "transfer"),
    }
}

pub(super) async fn perform(step: &mut Step, scene: &Scene) -> Result<(), Failure> {
    let before = scene.money().await?;
    let begun = Instant::now();
    let moved = all(&scene.db).await?;
    let elapsed = begun.elapsed();
    step.note(&format!(
        "{} committed, {} refused for lack of money and rolled back",
        figures::count(moved.committed),
        figures::count(moved.refused)
    ));
    let status = scene.db.pool_status();
    step.note(&format!(
        "{} transactions per second on {} connections",
        figures::count(u128::from(TRANSFERS) * 1_000_000 / elapsed.as_micros().max(1)),
        status.connections_max - status.lanes_max
    ));
    step.check(
        moved.committed + moved.refused == TRANSFERS && moved.refused > 0,
        &format!(
            "every call has one of the two outcomes: {}",
            figures::count(TRANSFERS)
        ),
    );
    let after = scene.money().await?;
    step.check(
        before == i64::from(ACCOUNTS) * BALANCE && after == before,
        &format!(
            "the sum of all balances: {} before, {} after",
            figures::count(before),
            figures::count(after)
        ),
    );
    ledger(step, scene, moved.committed).await
}

/// Every balance must follow from the rows that the committed transactions left.
async fn ledger(step: &mut Step, scene: &Scene, committed: u64) -> Result<(), Failure> {
    let (rows, wrong): (i64, i64) = scene
        .witness
        .query_one(
            "select (select count(*) from transfers), count(*) from accounts where balance <> $1 \
             + (select coalesce(sum(amount), 0) from transfers where creditor = accounts.id) \
             - (select coalesce(sum(amount), 0) from transfers where debtor = accounts.id)",
            (BALANCE,),
        )
        .await?;
    step.check(
        u64::try_from(rows) == Ok(committed),
        &format!(
            "the ledger has a row for each committed one: {}",
            figures::count(rows)
        ),
    );
    step.check(
        wrong == 0,
        &format!(
            "accounts whose balance is not what its rows say: {}",
            figures::count(wrong)
        ),
    );
    Ok(())
}

struct Moved {
    committed: u64,
    refused: u64,
}

async fn all(db: &Db) -> Result<Moved, Failure> {
    let mut chance = Chance::new(1);
    let mut tasks = JoinSet::new();
    for _ in 0..TRANSFERS {
        let from = chance.below(ACCOUNTS);
        // Any account but the same one.
        let to = (from + 1 + chance.below(ACCOUNTS - 1)) % ACCOUNTS;
        let amount = i64::from(chance.below(AMOUNT_MAX) + 1);
        let db = db.clone();
        tasks.spawn(async move { transfer(&db, from + 1, to + 1, amount).await });
    }
    let mut moved = Moved {
        committed: 0,
        refused: 0,
    };
    while let Some(done) = tasks.join_next().await {
        match done? {
            Ok(()) => moved.committed += 1,
            Err(error) if error.constraint() == Some("accounts_balance_check") => {
                moved.refused += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(moved)
}

#[rustfmt::skip] // Laid out for the width of a terminal.
// ANCHOR: transfer
async fn transfer(
    db: &Db, from: u32, to: u32, amount: i64,
) -> Result<(), Error> {
    db.with_transaction(async |tx| {
        tx.execute(LOCK, (from, to)).await?; // select … for update
        tx.execute(GIVE, (amount, to)).await?; // update … balance + $1
        tx.execute(TAKE, (amount, from)).await?; // update … balance - $1
        tx.execute(NOTE, (from, to, amount)).await?; // insert into transfers
        Ok(())
    })
    .await
}
// ANCHOR_END: transfer
