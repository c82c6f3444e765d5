//! Transactions: a guard, a closure that is run again where that helps, savepoints, and calls that
//! join by themselves.
//!
//! `cargo run --package aquifer --example transactions` starts a private PostgreSQL for it.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example may spawn, and shows what it does by printing it"
)]

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use aquifer::migrate::Migrator;
use aquifer::{Batch, Config, Db, Embedded, Isolation, Session, TransactionOptions};
use tokio::task::JoinSet;

const MIGRATIONS: [(&str, &str); 1] = [(
    "0001_accounts.sql",
    "create table accounts (
         owner text primary key,
         balance bigint not null check (balance >= 0)
     );
     create table notes (text text not null);
     create table counter (value bigint not null);
     insert into accounts values ('Ann', 100), ('Bob', 0);
     insert into counter values (0);",
)];

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let server = Embedded::start()?;
    // More attempts than the usual three, for the counter at the end, which everybody wants at once.
    let config = Config::from_url(server.url())?.advanced(|advanced| advanced.attempts_max(20));
    let db = Db::connect_with(&config).await?;
    Migrator::from_files(MIGRATIONS)?.up(&db).await?;

    guard(&db).await?;
    closure(&db).await?;
    savepoint(&db).await?;
    joining(&db).await?;
    batch(&db).await?;
    report(&db).await?;
    serializable(&db).await?;

    db.close().await?;
    server.stop()?;
    Ok(())
}

async fn balance(db: &Db, owner: &str) -> Result<i64, aquifer::Error> {
    db.query_value("select balance from accounts where owner = $1", (owner,))
        .await
}

/// `begin` gives a guard: `commit` keeps what was done, anything else takes it back.
async fn guard(db: &Db) -> Result<(), Failure> {
    let tx = db.begin().await?;
    tx.execute("update accounts set balance = balance + 5", ())
        .await?;
    tx.commit().await?;

    let tx = db.begin().await?;
    tx.execute("delete from accounts", ()).await?;
    // An early return or a dropped future does the same.
    drop(tx);

    assert_eq!(balance(db, "Ann").await?, 105);
    println!("guard: the committed change is there, the dropped one is not");
    Ok(())
}

/// What a transfer can end with, besides an error of the database.
#[derive(Debug)]
enum TransferError {
    Database(aquifer::Error),
    Insufficient { lacking: i64 },
}

impl fmt::Display for TransferError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(error) => error.fmt(formatter),
            Self::Insufficient { lacking } => write!(formatter, "{lacking} are lacking"),
        }
    }
}

impl std::error::Error for TransferError {}

/// All that `with_transaction` asks of the closure's error.
impl From<aquifer::Error> for TransferError {
    fn from(error: aquifer::Error) -> Self {
        Self::Database(error)
    }
}

/// `with_transaction` commits on `Ok` and rolls back on `Err`, whatever kind of error that is.
async fn transfer(db: &Db, from: &str, to: &str, amount: i64) -> Result<i64, TransferError> {
    db.with_transaction(async |tx| {
        tx.execute(
            "update accounts set balance = balance + $1 where owner = $2",
            (amount, to),
        )
        .await?;
        let left: i64 = tx
            .query_value(
                "select balance - $1 from accounts where owner = $2 for update",
                (amount, from),
            )
            .await?;
        if left < 0 {
            return Err(TransferError::Insufficient { lacking: -left });
        }
        tx.execute(
            "update accounts set balance = $1 where owner = $2",
            (left, from),
        )
        .await?;
        Ok(left)
    })
    .await
}

async fn closure(db: &Db) -> Result<(), Failure> {
    let left = transfer(db, "Ann", "Bob", 40).await?;
    println!("closure: Ann has {left} left");
    match transfer(db, "Ann", "Bob", 1_000).await {
        Err(error @ TransferError::Insufficient { .. }) => println!("closure: refused, {error}"),
        other => return Err(format!("nobody has so much: {other:?}").into()),
    }
    assert_eq!(
        balance(db, "Bob").await?,
        45,
        "he keeps only what was committed"
    );
    Ok(())
}

/// A savepoint takes back a part; without it, PostgreSQL would refuse all that comes after.
async fn savepoint(db: &Db) -> Result<(), Failure> {
    let kept = db
        .with_transaction(async |tx| {
            tx.execute("insert into notes values ('before')", ())
                .await?;
            let risky = tx
                .with_savepoint(async |part| {
                    part.execute("insert into notes values ('in vain')", ())
                        .await?;
                    part.execute("update accounts set balance = -1", ()).await
                })
                .await;
            tx.execute("insert into notes values ('after')", ()).await?;
            Ok::<_, aquifer::Error>(risky.is_ok())
        })
        .await?;
    let notes: Vec<String> = db.query_column("select text from notes", ()).await?;
    assert_eq!(
        (kept, notes.join(", ")),
        (false, "before, after".to_owned())
    );
    println!("savepoint: its part was taken back alone, leaving {notes:?}");
    Ok(())
}

/// A function that knows nothing of transactions, and yet takes part in the one around it.
async fn note(db: &Db, text: &str) -> Result<u64, aquifer::Error> {
    db.execute("insert into notes values ($1)", (text,)).await
}

async fn joining(db: &Db) -> Result<(), Failure> {
    let outcome = db
        .with_transaction(async |_| {
            note(db, "joined").await?;
            // On a connection of its own: it stays, whatever becomes of the transaction.
            note(&db.detached(), "detached").await?;
            Err::<(), Failure>("changed my mind".into())
        })
        .await;
    let notes: Vec<String> = db
        .query_column("select text from notes where text like '%ed'", ())
        .await?;
    assert_eq!(
        (outcome.is_err(), notes.join(", ")),
        (true, "detached".to_owned())
    );
    println!("joining: of a joined and a detached call, only the latter stayed");
    Ok(())
}

/// Statements that need nothing of each other travel in one round trip, all or none.
async fn batch(db: &Db) -> Result<(), Failure> {
    let update = "update accounts set balance = balance + $1 where owner = $2";
    let changed = db
        .batch(
            Batch::new()
                .add(update, (-10_i64, "Ann"))
                .add(update, (10_i64, "Bob")),
        )
        .await?;
    assert_eq!(changed, [1, 1]);
    println!("batch: one round trip changed {changed:?} rows");
    Ok(())
}

/// A long report sees one state throughout, and neither waits for writers nor holds them up.
async fn report(db: &Db) -> Result<(), Failure> {
    let options = TransactionOptions::new()
        .isolation(Isolation::Serializable)
        .read_only()
        .deferrable();
    let tx = db.begin_with(options).await?;
    let total: i64 = tx
        .query_value("select sum(balance)::bigint from accounts", ())
        .await?;
    let largest: i64 = tx
        .query_value("select max(balance) from accounts", ())
        .await?;
    tx.commit().await?;
    assert_eq!(total, 110);
    println!("report: {total} in all, {largest} at most");
    Ok(())
}

/// Under `Serializable` conflicts are refused by the server (40001), and the closure is run again.
async fn serializable(db: &Db) -> Result<(), Failure> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let db = db.clone();
        tasks.spawn(async move {
            for _ in 0..5 {
                increment(&db, &RUNS).await?;
            }
            Ok::<_, aquifer::Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let value: i64 = db.query_value("select value from counter", ()).await?;
    assert_eq!(value, 20, "no increment is lost");
    let runs = RUNS.load(Ordering::Relaxed);
    println!("serializable: 20 increments took {runs} runs, and none was lost");
    Ok(())
}

/// Reads, then writes what it read plus one: wrong without isolation.
async fn increment(db: &Db, runs: &AtomicU32) -> Result<u64, aquifer::Error> {
    let options = TransactionOptions::new().isolation(Isolation::Serializable);
    db.with_transaction_options(options, async |tx| {
        runs.fetch_add(1, Ordering::Relaxed);
        let value: i64 = tx.query_value("select value from counter", ()).await?;
        tx.execute("update counter set value = $1", (value + 1,))
            .await
    })
    .await
}
