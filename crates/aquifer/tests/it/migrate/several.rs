//! Several runners at once, also by a pooler, and beside sqlx.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aquifer::migrate::{MigrationProgress, Migrator};
use aquifer::{Config, Db, Session};
use aquifer_testkit::{PgBouncer, Postgres};
use tokio::task::JoinSet;

use super::{noted, of, value};
use crate::support;

/// What takes effect twice shows in `log`; the third file waits for all snapshots to end.
fn migrator() -> Migrator {
    of(&[
        ("1_log.sql", "create table log (version int)"),
        (
            "2_slow.sql",
            "select pg_sleep(0.02);\ninsert into log values (2)",
        ),
        (
            "3_index.sql",
            "-- no-transaction\ninsert into log values (3);\n\
             create index concurrently log_version on log (version);",
        ),
        ("4_do.sql", "do $$ begin insert into log values (4); end $$"),
    ])
}

/// Four services, each with a pool of its own, are started together.
async fn start_together(url: &str) {
    let mut runners = JoinSet::new();
    for _ in 0..4 {
        let config = Config::from_url(url).unwrap().connections_max(4);
        runners.spawn(async move {
            let db = Db::connect_with(&config).await.unwrap();
            let applied = migrator().up(&db).await.unwrap().len();
            db.close().await.unwrap();
            applied
        });
    }
    let applied: usize = runners.join_all().await.into_iter().sum();
    assert_eq!(applied, 4, "each is applied by one of them");
}

async fn assert_applied_once(db: &Db) {
    assert_eq!(
        noted(db).await,
        [(1, true), (2, true), (3, true), (4, true)]
    );
    let log: Vec<i32> = db
        .query_column("select version from log order by 1", ())
        .await
        .unwrap();
    assert_eq!(log, [2, 3, 4]);
    let valid = "select indisvalid from pg_index where indexrelid = 'log_version'::regclass";
    assert!(value::<bool>(db, valid).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_start_together_apply_each_file_once() {
    let url = support::url();
    for _ in 0..3 {
        let db = Db::connect(&url).await.unwrap();
        db.execute_script("drop table if exists log, _sqlx_migrations")
            .await
            .unwrap();
        start_together(&url).await;
        assert_applied_once(&db).await;
        support::assert_whole(&db).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_pooler_too() {
    let server = Postgres::shared();
    // Two for each runner that is at work, and one for the others to look with.
    let pooler = PgBouncer::start_with(server, &["default_pool_size = 12"]);
    let url = pooler.url(server, &server.create_database());
    start_together(&url).await;
    let db = Db::connect(&url).await.unwrap();
    assert_applied_once(&db).await;
    support::assert_whole(&db).await;
}

/// Behind a pooler a setting would stay with a session that is lent to others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_a_pooler_nothing_is_left_in_a_session() {
    let server = Postgres::shared();
    let pooler = PgBouncer::start(server);
    let db = Db::connect(&pooler.url(server, &server.create_database())).await;
    let db = db.unwrap();
    let files = [("1_set.sql", "create table t ();\nset search_path = ''")];
    let error = of(&files).up(&db).await.unwrap_err();
    assert_eq!(error.migration().unwrap().line(), Some(2), "{error}");
    assert!(value::<bool>(&db, "select to_regclass('t') is null").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lock_is_that_of_sqlx() {
    let db = support::db().await;
    // As `generate_lock_id` of sqlx has it, computed by other means.
    let sqlx = db.dedicated().await.unwrap();
    let name: String = sqlx
        .query_value("select current_database()::text", ())
        .await
        .unwrap();
    let number = 0x3d32_ad9e * i64::from(zlib_crc32(name.as_bytes()));
    sqlx.execute("select pg_advisory_lock($1)", (number,))
        .await
        .unwrap();
    let waits = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&waits);
    let migrator = migrator().on_progress(move |progress| {
        if *progress == MigrationProgress::Waiting {
            told.fetch_add(1, Ordering::Relaxed);
        }
    });
    let run = tokio::spawn({
        let db = db.clone();
        async move { migrator.up(&db).await }
    });
    support::until("it waits", || waits.load(Ordering::Relaxed) == 1).await;
    assert!(value::<bool>(&db, "select to_regclass('log') is null").await);
    sqlx.execute("select pg_advisory_unlock($1)", (number,))
        .await
        .unwrap();
    drop(sqlx);
    assert_eq!(run.await.unwrap().unwrap().len(), 4);
    assert_eq!(waits.load(Ordering::Relaxed), 1);
    support::assert_whole(&db).await;
}

/// By the table, as most programs do it.
fn zlib_crc32(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256_u32)
        .map(|index| (0..8).fold(index, |entry, _| (entry >> 1) ^ (0xEDB8_8320 * (entry & 1))))
        .collect();
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        let index = usize::from(sum.to_le_bytes()[0] ^ byte);
        (sum >> 8) ^ table[index]
    })
}
