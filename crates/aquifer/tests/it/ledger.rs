//! Transfers while the network is cut at random messages: nothing is lost, doubled or invented.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aquifer::{Config, Db, Error, ErrorKind, Resolved, Session, Transaction, UnknownCommit};
use aquifer_testkit::{Cut, Direction, Ending, Proxy};

use crate::support::{self, proxied};

const ACCOUNTS: i64 = 20;
const WORKERS: i64 = 8;

/// How many transfers; `cargo xtask deep` asks for more.
fn transfers() -> i64 {
    std::env::var("AQUIFER_TRANSFERS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(240)
}

/// A small generator of our own, so that a failure can be run again.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 % limit.cast_unsigned()).unwrap()
    }
}

/// What a caller was told about one transfer.
enum Told {
    Done,
    NotDone,
    Unknown(Option<UnknownCommit>),
}

async fn transfer(tx: &Transaction, id: i64, from: i64, to: i64) -> Result<(), Error> {
    // In the order of the accounts, so that the cuts are the only trouble.
    let (first, second) = (from.min(to), from.max(to));
    let amount = |account| if account == from { -1_i64 } else { 1 };
    let change = "update accounts set balance = balance + $1 where id = $2";
    tx.execute(change, (amount(first), first)).await?;
    tx.execute(change, (amount(second), second)).await?;
    tx.execute("insert into transfers values ($1, $2, $3)", (id, from, to))
        .await
        .map(drop)
}

async fn one(db: &Db, id: i64, numbers: &mut Numbers) -> Told {
    let from = numbers.below(ACCOUNTS);
    let to = (from + 1 + numbers.below(ACCOUNTS - 1)) % ACCOUNTS;
    let outcome = if numbers.below(2) == 0 {
        let work = db.idempotent(format!("transfer {id}"));
        work.with_transaction(async |tx| transfer(&tx, id, from, to).await)
            .await
    } else {
        db.with_transaction(async |tx| transfer(&tx, id, from, to).await)
            .await
    };
    match outcome {
        Ok(()) => Told::Done,
        Err(error) => match error.kind() {
            ErrorKind::Unknown => Told::Unknown(error.unknown_commit().cloned()),
            ErrorKind::AlreadyDone => panic!("the first to ask was told that it was done: {error}"),
            ErrorKind::Database => panic!("a transfer was refused: {error}"),
            _ => Told::NotDone,
        },
    }
}

/// What came of all transfers; `unknown` were left to their callers to resolve.
struct Figures {
    done: usize,
    unknown: usize,
    cuts: u64,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            done,
            unknown,
            cuts,
        } = self;
        write!(formatter, "{done} done, {unknown} unknown, {cuts} cuts")
    }
}

/// Cuts a connection at a random message, again and again.
async fn cut_at_random(proxy: &Proxy, stop: &AtomicBool) {
    let mut numbers = Numbers(0x5851_f42d_4c95_7f2d);
    // The more transfers, the fewer of them are cut, or it would take an hour.
    let messages = 120.max(transfers() / 20);
    while !stop.load(Ordering::Relaxed) {
        let made = proxy.traffic().cuts();
        let direction = match numbers.below(2) {
            0 => Direction::ToClient,
            _ => Direction::ToServer,
        };
        let kind = numbers.below(6);
        let cut = match kind {
            0 => Cut::before(Direction::ToServer, b'Q').containing("commit"),
            1 => Cut::before(Direction::ToClient, b'C').containing("COMMIT"),
            2 => Cut::after(Direction::ToServer, b'Q').containing("commit"),
            3 => Cut::after(Direction::ToClient, b'C').containing("COMMIT"),
            4 => Cut::before_any(direction),
            _ => Cut::after_any(direction),
        };
        // A transfer has some twenty messages each way, and one COMMIT.
        let range = if kind < 4 { messages / 20 } else { messages };
        let cut = cut.nth(numbers.below(range).cast_unsigned() + 1);
        let ending = match numbers.below(2) {
            0 => Ending::Close,
            _ => Ending::Reset,
        };
        proxy.cut(cut.with(ending));
        support::until("the cut is made", || {
            proxy.traffic().cuts() > made || stop.load(Ordering::Relaxed)
        })
        .await;
    }
    proxy.clear_cuts();
}

/// Holds what callers were told against what the server has; how many were done and unknown.
async fn compare(db: &Db, told: Vec<(i64, Told)>) -> (usize, usize) {
    let kept: Vec<i64> = db
        .query_column("select id from transfers", ())
        .await
        .unwrap();
    let kept: std::collections::HashSet<i64> = kept.into_iter().collect();
    let (mut done, mut unknown) = (0, 0);
    for (id, told) in told {
        let took_effect = match told {
            Told::Done => {
                done += 1;
                true
            }
            Told::NotDone => false,
            Told::Unknown(Some(commit)) => {
                unknown += 1;
                match db.resolve(&commit).await.unwrap() {
                    Resolved::Committed => true,
                    Resolved::RolledBack => false,
                    other => panic!("transfer {id} can't be resolved: {other:?} {commit:?}"),
                }
            }
            Told::Unknown(None) => panic!("transfer {id} wrote, and its number is not known"),
        };
        assert_eq!(took_effect, kept.contains(&id), "transfer {id}");
    }
    let wrong: i64 = db
        .query_value(
            "select count(*) from accounts where balance <> 1000 \
               - (select count(*) from transfers where source = accounts.id) \
               + (select count(*) from transfers where target = accounts.id)",
            (),
        )
        .await
        .unwrap();
    assert_eq!(wrong, 0, "a balance is not what the transfers make it");
    (done, unknown)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_is_exact_although_connections_are_cut_at_random_messages() {
    let figures = run(|config| config).await;
    println!("{figures}");
}

/// With so little time, it is the caller who has to find out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_unknown_commit_resolves_to_what_really_happened() {
    let commit_timeout = Duration::from_millis(1);
    let change =
        |config: Config| config.advanced(|advanced| advanced.commit_timeout(commit_timeout));
    let figures = run(change).await;
    println!("{figures}");
    assert!(figures.unknown > 0, "nothing was left to be resolved");
}

async fn run(change: impl FnOnce(Config) -> Config) -> Figures {
    let (proxy, db) = proxied(|config| change(config.connections_max(10))).await;
    db.execute_script(
        "create table accounts (id bigint primary key, balance bigint not null); \
         insert into accounts select n, 1000 from generate_series(0, 19) as n; \
         create table transfers (id bigint primary key, source bigint, target bigint)",
    )
    .await
    .unwrap();
    let proxy = Arc::new(proxy);
    let stop = Arc::new(AtomicBool::new(false));
    let cutter = tokio::spawn({
        let (proxy, stop) = (Arc::clone(&proxy), Arc::clone(&stop));
        async move { cut_at_random(&proxy, &stop).await }
    });
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let db = db.clone();
        workers.spawn(async move {
            let mut numbers =
                Numbers(worker.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            let mut told = Vec::new();
            for round in 0..transfers() / WORKERS {
                let id = worker * 1_000_000 + round;
                told.push((id, one(&db, id, &mut numbers).await));
            }
            told
        });
    }
    let told: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    stop.store(true, Ordering::Relaxed);
    cutter.await.unwrap();
    let cuts = proxy.traffic().cuts();
    assert!(cuts > 10, "{cuts} cuts show nothing");
    let (done, unknown) = compare(&db, told).await;
    support::assert_whole(&db).await;
    Figures {
        done,
        unknown,
        cuts,
    }
}
