//! The tables that the other steps use.

use aquifer::{Db, Error, Session};

use super::excerpt::excerpt;
use super::figures;
use super::scene::Scene;
use super::stage::{Chapter, Failure, Step};

const SOURCE: &str = include_str!("schema.rs");

/// How many accounts there are, and what each holds at first.
pub(super) const ACCOUNTS: u32 = 50;
pub(super) const BALANCE: i64 = 1_000;

const TABLES: &str = "
    create table users (
        id bigint generated always as identity primary key,
        name text not null,
        active boolean not null default true
    );
    create table profiles (
        user_id bigint primary key references users,
        bio text not null
    );
    create table accounts (
        id bigint primary key,
        balance bigint not null check (balance >= 0)
    );
    create table transfers (
        debtor bigint not null references accounts,
        creditor bigint not null references accounts,
        amount bigint not null check (amount > 0)
    );
    create table halves (call bigint, half int, primary key (call, half));
    create table payments (reason text not null, amount bigint not null);
    create table readings (sensor int not null, value bigint not null)";

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "A schema",
        why: "A script runs in one round trip and takes effect as a whole or not at all.",
        code: excerpt(SOURCE, "create"),
    }
}

pub(super) async fn perform(step: &mut Step, scene: &Scene) -> Result<(), Failure> {
    let accounts = create(&scene.db).await?;
    let tables: Vec<String> = scene
        .db
        .query_column(
            "select tablename::text from pg_tables where schemaname = current_schema() \
             order by tablename",
            (),
        )
        .await?;
    let names = tables.join(", ");
    step.check(
        tables.len() == 7,
        &format!("seven tables are there: {names}"),
    );
    step.check(
        accounts == u64::from(ACCOUNTS),
        &format!(
            "{} were filled with {} each",
            figures::plural(accounts, "account"),
            figures::count(BALANCE)
        ),
    );
    Ok(())
}

#[rustfmt::skip] // Laid out for the width of a terminal.
// ANCHOR: create
async fn create(db: &Db) -> Result<u64, Error> {
    db.execute_script(TABLES).await?;
    db.execute(
        "insert into accounts select id, $1 from generate_series(1, $2) as id",
        (BALANCE, ACCOUNTS),
    )
    .await
}
// ANCHOR_END: create
