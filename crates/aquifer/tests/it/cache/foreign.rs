//! What others write to the database is seen by the cache, and what it takes to see it is not left behind.

use std::sync::LazyLock;
use std::time::Duration;

use aquifer::{CacheOptions, Config, Db, Event, Events, Session};
use aquifer_testkit::{Cut, Direction, Ending, Postgres, Proxy, Redis as Server};

use super::super::support::until;
use super::{Loader, PATIENCE, name, user};

/// Servers that write what it takes into their log are started for these tests alone.
static LOGICAL: LazyLock<Postgres> = LazyLock::new(logical);

fn logical() -> Postgres {
    let builder = Postgres::builder().setting("wal_level", "logical");
    Postgres::start_with(builder.setting("max_replication_slots", "30"))
}

fn settings(url: &str) -> Config {
    super::super::support::config(url).cache_foreign_writes(true)
}

/// A process that is told what others write.
async fn process(config: &Config) -> (Db, Events) {
    let db = Db::connect_with(config).await.unwrap();
    let mut events = db.events();
    let _begun = db.cache();
    told(&mut events, "foreign_writes_seen").await;
    (db, events)
}

/// Waits, bounded, for an event of this name; those before it are dropped.
async fn told(events: &mut Events, name: &str) -> Event {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let event = events.next().await.expect("the handle lives");
            if event.name() == name {
                return event;
            }
        }
    });
    waited.await.expect("it is told")
}

/// Keeps a value that was made of this table.
async fn keep(db: &Db, key: &str, table: &str) {
    let options = CacheOptions::new().table(table);
    let loader = Loader::default();
    let load = loader.load(user(1, "kept"));
    let kept = db.cache().get_or_load_with(key, &options, load).await;
    assert_eq!(kept.unwrap().name, "kept");
}

async fn until_gone(db: &Db, key: &str) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while name(db.cache(), key).await.is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(waited.await.is_ok(), "{key} is still there");
}

/// Writes as somebody who does not know of the layer does, until a value that was made of the table is
/// gone.
async fn see(db: &Db, url: &str) {
    keep(db, "seen", "marks").await;
    LOGICAL
        .psql_at(url, "insert into marks values (1)")
        .unwrap();
    until_gone(db, "seen").await;
}

const TABLES: &str = "\
    create table marks (id int); \
    create table users (id bigint primary key, name text); \
    create table pairs (a int, b int, primary key (a, b)); \
    create table \"Odd, \"\"Name\" (\"The Key\" text primary key, x text); \
    create table whole (id int primary key) partition by range (id); \
    create table part partition of whole for values from (0) to (100); \
    insert into users select n, 'John' from generate_series(1, 1000) n";

fn create() -> String {
    let url = LOGICAL.create_database().url;
    LOGICAL.psql_at(&url, TABLES).unwrap();
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_of_psql_makes_what_depends_on_it_a_miss_in_every_process() {
    let (redis, url) = (Server::start(), create());
    let config = settings(&url).redis_url(redis.url());
    let (one, _) = process(&config).await;
    let (two, _) = process(&config).await;
    for (reader, statement) in [
        (&one, "update users set name = 'Jane' where id = 1"),
        (&two, "insert into users values (2000, 'Jim')"),
        (&one, "delete from users where id = 2000"),
        (&two, "truncate users"),
    ] {
        keep(reader, "a", "users").await;
        let others = version(&redis, "t:pairs");
        super::until_name(reader.cache(), "a", Some("kept"), &[None]).await;
        LOGICAL.psql_at(&url, statement).unwrap();
        until_gone(reader, "a").await;
        // What was made of other tables stays.
        assert_eq!(version(&redis, "t:pairs"), others, "{statement}");
    }
    // One of them reads for both.
    let slots = "select count(*) from pg_replication_slots where database = current_database()";
    assert_eq!(LOGICAL.psql_at(&url, slots).unwrap().trim(), "1");
    one.close().await.unwrap();
    two.close().await.unwrap();
    assert_eq!(one.tasks_running() + two.tasks_running(), 0);
    let waited = async || LOGICAL.psql_at(&url, slots).unwrap().trim() == "0";
    tokio::time::timeout(PATIENCE, async {
        while !waited().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("nothing is kept for those who are gone");
}

/// The version of a stamp in Redis, which is made if there is none.
fn version(redis: &Server, tag: &str) -> u64 {
    let (key, first) = (
        format!("aquifer#{tag}"),
        "00000000000000ab:0:0000000000000000?",
    );
    redis.command(&["SET", &key, first, "NX"]);
    let stamp = redis.command(&["GET", &key]);
    stamp.split(':').nth(1).unwrap().parse().unwrap()
}

/// What is written, what must be told, and what must not.
type Case = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const CASES: [Case; 9] = [
    (
        "update users set name = 'x' where id in (1, 2)",
        &["t:users", "r:users:1", "r:users:2"],
        &["r:users:3", "R:users"],
    ),
    (
        "update users set id = 5000 where id = 3",
        &["r:users:3", "r:users:5000"],
        &["r:users:1"],
    ),
    (
        "delete from users where id = 4",
        &["r:users:4"],
        &["R:users"],
    ),
    (
        "insert into pairs values (1, 2)",
        &["t:pairs", "R:pairs"],
        &["t:users"],
    ),
    (
        "update users set name = 'y'",
        &["t:users", "R:users"],
        &["r:users:9"],
    ),
    (
        "truncate users, pairs",
        &["R:users", "R:pairs"],
        &["r:users:9"],
    ),
    (
        "insert into \"Odd, \"\"Name\" values ('it''s: [1]', repeat('x', 9000))",
        &["t:Odd, \"Name", "r:Odd, \"Name:it's: [1]"],
        &["R:Odd, \"Name"],
    ),
    (
        "insert into whole values (7)",
        &["t:part", "r:part:7", "t:whole", "r:whole:7"],
        &["R:whole", "R:part"],
    ),
    // Together, and a part of it taken back.
    (
        "begin; insert into users values (8, 'x'); savepoint s; insert into users values (9, 'x'); \
             rollback to s; commit",
        &["r:users:8"],
        &["r:users:9", "R:users"],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_told_by_their_keys_and_by_all_where_these_are_not_known() {
    let (redis, url) = (Server::start(), create());
    let (db, _) = process(&settings(&url).redis_url(redis.url())).await;
    for (statement, changed, others) in CASES {
        let before =
            |tags: &[&str]| -> Vec<u64> { tags.iter().map(|tag| version(&redis, tag)).collect() };
        let (was, were) = (before(changed), before(others));
        LOGICAL.psql_at(&url, statement).unwrap();
        until(statement, || {
            let is = before(changed);
            is.iter().zip(&was).all(|(is, was)| is > was)
        })
        .await;
        assert_eq!(before(others), were, "{statement}");
    }
    // What is taken back is told by nobody.
    let before = version(&redis, "t:users");
    let statement = "begin; insert into users values (99, 'x'); rollback";
    LOGICAL.psql_at(&url, statement).unwrap();
    see(&db, &url).await;
    assert_eq!(version(&redis, "t:users"), before);
    db.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_told_when_it_can_be_seen_and_not_before() {
    let server = logical();
    server.psql(TABLES);
    let redis = Server::start();
    let (db, _) = process(&settings(server.url()).redis_url(redis.url())).await;
    // From now on who commits waits for a standby that never comes.
    server.psql("alter system set synchronous_standby_names = 'nobody'");
    server.psql("select pg_reload_conf()");
    let before = version(&redis, "t:users");
    let pairs = version(&redis, "t:pairs");
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| server.psql("update users set name = 'Jane' where id = 1"));
        let waits = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
        while server.psql(waits).trim() != "1" {
            std::thread::yield_now();
        }
        let url = server.url();
        // What is committed later and does not wait is told.
        let local = "set synchronous_commit = local; insert into pairs values (1, 1)";
        server.psql_at(url, local).unwrap();
        while version(&redis, "t:pairs") == pairs {
            std::thread::yield_now();
        }
        // In this order: what is told can be seen.
        let told = version(&redis, "t:users");
        let name = server.psql("select name from users where id = 1");
        server.psql("alter system reset synchronous_standby_names");
        server.psql("select pg_reload_conf()");
        waiting.join().unwrap();
        (name.trim().to_owned(), told)
    });
    assert_eq!(waiting, ("John".to_owned(), before));
    until("it is told", || version(&redis, "t:users") > before).await;
    db.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_one_who_reads_is_gone_another_does_and_what_was_missed_is_a_miss() {
    let (redis, url) = (Server::start(), create());
    let config = settings(&url).redis_url(redis.url());
    let (one, _) = process(&config).await;
    let (two, _) = process(&config).await;
    keep(&two, "a", "users").await;
    one.close().await.unwrap();
    // Perhaps before the other one reads: then nobody hears of it.
    let change = "update users set name = 'Jane' where id = 1";
    LOGICAL.psql_at(&url, change).unwrap();
    until_gone(&two, "a").await;
    see(&two, &url).await;
    // A session that is ended from outside.
    let end = "select pg_terminate_backend(active_pid) from pg_replication_slots \
               where database = current_database()";
    keep(&two, "a", "users").await;
    LOGICAL.psql_at(&url, end).unwrap();
    LOGICAL.psql_at(&url, change).unwrap();
    until_gone(&two, "a").await;
    see(&two, &url).await;
    two.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_who_has_the_lock_and_does_nothing_is_replaced() {
    let (redis, url) = (Server::start(), create());
    let config = settings(&url).redis_url(redis.url());
    let (first, _) = process(&config).await;
    let lock = "select (classid::bigint << 32) | objid::bigint from pg_locks where locktype = 'advisory' \
                and database = (select oid from pg_database where datname = current_database())";
    let lock = LOGICAL.psql_at(&url, lock).unwrap();
    first.close().await.unwrap();
    let holder = Db::connect(url.as_str()).await.unwrap();
    let paused = holder.dedicated().await.unwrap();
    let take = format!("select pg_advisory_lock({})", lock.trim());
    paused.execute(aquifer::AssertSafe(take), ()).await.unwrap();
    let (db, _) = process(&config).await;
    see(&db, &url).await;
    assert!(paused.execute("select 1", ()).await.is_err());
    drop(paused);
    holder.close().await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_each_process_reads_for_itself() {
    let url = create();
    let (one, _) = process(&settings(&url)).await;
    let (two, _) = process(&settings(&url)).await;
    see(&one, &url).await;
    see(&two, &url).await;
    // Dropped without a shutdown, it leaves no slot behind.
    drop((one, two));
    let slots = "select count(*) from pg_replication_slots where database = current_database()";
    until("they are gone", || {
        LOGICAL.psql_at(&url, slots).unwrap().trim() == "0"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_or_a_role_that_does_not_let_us_is_told_with_the_remedy() {
    let config = settings(&super::super::support::url());
    let db = Db::connect_with(&config).await.unwrap();
    let mut events = db.events();
    keep(&db, "a", "users").await;
    let event = told(&mut events, "foreign_writes_unseen").await;
    let Event::ForeignWritesUnseen { cause, .. } = event else {
        unreachable!("it was looked for");
    };
    assert!(cause.contains("wal_level = logical"), "{cause}");
    assert_eq!(name(db.cache(), "a").await.as_deref(), Some("kept"));
    db.close().await.unwrap();
    assert_eq!(db.tasks_running(), 0);

    let url = create();
    LOGICAL.psql_at(&url, "create role plain login").unwrap();
    let db = Db::connect_with(&settings(&url.replace("//postgres@", "//plain@")))
        .await
        .unwrap();
    let mut events = db.events();
    let _begun = db.cache();
    let Event::ForeignWritesUnseen { cause, .. } = told(&mut events, "foreign_writes_unseen").await
    else {
        unreachable!("it was looked for");
    };
    assert!(cause.contains("replication"), "{cause}");
    db.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_is_missed_wherever_the_connection_is_cut() {
    let redis = Server::start();
    let url = create();
    let proxy = Proxy::to_postgres(&LOGICAL);
    let (_, database) = url.rsplit_once('/').unwrap();
    let through = proxy.through(LOGICAL.tcp_url());
    let (base, _) = through.rsplit_once('/').unwrap();
    let through = format!("{base}/{database}");
    let (db, _) = process(&settings(&through).redis_url(redis.url())).await;
    for (direction, nth) in
        (1..14).flat_map(|nth| [(Direction::ToServer, nth), (Direction::ToClient, nth)])
    {
        proxy.cut(Cut::before_any(direction).nth(nth).with(Ending::Reset));
        keep(&db, "a", "users").await;
        LOGICAL
            .psql_at(&url, "update users set name = 'x' where id = 1")
            .unwrap();
        until_gone(&db, "a").await;
        proxy.clear_cuts();
    }
    see(&db, &url).await;
    db.close().await.unwrap();
}
