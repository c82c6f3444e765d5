//! Lengths that lie, and bytes that come in pieces.

use std::pin::pin;
use std::task::{Context, Waker};

use tokio::io::AsyncWriteExt as _;

use super::backend::{Backend, Fault};
use super::{ask, complete, described, echo, message, pair, ready, row, run};
use crate::{Kind, Limits, Sharing};

fn answer(tag: &str) -> Vec<u8> {
    let parsed = [
        message(b'1', b""),
        message(b't', b"\0\x01\0\0\0\x19"),
        described(&["value"]),
    ];
    let executed = [
        message(b'2', b""),
        row(&[tag]),
        complete("SELECT 1"),
        ready(),
    ];
    [parsed.concat(), executed.concat()].concat()
}

#[test]
fn a_length_that_no_message_can_have_ends_the_connection() {
    let limits = Limits {
        message_max: 1000,
        ..Limits::default()
    };
    for length in [0, 1, 2, 3, 1001, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff_u32] {
        for tag in *b"DZETCNSA1\0\xff" {
            run(async {
                let (client, driver, mut server) = pair(&limits);
                client.catalog().keep(echo());
                server.write_all(&[tag]).await.unwrap();
                server.write_all(&length.to_be_bytes()).await.unwrap();
                let (answer, ended) = tokio::join!(ask(&client, "a", Sharing::Own), driver);
                let error = answer.unwrap_err();
                assert_eq!(error.kind(), Kind::Protocol, "{error}");
                assert!(
                    error.sent() && ended.to_string().contains("announced"),
                    "{ended}"
                );
            });
        }
    }
}

#[test]
fn an_announced_gigabyte_is_not_reserved() {
    run(async {
        let (client, driver, mut server) = pair(&Limits::default());
        client.catalog().keep(echo());
        let mut driver = pin!(driver);
        let mut question = pin!(ask(&client, "a", Sharing::Own));
        let mut context = Context::from_waker(Waker::noop());
        assert!(question.as_mut().poll(&mut context).is_pending());
        server.write_all(&message(b'1', b"")).await.unwrap();
        server.write_all(b"T\x3f\xff\xff\xff").await.unwrap();
        for _ in 0..100 {
            server.write_all(&[0; 1000]).await.unwrap();
            tokio::task::yield_now().await;
            assert!(driver.as_mut().poll(&mut context).is_pending());
        }
        let room = driver.as_mut().get_mut().read.capacity();
        assert!(room < 1_000_000, "{room} bytes are reserved");
        server.shutdown().await.unwrap();
        driver.await;
        let error = question.await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Closed, true));
    });
}

#[test]
fn an_answer_that_breaks_off_at_any_byte_is_no_answer() {
    let whole = answer("a");
    for length in 0..whole.len() {
        run(async {
            let (client, driver, mut server) = pair(&Limits::default());
            client.catalog().keep(echo());
            server.write_all(&whole[..length]).await.unwrap();
            server.shutdown().await.unwrap();
            // The question is asked before the driver looks at the answer.
            let (answer, _ended) = tokio::join!(biased; ask(&client, "a", Sharing::Own), driver);
            let error = answer.unwrap_err();
            assert_eq!(
                (error.kind(), error.sent()),
                (Kind::Closed, true),
                "{length}"
            );
            assert_eq!(client.in_flight(), 0);
        });
    }
}

#[test]
fn an_answer_in_slices_of_any_length_is_an_answer() {
    let whole = answer("a");
    for slice in 1..whole.len() {
        run(async {
            let (client, driver, mut server) = pair(&Limits::default());
            tokio::spawn(driver);
            client.catalog().keep(echo());
            let play = async {
                for slice in whole.chunks(slice) {
                    server.write_all(slice).await.unwrap();
                    tokio::task::yield_now().await;
                }
            };
            let (answer, ()) = tokio::join!(biased; ask(&client, "a", Sharing::Own), play);
            assert_eq!(answer.unwrap(), ["a"]);
        });
    }
}

/// The socket takes little at a time, so that requests are written in pieces too.
#[test]
fn requests_larger_than_the_socket_takes_arrive_whole() {
    run(async {
        let (client, driver, stream) = pair(&Limits::default());
        tokio::spawn(driver);
        let server = tokio::spawn(async move {
            let mut backend = Backend::new(stream, Fault::None);
            backend.serve().await;
        });
        let large = "x".repeat(3_000_000);
        let ask = |sharing| ask(&client, &large, sharing);
        let (a, b, c) = tokio::join!(
            ask(Sharing::Own),
            ask(Sharing::Shared),
            ask(Sharing::Shared)
        );
        for answer in [a, b, c] {
            assert_eq!(answer.unwrap(), [large.as_str()]);
        }
        drop(client);
        server.await.unwrap();
    });
}
