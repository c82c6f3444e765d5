//! What one event does to a connection, each by itself.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::{ask, complete, described, echo, error, message, pair, parameter, ready, row, run};
use crate::{Error, Event, Kind, Limits, Sharing};

/// The answer to a first request of `echo`.
fn answer(tag: &str) -> Vec<u8> {
    let parameters = message(b't', b"\0\x01\0\0\0\x19");
    let parsed = [message(b'1', b""), parameters, described(&["value"])].concat();
    [parsed, again(tag)].concat()
}

/// The answer to a later one.
fn again(tag: &str) -> Vec<u8> {
    [
        message(b'2', b""),
        row(&[tag]),
        complete("SELECT 1"),
        ready(),
    ]
    .concat()
}

async fn read_some(server: &mut UnixStream) -> Vec<u8> {
    let mut sent = vec![0; 65_536];
    let length = server.read(&mut sent).await.unwrap();
    sent.truncate(length);
    sent
}

/// The peer no longer reads, so writing fails at once; what it said before is still there.
#[test]
fn what_the_server_said_before_it_went_is_read_though_writing_fails() {
    run(async {
        let (client, driver, mut server) = pair(&Limits::default());
        client.catalog().keep(echo());
        let mut driver = pin!(driver);
        let mut context = Context::from_waker(Waker::noop());
        let mut first = pin!(ask(&client, "a", Sharing::Own));
        assert!(first.as_mut().poll(&mut context).is_pending());
        read_some(&mut server).await;
        assert!(driver.as_mut().poll(&mut context).is_pending());
        server.write_all(&answer("a")).await.unwrap();
        drop(server);
        let mut second = pin!(ask(&client, "b", Sharing::Own));
        assert!(second.as_mut().poll(&mut context).is_pending());
        // The task has used up its share of this turn: reading is put off, writing is not.
        while tokio::task::coop::has_budget_remaining() {
            tokio::task::coop::consume_budget().await;
        }
        let ended = driver.await;
        assert_eq!(first.await.unwrap(), ["a"], "{ended}");
        let error = second.await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Closed, true));
    });
}

#[test]
fn words_after_which_the_session_went_on_are_not_its_last() {
    let warning = message(b'N', b"SWARNING\0VWARNING\0C57P02\0Ma crash\0\0");
    for (after, words) in [(again("b"), None), (Vec::new(), Some("57P02"))] {
        run(async {
            let (client, driver, mut server) = pair(&Limits::default());
            client.catalog().keep(echo());
            let play = async {
                read_some(&mut server).await;
                server.write_all(&answer("a")).await.unwrap();
                read_some(&mut server).await;
                server.write_all(&warning).await.unwrap();
                server.write_all(&after).await.unwrap();
                drop(server);
            };
            let callers = async {
                ask(&client, "a", Sharing::Own).await.unwrap();
                let _either = ask(&client, "b", Sharing::Own).await;
            };
            let (ended, (), ()) = tokio::join!(driver, callers, play);
            let state = ended.last_words().map(|words| words.code().code());
            assert_eq!(state, words);
        });
    }
}

/// A description is asked for again when the transaction that it shared failed at its very end.
#[test]
fn a_description_whose_group_failed_at_its_end_is_asked_for_again() {
    run(async {
        let (client, driver, mut server) = pair(&Limits::default());
        tokio::spawn(driver);
        let client = Arc::new(client);
        client.catalog().keep(echo());
        let description = [message(b't', b"\0\0"), message(b'n', b"")].concat();
        let play = async {
            read_some(&mut server).await;
            server.write_all(&answer("a")).await.unwrap();
            read_some(&mut server).await;
            let group = [again("b")[..5 + 12 + 14].to_vec(), message(b'1', b"")];
            server.write_all(&group.concat()).await.unwrap();
            server.write_all(&description).await.unwrap();
            server.write_all(&error("ERROR", "40001")).await.unwrap();
            server.write_all(&ready()).await.unwrap();
            // Both are sent again, alone.
            let sent = read_some(&mut server).await;
            assert!(sent.contains(&b'D'), "no Describe in {sent:?}");
            server.write_all(&again("b")).await.unwrap();
            server.write_all(&description).await.unwrap();
            server.write_all(&ready()).await.unwrap();
        };
        let callers = async {
            tokio::join!(
                biased;
                ask(&client, "a", Sharing::Shared),
                ask(&client, "b", Sharing::Shared),
                client.statement("nothing", Sharing::Shared)
            )
        };
        let ((a, b, nothing), ()) = tokio::join!(callers, play);
        assert_eq!(
            (a.unwrap(), b.unwrap()),
            (vec!["a".into()], vec!["b".into()])
        );
        assert!(nothing.unwrap().columns().list().is_empty());
    });
}

/// Otherwise its five bytes could complete the request that was cut off.
#[test]
fn the_polite_end_is_not_written_into_a_request() {
    for (length, polite) in [(10, true), (5_000_000, false)] {
        run(async {
            let (client, driver, mut server) = pair(&Limits::default());
            let text = "x".repeat(length);
            let mut context = Context::from_waker(Waker::noop());
            assert!(pin!(client.script(&text)).poll(&mut context).is_pending());
            // There is room in the socket again, which the driver has not seen yet.
            let mut sent = read_some(&mut server).await;
            while let Ok(length) = server.try_read_buf(&mut sent) {
                assert!(length > 0);
            }
            tokio::task::yield_now().await;
            drop(client);
            assert!(driver.await.by_us());
            server.read_to_end(&mut sent).await.unwrap();
            assert_eq!(sent.ends_with(b"X\0\0\0\x04"), polite);
            assert_eq!(sent.len() > text.len(), polite);
        });
    }
}

#[test]
fn clean_up_that_can_not_be_sent_closes_the_connection() {
    run(async {
        let (client, driver, _server) = pair(&Limits::default());
        client.control_detached("rollback\0");
        assert!(driver.await.by_us());
        let error = client.script("select 1").await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Closed, false));
    });
}

#[test]
fn a_queue_that_is_full_refuses_all_but_clean_up() {
    run(async {
        let limits = Limits {
            requests_max: 2,
            ..Limits::default()
        };
        let (client, driver, server) = pair(&limits);
        client.control_detached("begin");
        client.control_detached("begin");
        let error = client.script("select 1").await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Limit, false));
        client.control_detached("rollback");
        assert_eq!(client.in_flight(), 3);
        drop(server);
        driver.await;
        assert_eq!(client.in_flight(), 0);
    });
}

#[test]
fn events_that_are_asked_for_too_late_end_at_once() {
    run(async {
        let (client, driver, server) = pair(&Limits::default());
        let mut before = client.events(1);
        drop(server);
        driver.await;
        assert!(before.recv().await.is_none());
        assert!(client.events(1).recv().await.is_none());
    });
}

#[test]
fn text_that_is_not_utf8_disturbs_nobody() {
    run(async {
        let (client, driver, mut server) = pair(&Limits::default());
        let mut events = client.events(4);
        tokio::spawn(driver);
        server
            .write_all(&message(b'S', b"name\0\xff\0"))
            .await
            .unwrap();
        server
            .write_all(&message(b'A', b"\0\0\0\x01c\0\xff\0"))
            .await
            .unwrap();
        server.write_all(&parameter()).await.unwrap();
        let Some(Event::Notification(notification)) = events.recv().await else {
            panic!("no notification");
        };
        assert_eq!(notification.payload(), "\u{fffd}");
        assert_eq!(client.parameter("name").unwrap(), "\u{fffd}");
    });
}

/// Only asking what a statement is like has no effect: whatever it is, it may be asked again.
#[test]
fn a_statement_that_was_only_described_was_not_sent() {
    run(async {
        let (client, driver, mut server) = pair(&Limits::default());
        let play = async {
            read_some(&mut server).await;
            drop(server);
        };
        let statements: [(&str, &(dyn crate::types::Params + Sync)); 1] = [("insert", &())];
        let (ended, query, batch, ()) = tokio::join!(
            driver,
            client.query("insert", &(), Sharing::Own),
            client.batch(&statements, Sharing::Own),
            play
        );
        let errors: [Error; 2] = [query.unwrap_err(), batch.unwrap_err()];
        for error in errors {
            assert_eq!(
                (error.kind(), error.sent()),
                (Kind::Closed, false),
                "{ended}"
            );
        }
    });
}

/// The statement was carried out; only what its columns mean is not known yet.
#[test]
fn a_statement_whose_columns_can_not_be_looked_up_was_sent() {
    run(async {
        let (client, driver, mut server) = pair(&Limits::default());
        client.catalog().keep(echo());
        let mut columns = described(&["value"]);
        let oid = columns.len() - 12;
        columns[oid..oid + 4].copy_from_slice(&77_777_u32.to_be_bytes());
        let play = async {
            read_some(&mut server).await;
            let parsed = [message(b'1', b""), message(b't', b"\0\0"), columns].concat();
            server
                .write_all(&[parsed, again("a")].concat())
                .await
                .unwrap();
            drop(server);
        };
        let (_ended, answer, ()) = tokio::join!(driver, ask(&client, "a", Sharing::Own), play);
        let error = answer.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Closed, true));
    });
}
