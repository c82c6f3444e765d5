//! LISTEN and NOTIFY.

use std::sync::Arc;
use std::time::Duration;

use aquifer::{ErrorKind, Heard, Session};
use aquifer_testkit::Mode;

use crate::support::{self, Losses};

#[tokio::test]
async fn notifications_arrive_in_order_with_their_payload() {
    let db = support::db().await;
    let mut listener = db.listen(["news", "Odd \"name\""]).await.unwrap();
    for number in 0..10 {
        db.query("select pg_notify('news', $1)", (format!("{number}"),))
            .await
            .unwrap();
    }
    db.execute("notify \"Odd \"\"name\"\"\", 'x'", ())
        .await
        .unwrap();
    for number in 0..10 {
        let Heard::Notification(heard) = listener.recv().await.unwrap() else {
            panic!("a gap")
        };
        assert_eq!(
            (heard.channel(), heard.payload()),
            ("news", format!("{number}").as_str())
        );
    }
    let Heard::Notification(heard) = listener.recv().await.unwrap() else {
        panic!("a gap")
    };
    assert_eq!(heard.channel(), "Odd \"name\"");
    drop(listener);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_lost_connection_is_a_gap_and_listening_goes_on() {
    let db = support::db().await;
    let mut listener = db.listen(["news"]).await.unwrap();
    let killed: i64 = db
        .query_value(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity \
             where datname = current_database() and query like 'listen %'",
            (),
        )
        .await
        .unwrap();
    assert_eq!(killed, 1);
    assert_eq!(listener.recv().await.unwrap(), Heard::Gap);
    db.query("select pg_notify('news', 'again')", ())
        .await
        .unwrap();
    let Heard::Notification(heard) = listener.recv().await.unwrap() else {
        panic!("a gap")
    };
    assert_eq!(heard.payload(), "again");
}

#[tokio::test]
async fn a_connection_that_falls_silent_is_noticed_and_listening_goes_on() {
    let losses = Losses::default();
    let (proxy, db) = support::proxied(|config| {
        let config = config.connections_max(2).observer(Arc::new(losses.clone()));
        let config = config.connect_timeout(Duration::from_millis(500));
        config.advanced(|advanced| {
            let soon = Duration::from_millis(100);
            let advanced = advanced.lanes(0).keepalive_interval(soon);
            advanced.check_timeout(soon)
        })
    })
    .await;
    let mut listener = db.listen(["news"]).await.unwrap();
    let status = db.pool_status();
    assert_eq!(
        (status.in_use, status.idle),
        (1, 0),
        "there is no other one"
    );
    proxy.set(Mode::BlackHole);
    // Nobody looks at the listener meanwhile.
    support::until("its silence is noticed", || {
        losses.text().contains("sign of life")
    })
    .await;
    proxy.set(Mode::Pass);
    let heard = tokio::time::timeout(Duration::from_secs(20), listener.recv());
    assert_eq!(heard.await.unwrap().unwrap(), Heard::Gap);
    db.query("select pg_notify('news', 'again')", ())
        .await
        .unwrap();
    let Heard::Notification(heard) = listener.recv().await.unwrap() else {
        panic!("another gap")
    };
    assert_eq!(heard.payload(), "again");
    drop(listener);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_receiver_that_is_too_slow_is_told_of_the_gap() {
    let db = support::db().await;
    let mut listener = db.listen(["flood"]).await.unwrap();
    db.query(
        "select count(pg_notify('flood', i::text)) from generate_series(1, 5000) i",
        (),
    )
    .await
    .unwrap();
    db.query("select pg_notify('flood', 'last')", ())
        .await
        .unwrap();
    let mut gaps = 0;
    loop {
        match listener.recv().await.unwrap() {
            Heard::Gap => gaps += 1,
            Heard::Notification(heard) if heard.payload() == "last" => break,
            _ => {}
        }
        // What was lost may be the last one itself; a further one shows that it goes on.
        if gaps > 0 {
            db.query("select pg_notify('flood', 'last')", ())
                .await
                .unwrap();
        }
    }
    assert!(gaps >= 1, "5,000 notifications fit into no queue of 1,024");
}

#[tokio::test]
async fn a_shutdown_closes_a_listener_at_once_whether_or_not_somebody_looks_at_it() {
    for looked_at in [true, false] {
        let db = support::db().await;
        let mut listener = db.listen(["news"]).await.unwrap();
        let heard = async {
            match looked_at {
                true => Some(listener.recv().await),
                false => None,
            }
        };
        let down = tokio::time::timeout(support::PATIENCE, db.shutdown(Duration::from_secs(600)));
        let (heard, down) = tokio::join!(heard, down);
        let done = down.expect("nothing is under way");
        assert_eq!(done.aborted, 0, "{done:?}");
        let error = match heard {
            Some(heard) => heard.unwrap_err(),
            None => listener.recv().await.unwrap_err(),
        };
        assert_eq!(error.kind(), ErrorKind::Closed);
        drop(listener);
        assert_eq!((db.pool_status().in_use, db.tasks_running()), (0, 0));
    }
}

#[tokio::test]
async fn names_that_would_be_cut_are_refused() {
    let db = support::db().await;
    for name in ["", "a\0b", &"x".repeat(64)] {
        let error = db.listen([name]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
    let error = db.listen([""; 0]).await.expect_err("no channel at all");
    assert_eq!(error.kind(), ErrorKind::Usage);
}
