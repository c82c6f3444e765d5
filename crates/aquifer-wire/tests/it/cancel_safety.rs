//! Each call is dropped at its first poll, its second, and so on: the next call on the same session
//! gets its own reply, and nothing is left in the queue or in the session's transaction.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use aquifer_wire::types::Params;
use aquifer_wire::{Client, Ended, Kind, Limits, Sharing, TransactionStatus};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::abort::abort_at;
use crate::database::{Database, row};

/// Far longer than any of these calls takes: reached only by a hang.
const LIMIT: Duration = Duration::from_secs(60);
/// More than any of these calls is polled.
const POLLS_MAX: usize = 100;

/// A session, the task that drives it, and a count that makes each text a new one.
struct Subject {
    client: Arc<Client>,
    driver: JoinHandle<Arc<Ended>>,
    number: Cell<u32>,
}

impl Subject {
    async fn new(script: &str) -> Self {
        let mut database = Database::new();
        // So few that names are closed on the way, too.
        database.limits = Limits::default();
        database.limits.statements_max = 3;
        let (client, driver) = database.open().await;
        let driver = tokio::spawn(driver);
        client.script(script).await.unwrap();
        Self {
            client: Arc::new(client),
            driver,
            number: Cell::new(0),
        }
    }

    /// A text that was not seen before, for the longest way: describe, look up, prepare, run.
    fn text(&self, sql: &str) -> String {
        self.number.set(self.number.get() + 1);
        format!("{sql} -- {}", self.number.get())
    }

    /// Drops the call at each of its polls; how many there were.
    async fn abort<F: Future>(&self, call: impl Fn(usize) -> F) -> usize {
        for polls in 1..POLLS_MAX {
            let done = timeout(LIMIT, abort_at(call(polls), polls)).await;
            let done = done.expect("a call hangs").is_some();
            self.is_whole(polls).await;
            if done {
                return polls - 1;
            }
        }
        panic!("the call never ends");
    }

    async fn is_whole(&self, polls: usize) {
        let client = &self.client;
        for sharing in [Sharing::Shared, Sharing::Own] {
            let own = i64::from(self.number.get());
            let params = (own,);
            let reply = client.query("select $1::int8", &params, sharing);
            let reply = timeout(LIMIT, reply).await.expect("the next call hangs");
            let got = reply.unwrap().decode_column::<i64>().unwrap();
            assert_eq!(got, [own], "after an abort at poll {polls}");
        }
        assert_eq!(client.in_flight(), 0, "after an abort at poll {polls}");
        assert_eq!(client.status(), TransactionStatus::Idle);
        assert!(client.ended().is_none());
        let prepared = "select count(*) from pg_prepared_statements";
        let prepared: i64 = row(client, prepared, &()).await.get(0).unwrap();
        assert!(
            prepared <= 4,
            "{prepared} statements are left on the server"
        );
    }

    /// The session closes when the last of its owners goes, and its task ends.
    async fn closes(self) {
        drop(self.client);
        let ended = timeout(LIMIT, self.driver).await.expect("a task is left");
        assert!(ended.unwrap().by_us());
    }
}

#[tokio::test]
async fn a_query() {
    let owned = Subject::new("create table t (a int)").await;
    let subject = &owned;
    let client = &subject.client;
    for sharing in [Sharing::Own, Sharing::Shared, Sharing::Within(0)] {
        let polls = subject
            .abort(|_| async move {
                let sql = subject.text("select count(*) from t where a > $1");
                client.query(&sql, &(1,), sharing).await.unwrap()
            })
            .await;
        assert!(polls >= 2, "only {polls} polls: did it wait at all?");
        let polls = subject
            .abort(|_| client.query("select 1", &(), sharing))
            .await;
        assert!(polls >= 1);
    }
    owned.closes().await;
}

#[tokio::test]
async fn a_query_whose_types_are_looked_up() {
    let subject = Subject::new("").await;
    let client = &subject.client;
    for sharing in [Sharing::Own, Sharing::Shared] {
        let mut rounds = 0;
        loop {
            rounds += 1;
            // What was learned of a type is kept, so each round has types of its own.
            let name = format!("{sharing:?}{rounds}").to_lowercase();
            let types = format!(
                "create type m{name} as enum ('sad');
                 create type p{name} as (mood m{name}, moods m{name}[]);
                 create domain d{name} as p{name}"
            );
            client.script(&types).await.unwrap();
            let sql = format!("select null::d{name}, array['sad']::m{name}[], $1::p{name}");
            let call = client.query(&sql, &(None::<&str>,), sharing);
            let done = timeout(LIMIT, abort_at(call, rounds)).await;
            subject.is_whole(rounds).await;
            let again = client.query(&sql, &(None::<&str>,), sharing).await.unwrap();
            let moods = again.rows().next().unwrap().get::<Vec<String>>(1);
            assert_eq!(moods.unwrap(), ["sad"]);
            if done.expect("a call hangs").is_some() {
                break;
            }
        }
        assert!(rounds > 6, "only {rounds} polls: what was looked up?");
    }
    subject.closes().await;
}

#[tokio::test]
async fn a_description() {
    let owned = Subject::new("").await;
    let subject = &owned;
    let client = &subject.client;
    for sharing in [Sharing::Own, Sharing::Shared] {
        let polls = subject
            .abort(|_| async move {
                let sql = subject.text("select $1::int4");
                let statement = client.statement(&sql, sharing).await.unwrap();
                client.run(&statement, &(7,), sharing).await.unwrap()
            })
            .await;
        assert!(polls >= 2);
    }
    owned.closes().await;
}

#[tokio::test]
async fn a_batch_takes_effect_whole_or_not_at_all() {
    let owned = Subject::new("create table t (a int)").await;
    let subject = &owned;
    let client = &subject.client;
    for fresh in [true, false] {
        let polls = subject
            .abort(|polls| async move {
                let number = i32::try_from(polls).unwrap();
                let text = |sql| {
                    if fresh {
                        subject.text(sql)
                    } else {
                        String::from(sql)
                    }
                };
                let (insert, other) = (
                    text("insert into t values ($1)"),
                    text("insert into t values (-$1::int)"),
                );
                let batch: [(&str, &(dyn Params + Sync)); 2] =
                    [(&insert, &(number,)), (&other, &(number,))];
                client.batch(&batch, Sharing::Own).await.unwrap()
            })
            .await;
        assert!(polls >= if fresh { 3 } else { 1 });
    }
    let sum = "select count(*) % 2 + coalesce(sum(a), 0) from t";
    assert_eq!(row(client, sum, &()).await.get::<i64>(0).unwrap(), 0);
    owned.closes().await;
}

#[tokio::test]
async fn a_script_a_barrier_and_a_transaction() {
    let owned = Subject::new("create table t (a int)").await;
    let subject = &owned;
    let client = &subject.client;
    let script = "begin; insert into t values (1); insert into t values (-1); commit";
    assert!(subject.abort(|_| client.script(script)).await >= 1);
    assert!(
        subject
            .abort(|_| client.script_within(script, client.turn()))
            .await
            >= 1
    );
    assert!(subject.abort(|_| client.control(script)).await >= 1);
    assert!(subject.abort(|_| client.barrier()).await >= 1);
    let polls = subject
        .abort(|_| async {
            // Whoever drops a transaction sends its end, as the guards of the layer above do.
            let _rollback = OnDrop(client);
            client.control("begin").await.unwrap();
            let turn = client.turn();
            let insert = subject.text("insert into t values (5)");
            client
                .query(&insert, &(), Sharing::Within(turn))
                .await
                .unwrap();
        })
        .await;
    assert!(polls >= 1);
    let sum = "select count(*) % 2 + coalesce(sum(a), 0) from t";
    assert_eq!(row(client, sum, &()).await.get::<i64>(0).unwrap(), 0);
    owned.closes().await;
}

/// Ends the transaction.
struct OnDrop<'a>(&'a Client);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.control_detached("rollback");
    }
}

#[tokio::test]
async fn a_statement_that_is_described_anew() {
    let owned = Subject::new("create table t (a int)").await;
    let subject = &owned;
    let client = &subject.client;
    for batch in [false, true] {
        let polls = subject
            .abort(|polls| async move {
                let sql = "select * from t";
                client.query(sql, &(), Sharing::Own).await.unwrap();
                let alter = format!("alter table t add b{polls}{batch} int");
                client.script(&alter).await.unwrap();
                if batch {
                    client.batch(&[(sql, &())], Sharing::Own).await.unwrap();
                } else {
                    client.query(sql, &(), Sharing::Own).await.unwrap();
                }
            })
            .await;
        assert!(polls >= 5, "only {polls} polls: was it described anew?");
    }
    owned.closes().await;
}

/// Whoever drops a cancel closes the session, since the request may still be on its way.
#[tokio::test]
async fn a_cancel_that_is_dropped_ends_with_the_session_that_it_was_for() {
    let bystander = Subject::new("").await;
    for polls in 1..POLLS_MAX {
        let subject = Subject::new("").await;
        let done = timeout(LIMIT, abort_at(subject.client.cancel(), polls)).await;
        let done = done.expect("a cancel hangs").is_some();
        subject.client.close();
        let error = subject.client.barrier().await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Closed, false));
        subject.closes().await;
        bystander.is_whole(polls).await;
        if done {
            assert!(polls > 2);
            return;
        }
    }
    panic!("the cancel was never done");
}

#[tokio::test]
async fn a_session_that_closes_at_any_poll_of_a_call_leaves_no_task() {
    for polls in 1..POLLS_MAX {
        let subject = Subject::new("").await;
        let sql = subject.text("select $1::int4");
        let client = &subject.client;
        let call = abort_at(client.query(&sql, &(1,), Sharing::Shared), polls);
        let done = call.await.is_some();
        client.close();
        let late = client
            .query("select 1", &(), Sharing::Own)
            .await
            .unwrap_err();
        assert_eq!((late.kind(), late.sent()), (Kind::Closed, false));
        subject.closes().await;
        if done {
            return;
        }
    }
    panic!("the call never ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_random_drops_on_one_session_cross_no_replies() {
    let subject = Subject::new("").await;
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..24_u64 {
        let client = Arc::clone(&subject.client);
        tasks.spawn(async move {
            // A small generator of our own, so that a failure can be run again.
            let mut state = worker.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            for round in 0..100_u64 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let tag = i64::try_from(worker * 1_000 + round).unwrap();
                let sharing = match state % 3 {
                    0 => Sharing::Own,
                    _ => Sharing::Shared,
                };
                // A few texts more than the session keeps prepared, and some that fail.
                let fails = state % 7 == 0;
                let sql = match state % 5 {
                    _ if fails => "select $1::int8 / 0".to_owned(),
                    kind => format!("select $1::int8 -- {kind}"),
                };
                let polls = usize::try_from(state % 4 + 1).unwrap();
                let done = abort_at(client.query(&sql, &(tag,), sharing), polls).await;
                match done {
                    None => {}
                    Some(Err(error)) => {
                        let state = error.sqlstate().map(|state| state.code().to_owned());
                        assert_eq!((state.as_deref(), fails), (Some("22012"), true), "{error}");
                    }
                    Some(Ok(reply)) => {
                        assert_eq!(reply.decode_column::<i64>().unwrap(), [tag]);
                    }
                }
            }
        });
    }
    let all = timeout(LIMIT * 3, tasks.join_all()).await;
    all.expect("a call hangs");
    subject.is_whole(0).await;
    subject.closes().await;
}
