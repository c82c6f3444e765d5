//! `DatabaseManager`.

use std::time::Duration;

use aquifer::{DatabaseManager, ErrorKind, Session, Shutdown, Status};
use aquifer_testkit::Postgres;

use crate::support;

#[tokio::test]
async fn it_goes_up_once_and_down_once() {
    let manager = DatabaseManager::new(support::config(support::url()));
    assert_eq!(manager.db().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(manager.health().await[0].status, Status::Down);
    manager.initialize().await.unwrap();
    let error = manager.initialize().await.expect_err("a second time");
    assert_eq!(error.kind(), ErrorKind::Closed);
    let db = manager.db().unwrap();
    let one: i32 = db.query_value("select 1", ()).await.unwrap();
    assert_eq!(one, 1);
    let health = manager.health().await;
    assert_eq!(
        (health[0].status, health[0].latency.is_some()),
        (Status::Up, true)
    );
    let done = manager.shutdown(Duration::from_secs(5)).await;
    assert!(done.closed >= 1 && done.aborted == 0, "{done:?}");
    let again = manager.shutdown(Duration::from_secs(5)).await;
    assert_eq!((again.closed, again.aborted, again.refused), (0, 0, 0));
    assert_eq!(manager.db().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(
        manager.initialize().await.unwrap_err().kind(),
        ErrorKind::Closed
    );
    let error = db
        .query("select 1", ())
        .await
        .expect_err("a handle kept from before");
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(db.begin().await.is_err() && db.dedicated().await.is_err());
}

#[tokio::test]
async fn a_database_that_is_not_there_is_an_error_that_says_so() {
    let server = Postgres::start();
    let url = server.url().to_owned();
    server.shut_down(aquifer_testkit::Shutdown::Fast);
    let manager = DatabaseManager::new(support::config(&url));
    let error = manager.initialize().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    // It may be tried again, with the same outcome, and shut down.
    assert_eq!(
        manager.initialize().await.unwrap_err().kind(),
        ErrorKind::Connection
    );
    assert_eq!(
        manager.shutdown(Duration::from_secs(1)).await,
        Shutdown::default()
    );
}

#[tokio::test]
async fn a_shutdown_that_was_dropped_goes_on_when_it_is_called_again() {
    let manager = DatabaseManager::new(support::config(support::url()));
    manager.initialize().await.unwrap();
    let db = manager.db().unwrap();
    let tx = db.begin().await.unwrap();
    let dropped = support::abort_at(1, manager.shutdown(Duration::from_secs(60))).await;
    assert_eq!(dropped, None, "it waits for the transaction");
    let done = manager.shutdown(Duration::from_millis(50)).await;
    assert_eq!(done.aborted, 1, "{done:?}");
    tx.execute("select 1", ()).await.unwrap_err();
    assert_eq!(db.tasks_running(), 0);
}

#[tokio::test]
async fn transactions_that_hold_all_connections_do_not_make_the_database_look_down() {
    let config = support::config(support::url()).connections_max(4);
    let manager = DatabaseManager::new(config);
    manager.initialize().await.unwrap();
    let db = manager.db().unwrap();
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    let _held = [db.begin().await.unwrap(), db.begin().await.unwrap()];
    let health = manager.health().await;
    assert_eq!(health[0].status, Status::Up, "{health:?}");
}

#[tokio::test]
async fn a_wrong_database_is_told_at_once() {
    let mut url = support::url();
    url.push_str("_is_not_there");
    let error = aquifer::Db::connect(&url).await.unwrap_err();
    assert_eq!(
        error.sqlstate().map(|state| state.code()),
        Some("3D000"),
        "{error}"
    );
    assert_eq!(error.retry(), aquifer::Retry::Never);
}
