//! Passwords that change while the pool is in use.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use aquifer::{Config, Db, Error, Event, Secret, Session};
use aquifer_testkit::{Login, Postgres};
use tokio::task::JoinSet;

use crate::support;

/// What the provider says, and how often it was asked.
#[derive(Clone)]
struct Vault {
    password: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Vault {
    fn new() -> Self {
        let password = Login::Scram.password().unwrap().to_owned();
        Self {
            password: Arc::new(Mutex::new(password)),
            asked: Arc::default(),
        }
    }

    fn set(&self, password: &str) {
        password.clone_into(&mut self.password.lock().unwrap());
    }

    fn config(&self, server: &Postgres) -> Config {
        let vault = self.clone();
        support::config(server.login_url(Login::Scram)).password_provider(move || {
            vault.asked.fetch_add(1, Ordering::Relaxed);
            let password = vault.password.lock().unwrap().clone();
            async { Ok(Secret::from(password)) }
        })
    }
}

async fn admin(server: &Postgres) -> Db {
    Db::connect(server.url()).await.unwrap()
}

async fn set_password(admin: &Db, password: &str) {
    let text = format!("alter role scram_user password '{password}'");
    admin.execute(aquifer::AssertSafe(text), ()).await.unwrap();
}

/// Ends all sessions of the role, so that new ones must log in.
async fn end_sessions(admin: &Db) {
    admin
        .query(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'scram_user'",
            (),
        )
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_that_is_changed_under_load_costs_no_user_an_error() {
    let server = Postgres::start();
    let (vault, admin) = (Vault::new(), admin(&server).await);
    let db = Db::connect_with(&vault.config(&server)).await.unwrap();
    let mut events = db.events();
    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for reader in 0..8_i64 {
        let (db, stop) = (db.clone(), Arc::clone(&stop));
        readers.spawn(async move {
            let mut calls = 0;
            while !stop.load(Ordering::Relaxed) {
                let own: i64 = db.query_value("select $1::bigint", (reader,)).await?;
                assert_eq!(own, reader, "a foreign reply");
                let own: i64 = db
                    .exclusive()
                    .query_value("select $1::bigint", (reader,))
                    .await?;
                assert_eq!(own, reader, "a foreign reply");
                calls += 1;
            }
            Ok::<_, Error>(calls)
        });
    }
    for round in 0..3 {
        let password = format!("changed {round}");
        // The server knows it first: whoever logs in now is refused, and asks again.
        set_password(&admin, &password).await;
        let refresher = {
            let (vault, password) = (vault.clone(), password.clone());
            let asked = vault.asked.load(Ordering::Relaxed);
            tokio::spawn(async move {
                support::until("the provider is asked", || {
                    vault.asked.load(Ordering::Relaxed) > asked
                })
                .await;
                vault.set(&password);
            })
        };
        end_sessions(&admin).await;
        refresher.await.unwrap();
    }
    let refreshed = tokio::time::timeout(support::PATIENCE, async {
        loop {
            if let Some(Event::CredentialRefresh { accepted, .. }) = events.next().await {
                break accepted;
            }
        }
    });
    refreshed
        .await
        .expect("a password was refused, and another asked for");
    stop.store(true, Ordering::Relaxed);
    for outcome in readers.join_all().await {
        let calls: u32 = outcome.expect("sessions that end are replaced");
        assert!(calls > 0);
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_password_that_stays_wrong_is_tried_once_a_second_and_sessions_live_on() {
    let server = Postgres::start();
    let (vault, admin) = (Vault::new(), admin(&server).await);
    let config = vault.config(&server).connections_max(4);
    let db = Db::connect_with(&config).await.unwrap();
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    let mut events = db.events();
    let held = db.begin().await.unwrap();
    set_password(&admin, "nobody knows it").await;
    let before = vault.asked.load(Ordering::Relaxed);
    let start = Instant::now();
    let mut waiting = JoinSet::new();
    for _ in 0..4 {
        let db = db.clone();
        waiting.spawn(async move { db.begin().await?.rollback().await });
    }
    loop {
        if let Some(Event::CredentialRefresh { accepted, .. }) = events.next().await {
            assert!(!accepted);
            break;
        }
    }
    let logins = || vault.asked.load(Ordering::Relaxed) - before;
    support::until("it is tried again", || logins() >= 4).await;
    // Two of the first login, then each a second after the other.
    let most = 3 + start.elapsed().as_secs();
    assert!(
        logins() as u64 <= most,
        "{} logins, at most {most}",
        logins()
    );
    let one: i32 = held.query_value("select 1", ()).await.unwrap();
    assert_eq!(one, 1, "a session that is open lives on");
    vault.set("nobody knows it");
    loop {
        if let Some(Event::CredentialRefresh { accepted, .. }) = events.next().await {
            assert!(accepted);
            break;
        }
    }
    for outcome in waiting.join_all().await {
        outcome.expect("callers waited for it");
    }
    held.rollback().await.unwrap();
    support::assert_whole(&db).await;
}
