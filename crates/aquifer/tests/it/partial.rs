//! Connections that end at each boundary between two messages, in each way.

use aquifer::{Db, Error, ErrorKind, Retry, Session};
use aquifer_testkit::{Cut, Direction, Ending, Proxy};

use crate::support::{self, proxied};

/// Most messages that the calls of one round need in one direction.
const MESSAGES_MAX: u64 = 400;

/// What became of the writes.
#[derive(Default)]
struct Told {
    done: i64,
    unknown: i64,
}

impl Told {
    /// A failure must say what may be done about it.
    fn note(&mut self, outcome: Result<(), Error>) {
        match outcome {
            Ok(()) => self.done += 1,
            Err(error) => match (error.kind(), error.retry()) {
                (ErrorKind::Unknown, Retry::IfIdempotent) => self.unknown += 1,
                (ErrorKind::Connection, Retry::Safe) => {}
                _ => panic!("an error of another kind: {error:?}"),
            },
        }
    }
}

/// A read on a lane, a read and a write of its own, and a transaction.
async fn calls(db: &Db, tag: i64, told: &mut Told) {
    for handle in [db.shared(), db.exclusive()] {
        let own: i64 = handle
            .query_value("select $1::bigint", (tag,))
            .await
            .expect("a read is made again");
        assert_eq!(own, tag, "a foreign reply");
    }
    let write = db.execute("insert into t values ($1)", (tag,)).await;
    told.note(write.map(drop));
    let transaction = db
        .with_transaction(async |tx| {
            let own: i64 = tx.query_value("select $1::bigint", (tag,)).await?;
            assert_eq!(own, tag, "a foreign reply");
            tx.execute("insert into t values (-$1::bigint)", (tag,))
                .await?;
            Ok::<_, Error>(())
        })
        .await;
    told.note(transaction);
}

async fn cut_at_each_message(proxy: &Proxy, db: &Db, direction: Direction, ending: Ending) {
    let mut told = Told::default();
    db.execute("truncate t", ()).await.unwrap();
    for nth in 1..MESSAGES_MAX {
        let made = proxy.traffic().cuts();
        proxy.cut(Cut::after_any(direction).nth(nth).with(ending));
        let tag = i64::try_from(nth).unwrap();
        let round = tokio::time::timeout(2 * support::PATIENCE, calls(db, tag, &mut told));
        round.await.expect("nothing hangs");
        proxy.clear_cuts();
        if proxy.traffic().cuts() == made {
            break;
        }
        assert!(nth < MESSAGES_MAX - 1, "the calls need fewer messages");
    }
    support::assert_whole(db).await;
    let (rows, distinct): (i64, i64) = db
        .query_one("select count(*), count(distinct a) from t", ())
        .await
        .unwrap();
    assert_eq!(rows, distinct, "a write took effect twice");
    let Told { done, unknown } = told;
    assert!(done > 0);
    assert!(
        (done..=done + unknown).contains(&rows),
        "{direction:?} {ending:?}: {rows} rows, {done} done, {unknown} unknown"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_cut_at_each_message_in_each_way() {
    let (proxy, db) = proxied(|config| {
        config
            .connections_max(3)
            .query_timeout(support::PATIENCE)
            .advanced(|advanced| advanced.lanes(1).attempts_max(10))
    })
    .await;
    support::until("the lane is open", || db.pool_status().lanes == 1).await;
    db.execute("create table t (a bigint)", ()).await.unwrap();
    calls(&db, 1_000_000, &mut Told::default()).await;
    let (to_server, to_client) = (Direction::ToServer, Direction::ToClient);
    for (direction, ending) in [
        (to_server, Ending::Reset),
        (to_client, Ending::Reset),
        (to_server, Ending::HalfClose(to_server)),
        (to_client, Ending::HalfClose(to_client)),
    ] {
        cut_at_each_message(&proxy, &db, direction, ending).await;
    }
}
