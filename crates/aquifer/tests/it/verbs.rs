//! Each final verb of both tiers, dropped at every poll and cut at every message: its own rows or a
//! typed error, an effect whole or not at all, and a pool that is whole.

mod dynamic;
mod typed;

use std::pin::Pin;

use aquifer::{Db, Error, ErrorKind, Retry, Session};
use aquifer_testkit::{Cut, Direction, Ending};

use crate::support::{self, abort_at, assert_whole, proxied};

type Outcome<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// One verb at work, on these tables:
/// `fixed` has the rows 1, 2, 3 with 10, 20, 30, and the sum of `counted.a` tells how often a write
/// took effect.
#[derive(Clone, Copy)]
struct Verb {
    name: &'static str,
    does: Does,
    run: for<'a> fn(&'a Db) -> Outcome<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    /// It reads, and is made again whatever happens.
    Read,
    /// It leaves nothing, and holds a connection or a transaction: what is lost is told.
    Hold,
    /// It adds 1 to the sum.
    Write,
}

const TABLES: &str = "
    create table fixed (id bigint primary key, a bigint not null);
    insert into fixed values (1, 10), (2, 20), (3, 30);
    create table counted (
        id bigint generated always as identity primary key,
        a bigint not null
    );
    insert into counted (a) values (0);
";

async fn effects(db: &Db) -> i64 {
    // By a text that no verb has.
    let sql = "select sum(a)::bigint from counted";
    db.query_value(sql, ()).await.unwrap()
}

/// Drops each verb at its first poll, its second, and so on until it is done.
async fn dropped(verbs: &[Verb]) {
    for connections in [1, 4] {
        let db = support::db_of(connections).await;
        db.execute_script(TABLES).await.unwrap();
        for verb in verbs {
            let before = effects(&db).await;
            let mut aborted = 0;
            while abort_at(aborted + 1, (verb.run)(&db))
                .await
                .map(|outcome| outcome.unwrap_or_else(|error| panic!("{}: {error:?}", verb.name)))
                .is_none()
            {
                aborted += 1;
                assert!(aborted < 200, "{} is never done", verb.name);
                assert_whole(&db).await;
            }
            assert_whole(&db).await;
            assert!(aborted > 0, "{} never waits", verb.name);
            let added = effects(&db).await - before;
            let most = i64::try_from(aborted).unwrap() + 1;
            match verb.does {
                Does::Write => assert!((1..=most).contains(&added), "{}: {added}", verb.name),
                _ => assert_eq!(added, 0, "{} leaves something", verb.name),
            }
        }
    }
}

/// What became of the writes.
#[derive(Default)]
struct Told {
    done: i64,
    unknown: i64,
    failed: u32,
}

impl Told {
    fn note(&mut self, verb: &Verb, outcome: Result<(), Error>) {
        let Err(error) = outcome else {
            self.done += i64::from(verb.does == Does::Write);
            return;
        };
        self.failed += 1;
        match (verb.does, error.kind(), error.retry()) {
            (Does::Write, ErrorKind::Unknown, Retry::IfIdempotent) => self.unknown += 1,
            (Does::Write | Does::Hold, ErrorKind::Connection, Retry::Safe) => {}
            _ => panic!("{}: an error of another kind: {error:?}", verb.name),
        }
    }
}

/// Cuts the connection at the first message of all verbs in a row, at the second, and so on.
async fn cut(verbs: &[Verb]) {
    let (proxy, db) = proxied(|config| {
        config
            .connections_max(3)
            .query_timeout(support::PATIENCE)
            .advanced(|advanced| advanced.lanes(1).attempts_max(10))
    })
    .await;
    db.execute_script(TABLES).await.unwrap();
    let mut told = Told::default();
    for direction in [Direction::ToServer, Direction::ToClient] {
        let failed = told.failed;
        for nth in 1.. {
            let cuts = proxy.traffic().cuts();
            proxy.cut(Cut::after_any(direction).nth(nth).with(Ending::Reset));
            for verb in verbs {
                let outcome = tokio::time::timeout(2 * support::PATIENCE, (verb.run)(&db)).await;
                let outcome = outcome.unwrap_or_else(|_| panic!("{} hangs", verb.name));
                told.note(verb, outcome);
            }
            proxy.clear_cuts();
            if proxy.traffic().cuts() == cuts {
                break;
            }
            assert!(nth < 2_000, "the verbs need fewer messages");
        }
        let met = told.failed - failed;
        let may_fail = verbs.iter().any(|verb| verb.does != Does::Read);
        assert_eq!(met > 0, may_fail, "{direction:?}: {met} failures");
    }
    assert_whole(&db).await;
    let Told { done, unknown, .. } = told;
    let sum = effects(&db).await;
    assert!(
        (done..=done + unknown).contains(&sum),
        "{sum} effects, {done} done, {unknown} unknown"
    );
}

/// Fails with rows that are somebody else's.
fn same<T: PartialEq + std::fmt::Debug>(rows: T, expected: T) -> Result<(), Error> {
    assert_eq!(rows, expected, "a foreign reply");
    Ok(())
}
