//! Look-ups by key that travel together.

use std::sync::Arc;
use std::time::Duration;

use aquifer::{Config, Db, ErrorKind, FromRow, Lookup, Session};

use crate::support::{self, Recorder, abort_at, assert_whole};

#[derive(Clone, Debug, PartialEq, FromRow)]
struct User {
    id: i32,
    name: String,
}

const BY_ID: &str = "select id, name from users where id = any($1)";

async fn users(db: &Db) -> Lookup<i64, User> {
    db.execute_script(
        "create table users (id int primary key, name text not null); \
         insert into users select n, 'user ' || n from generate_series(1, 500) n",
    )
    .await
    .unwrap();
    db.lookup(BY_ID, "id")
}

fn user(id: i64) -> User {
    let name = format!("user {id}");
    let id = id.try_into().unwrap();
    User { id, name }
}

async fn recorded() -> (Db, Recorder) {
    let recorder = Recorder::default();
    let config = support::config(support::url()).observer(Arc::new(recorder.clone()));
    (Db::connect_with(&config).await.unwrap(), recorder)
}

/// Starts all at once, and hands out the results in their order.
async fn find_each(users: &Lookup<i64, User>, keys: Vec<i64>) -> Vec<Option<User>> {
    let mut tasks = Vec::new();
    for key in keys {
        let users = users.clone();
        tasks.push(tokio::spawn(async move { users.find(key).await.unwrap() }));
    }
    let mut found = Vec::new();
    for task in tasks {
        found.push(task.await.unwrap());
    }
    found
}

#[tokio::test]
async fn many_look_ups_at_once_are_few_statements_and_each_gets_its_own_row() {
    let (db, recorder) = recorded().await;
    let users = users(&db).await;
    // 0 and 501 have no row; 7 is asked for twice.
    let mut keys: Vec<i64> = (0..=501).collect();
    keys.push(7);
    let found = find_each(&users, keys.clone()).await;
    for (key, found) in keys.into_iter().zip(found) {
        let wanted = (1..=500).contains(&key).then(|| user(key));
        assert_eq!(found, wanted, "key {key}");
    }
    let statements = recorder.text().matches("from users where").count();
    assert!((1..=10).contains(&statements), "{statements} statements");
    assert_whole(&db).await;
}

#[tokio::test]
async fn a_key_may_have_several_rows() {
    let db = support::db().await;
    db.execute_script(
        "create table orders (user_id text, amount int); \
         insert into orders values ('a', 1), ('b', 2), ('a', 3)",
    )
    .await
    .unwrap();
    let orders = db.lookup::<String, (String, i32)>(
        "select user_id, amount from orders where user_id = any($1) order by amount",
        "user_id",
    );
    let (a, b, c) = tokio::join!(
        orders.find_all("a".to_owned()),
        orders.find_all("b".to_owned()),
        orders.find_all("c".to_owned()),
    );
    assert_eq!(a.unwrap(), [("a".to_owned(), 1), ("a".to_owned(), 3)]);
    assert_eq!(b.unwrap(), [("b".to_owned(), 2)]);
    assert_eq!(c.unwrap(), []);
    let error = orders.find("a".to_owned()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyRows);
}

#[tokio::test]
async fn a_key_that_cannot_be_sent_fails_only_those_who_asked_for_it() {
    let db = support::db().await;
    let users = users(&db).await;
    let mut tasks = Vec::new();
    for key in [1, i64::MAX, 2, 3, i64::MAX] {
        let users = users.clone();
        tasks.push((key, tokio::spawn(async move { users.find(key).await })));
    }
    for (key, task) in tasks {
        match (key, task.await.unwrap()) {
            (i64::MAX, outcome) => assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Encode),
            (key, outcome) => assert_eq!(outcome.unwrap(), Some(user(key))),
        }
    }
    assert_whole(&db).await;
}

#[tokio::test]
async fn whoever_goes_away_fails_nobody_else() {
    let db = support::db().await;
    let users = users(&db).await;
    for polls in 1..20 {
        // The first one looks up by itself; when it goes, those behind it must be taken on.
        let leader = users.clone();
        let (left, found) = tokio::join!(abort_at(polls, leader.find(1)), async {
            tokio::join!(abort_at(polls, users.find(2)), users.find(3), users.find(4))
        });
        assert_eq!(found.1.unwrap(), Some(user(3)), "aborted at poll {polls}");
        assert_eq!(found.2.unwrap(), Some(user(4)));
        if let Some(outcome) = left {
            assert_eq!(outcome.unwrap(), Some(user(1)));
        }
        assert_whole(&db).await;
    }
}

/// Longer than any of these tests takes: what is stuck ends because nobody waits for it any more.
const STUCK: Duration = Duration::from_secs(600);

/// A look-up that is stuck in the server for the keys 1 and 2.
async fn sticky(db: &Db, limit: Duration) -> Lookup<i64, User> {
    drop(users(db).await);
    db.with_query_timeout(limit).lookup(
        "select id, name from users where id = any($1) \
         and (id > 2 or pg_sleep(600) is not null)",
        "id",
    )
}

fn stuck(users: &Lookup<i64, User>, key: i64) -> tokio::task::JoinHandle<()> {
    let users = users.clone();
    tokio::spawn(async move { drop(users.find(key).await) })
}

async fn sleeping(db: &Db) -> i64 {
    let sql = "select count(*) from pg_stat_activity \
               where datname = current_database() and wait_event = 'PgSleep'";
    db.query_value(sql, ()).await.unwrap()
}

async fn until_sleeping(db: &Db, wanted: i64) {
    let reached = tokio::time::timeout(support::PATIENCE, async {
        while sleeping(db).await != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(reached.await.is_ok(), "never {wanted} statements asleep");
}

#[tokio::test]
async fn a_look_up_does_not_wait_behind_a_stuck_one_and_what_nobody_waits_for_is_cancelled() {
    let db = support::db().await;
    let users = sticky(&db, STUCK).await;
    let first = stuck(&users, 1);
    until_sleeping(&db, 1).await;
    let second = stuck(&users, 2);
    until_sleeping(&db, 2).await;
    assert_eq!(users.find(3).await.unwrap(), Some(user(3)));
    assert!(!first.is_finished() && !second.is_finished());
    // Both look up by themselves; whoever comes behind two is part of a group.
    first.abort();
    until_sleeping(&db, 1).await;
    second.abort();
    until_sleeping(&db, 0).await;
    assert_whole(&db).await;
}

#[tokio::test]
async fn no_more_than_ten_thousand_wait_behind_what_is_stuck() {
    let db = support::db_of(8).await;
    let users = sticky(&db, STUCK).await;
    // Two by themselves and two groups, which is all that may be under way.
    let mut tasks = tokio::task::JoinSet::new();
    for asleep in 1..=4 {
        let users = users.clone();
        tasks.spawn(async move { drop(users.find(1).await) });
        until_sleeping(&db, asleep).await;
    }
    for _ in 0..10_000 {
        let users = users.clone();
        tasks.spawn(async move { drop(users.find(2).await) });
    }
    // They run in the order of being started, so this one comes after them.
    let last = tokio::spawn({
        let users = users.clone();
        async move { users.find(3).await }
    });
    let found = tokio::time::timeout(support::PATIENCE, last).await;
    let found = found.expect("it does not wait behind them");
    assert_eq!(found.unwrap().unwrap(), Some(user(3)));
    tasks.shutdown().await;
    assert_whole(&db).await;
}

#[tokio::test]
async fn inside_a_transaction_a_look_up_sees_what_it_wrote() {
    let db = support::db().await;
    let users = users(&db).await;
    let apart = db.detached().lookup::<i64, User>(BY_ID, "id");
    db.with_transaction(async |tx| {
        tx.execute("insert into users values (900, 'user 900')", ())
            .await?;
        assert_eq!(users.find(900).await?, Some(user(900)));
        assert_eq!(apart.find(900).await?, None);
        Ok::<_, aquifer::Error>(())
    })
    .await
    .unwrap();
    assert_eq!(apart.find(900).await.unwrap(), Some(user(900)));
}

#[tokio::test]
async fn a_statement_that_does_not_fit_is_refused_with_the_reason() {
    let db = support::db().await;
    drop(users(&db).await);
    db.execute("create table codes (code char(5))", ())
        .await
        .unwrap();
    let refused = |error: aquifer::Error, text: &str| {
        assert!(error.to_string().contains(text), "{error}");
        error.kind()
    };
    let codes = "select code from codes where code = any($1)";
    let lookup = db.lookup::<String, (String,)>(codes, "code");
    let error = lookup.find("x".to_owned()).await.unwrap_err();
    assert_eq!(refused(error, "bpchar"), ErrorKind::Usage);
    let text = "select id, name from users where id = any($1) and name > $2";
    let lookup = db.lookup::<i64, User>(text, "id");
    assert_eq!(lookup.find(1).await.unwrap_err().kind(), ErrorKind::Encode);
    let text = "select name, id as number from users where id = any($1)";
    let lookup = db.lookup::<i64, (String,)>(text, "id");
    let error = lookup.find(1).await.unwrap_err();
    assert_eq!(refused(error, "no column \"id\""), ErrorKind::Decode);
    assert_whole(&db).await;
}

#[tokio::test]
async fn a_shutdown_fails_those_who_wait_and_leaves_none_hanging() {
    let db = support::db().await;
    let users = users(&db).await;
    let slow = db.lookup::<i64, User>(
        "select id, name from users where id = any($1) and pg_sleep(600) is not null",
        "id",
    );
    let mut waiting = Vec::new();
    for key in 1..=8 {
        let slow = slow.clone();
        waiting.push(tokio::spawn(async move { slow.find(key).await }));
    }
    support::until("the first one is under way", || db.pool_status().in_use > 0).await;
    db.shutdown(Duration::from_millis(200)).await;
    for task in waiting {
        assert!(task.await.unwrap().is_err());
    }
    assert_eq!(users.find(1).await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(db.tasks_running(), 0);
}

#[tokio::test]
async fn a_key_that_the_server_writes_otherwise_is_no_row_that_does_not_exist() {
    let db = support::db().await;
    db.execute_script(
        "create table devices (id uuid primary key, seen timestamptz); \
         insert into devices values ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', \
                                     '2020-01-01 00:00:00.000001+00')",
    )
    .await
    .unwrap();
    let sql = "select id from devices where id = any($1::uuid[])";
    let devices = db.lookup::<String, (String,)>(sql, "id");
    let id = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    let error = devices.find(id.to_ascii_uppercase()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    assert!(!error.to_string().contains("a0ee"), "{error}");
    assert_eq!(
        devices.find(id.to_owned()).await.unwrap(),
        Some((id.to_owned(),))
    );
}

#[tokio::test]
async fn a_look_up_that_is_made_again_by_itself_has_no_more_time_for_it() {
    let config = Config::from_url(support::url()).unwrap();
    // Less than both attempts take together; all the rest of it is for a busy machine.
    let limit = Duration::from_millis(3900);
    let db = Db::connect_with(&config).await.unwrap();
    drop(users(&db).await);
    let db = db.with_query_timeout(limit);
    // Each of the first two keys fails after two seconds; a group of both does, and then each by itself.
    let failing = db.lookup::<i64, User>(
        "select id, name from users where id = any($1) and \
         (id > 2 or pg_sleep(2) is null or 1 / (id - id) = 0)",
        "id",
    );
    assert_eq!(failing.find(3).await.unwrap(), Some(user(3)));
    let (first, second, one, two) = tokio::join!(
        failing.find(1),
        failing.find(2),
        failing.find(1),
        failing.find(2)
    );
    for leader in [first, second] {
        assert_eq!(leader.unwrap_err().kind(), ErrorKind::Database);
    }
    for outcome in [one, two] {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Timeout);
    }
    assert_whole(&db).await;
}

#[tokio::test]
async fn a_look_up_ends_when_its_time_is_over_however_long_its_group_takes() {
    let db = support::db_of(8).await;
    let users = sticky(&db, Duration::from_secs(1)).await;
    // All are open before time counts.
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(db.begin().await.unwrap());
    }
    drop(open);
    // Two by themselves, the others in a group, whose time began before it was sent.
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40 {
        let users = users.clone();
        tasks.spawn(async move { users.find(1 + number % 2).await });
    }
    for outcome in tasks.join_all().await {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Timeout);
    }
    until_sleeping(&db, 0).await;
    let found = tokio::time::timeout(support::PATIENCE, async {
        loop {
            if let Ok(found) = users.find(3).await {
                return found;
            }
        }
    });
    assert_eq!(found.await.unwrap(), Some(user(3)));
    assert_whole(&db).await;
}
