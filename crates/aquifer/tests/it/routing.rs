//! Where a statement runs does not depend on who ran its text first.

use aquifer::{Db, ErrorKind, Session};

use crate::support;

/// Lanes refuse writes, so a read can tell that it is on one.
const ON_A_LANE: &str = "select current_setting('default_transaction_read_only')";

async fn until_lanes_are_open(db: &Db) {
    support::until("a lane is open", || db.pool_status().lanes > 0).await;
}

#[tokio::test]
async fn a_read_that_a_transaction_ran_first_travels_on_a_lane_afterwards() {
    let db = support::db().await;
    until_lanes_are_open(&db).await;
    let tx = db.begin().await.unwrap();
    let inside: String = tx.query_value(ON_A_LANE, ()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(inside, "off");
    // The first call decides, on an exclusive connection; those after have the decision.
    support::until_value(&db, ON_A_LANE, "on").await;
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_setting_that_a_dedicated_session_changed_first_is_reset_when_a_call_changes_it() {
    const CHANGE: &str = "set work_mem = '7MB'";
    let db = support::db().await;
    let session = db.dedicated().await.unwrap();
    session.execute(CHANGE, ()).await.unwrap();
    drop(session);
    db.execute(CHANGE, ()).await.unwrap();
    support::assert_whole(&db).await;
    let (status, mut open) = (db.pool_status(), Vec::new());
    for _ in 0..status.idle {
        let tx = db.begin().await.unwrap();
        let setting: String = tx.query_value("show work_mem", ()).await.unwrap();
        assert_ne!(setting, "7MB", "the next caller got the last one's setting");
        open.push(tx);
    }
    drop(open);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn begin_as_a_statement_is_refused_although_a_dedicated_session_may_run_it() {
    let db = support::db().await;
    let session = db.dedicated().await.unwrap();
    session.execute("begin", ()).await.unwrap();
    session.execute("rollback", ()).await.unwrap();
    drop(session);
    let error = db.execute("begin", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_read_whose_first_caller_was_dropped_at_any_poll_travels_on_a_lane_afterwards() {
    let db = support::db().await;
    until_lanes_are_open(&db).await;
    for polls in 1..20 {
        // Another text each time, so that each is described and decided anew.
        let text = || aquifer::AssertSafe(format!("{ON_A_LANE} as polls_{polls}"));
        drop(support::abort_at(polls, db.query(text(), ())).await);
        support::assert_whole(&db).await;
        support::until_value(&db, text().0, "on").await;
    }
}
