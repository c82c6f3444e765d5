//! COPY and portals against a server that says the wrong thing, or nothing more.

use std::future::Future;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::{complete, error, message, pair, ready, row, run};
use crate::{Client, Error, Kind, Limits, Sharing};

/// What is wrong, and the messages.
type Case = (&'static str, Vec<Vec<u8>>);

fn begun(tag: u8) -> Vec<u8> {
    [
        message(b'1', b""),
        message(b'2', b""),
        message(tag, b"\0\0\0"),
    ]
    .concat()
}

fn data(text: &[u8]) -> Vec<u8> {
    message(b'd', text)
}

/// What `client` gets when the server says `bytes` to its first request and then closes.
fn outcome<F, T>(bytes: &[u8], client: impl FnOnce(Client) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    run(async {
        let (session, driver, mut server) = pair(&Limits::default());
        let play = async {
            let mut sent = [0; 4096];
            assert!(server.read(&mut sent).await.unwrap() > 0);
            server.write_all(bytes).await.unwrap();
            // Held open for what the client still sends, and closed when it has said all.
            let mut rest = Vec::new();
            drop(
                tokio::time::timeout(
                    std::time::Duration::from_millis(50),
                    server.read_to_end(&mut rest),
                )
                .await,
            );
            drop(server);
        };
        let (_ended, outcome, ()) = tokio::join!(driver, client(session), play);
        outcome
    })
}

/// What a COPY from the client gets when the server answers its end with `end`.
fn inserted(end: &[u8]) -> Result<u64, Error> {
    run(async {
        let (client, driver, mut server) = pair(&Limits::default());
        let play = async {
            read_until(&mut server, b"H\0\0\0\x04").await;
            server.write_all(&begun(b'G')).await.unwrap();
            read_until(&mut server, b"S\0\0\0\x04").await;
            server.write_all(end).await.unwrap();
            server
        };
        let (_ended, outcome, _server) = tokio::join!(driver, into(client), play);
        outcome
    })
}

async fn out(client: Client) -> Result<Vec<u8>, Error> {
    let mut copy = client.copy_out("copy t to stdout", Sharing::Own).await?;
    let mut all = Vec::new();
    while let Some(bytes) = copy.next().await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

async fn into(client: Client) -> Result<u64, Error> {
    let mut copy = client.copy_in("copy t from stdin", Sharing::Own).await?;
    copy.send(b"1\n").await?;
    copy.finish().await
}

#[test]
fn a_whole_copy_each_way() {
    let end = [complete("COPY 2"), ready()].concat();
    let outward = [
        begun(b'H'),
        data(b"a\n"),
        data(b"b\n"),
        message(b'c', b""),
        end.clone(),
    ];
    assert_eq!(outcome(&outward.concat(), out).unwrap(), b"a\nb\n");
    assert_eq!(inserted(&end).unwrap(), 2);
}

#[test]
fn what_a_copy_does_not_expect_ends_the_connection() {
    let cases: [Case; 7] = [
        ("begun twice", vec![begun(b'H'), message(b'H', b"\0\0\0")]),
        (
            "begun both ways",
            vec![begun(b'H'), message(b'G', b"\0\0\0")],
        ),
        (
            "no format",
            vec![message(b'1', b""), message(b'2', b""), message(b'H', b"")],
        ),
        (
            "an unknown format",
            vec![
                message(b'1', b""),
                message(b'2', b""),
                message(b'H', b"\x07\0\0"),
            ],
        ),
        (
            "begun before it was bound",
            vec![message(b'1', b""), message(b'H', b"\0\0\0")],
        ),
        (
            "an end before the beginning",
            vec![message(b'1', b""), message(b'2', b""), message(b'c', b"")],
        ),
        ("ready before the end", vec![begun(b'H'), ready()]),
    ];
    for (name, messages) in cases {
        let error = outcome(&messages.concat(), out).expect_err(name);
        assert_eq!(error.kind(), Kind::Protocol, "{name}: {error}");
    }
    let refused = [error("ERROR", "42P01"), data(b"x")].concat();
    assert!(outcome(&refused, out).is_err());
}

#[test]
fn an_end_without_a_count_or_without_data_is_an_error() {
    let end = [complete("COPY"), ready()].concat();
    let error = inserted(&end).unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol, "{error}");
    let early = [begun(b'G'), complete("COPY 0"), ready()].concat();
    let error = outcome(&early, into).unwrap_err();
    assert_eq!(error.kind(), Kind::Protocol, "{error}");
    // No COPY at all, though it was asked for.
    let other = [
        message(b'1', b""),
        message(b'2', b""),
        complete("SELECT 0"),
        ready(),
    ];
    for error in [
        outcome(&other.concat(), into).unwrap_err(),
        outcome(&other.concat(), out).unwrap_err(),
        outcome(&begun(b'H'), into).unwrap_err(),
    ] {
        assert!(
            matches!(error.kind(), Kind::Limit | Kind::Closed),
            "{error}"
        );
    }
}

#[test]
fn an_error_midway_comes_behind_the_data_before_it() {
    let midway = [begun(b'H'), data(b"a\n"), error("ERROR", "22012"), ready()];
    run(async {
        let (client, driver, mut server) = pair(&Limits::default());
        let play = async {
            let mut sent = [0; 4096];
            assert!(server.read(&mut sent).await.unwrap() > 0);
            server.write_all(&midway.concat()).await.unwrap();
            server
        };
        let copy = async {
            let mut copy = client
                .copy_out("copy t to stdout", Sharing::Own)
                .await
                .unwrap();
            let error = client.barrier().await.unwrap_err();
            assert_eq!(error.kind(), Kind::Busy);
            assert_eq!(copy.next().await.unwrap().as_deref(), Some(&b"a\n"[..]));
            let error = copy.next().await.unwrap_err();
            assert_eq!(error.kind(), Kind::Database);
            assert!(copy.next().await.unwrap().is_none());
            assert_eq!(client.in_flight(), 0);
            client.close();
        };
        let (_ended, (), _server) = tokio::join!(driver, copy, play);
    });
}

/// Reads until the messages of the client hold `wanted`.
async fn read_until(server: &mut UnixStream, wanted: &[u8]) -> Vec<u8> {
    let mut sent = Vec::new();
    while !sent.windows(wanted.len()).any(|window| window == wanted) {
        assert!(server.read_buf(&mut sent).await.unwrap() > 0);
    }
    sent
}

#[test]
fn a_dropped_copy_is_failed_with_one_sync_and_the_next_request_follows() {
    run(async {
        let (client, driver, mut server) = pair(&Limits::default());
        let play = async {
            let sent = read_until(&mut server, b"H\0\0\0\x04").await;
            assert!(!sent.ends_with(b"S\0\0\0\x04"), "no Sync before the end");
            server.write_all(&begun(b'G')).await.unwrap();
            let sent = read_until(&mut server, b"S\0\0\0\x04").await;
            assert!(sent.windows(5).any(|window| window == b"d\0\0\0\x06"));
            assert!(sent.contains(&b'f'), "CopyFail");
            let failed = [error("ERROR", "57014"), ready(), ready()].concat();
            server.write_all(&failed).await.unwrap();
            server
        };
        let caller = async {
            let mut copy = client
                .copy_in("copy t from stdin", Sharing::Own)
                .await
                .unwrap();
            copy.send(b"1\n").await.unwrap();
            drop(copy);
            // Its answer is the second ReadyForQuery.
            client.barrier().await.unwrap();
            client.close();
        };
        let (_ended, (), _server) = tokio::join!(driver, caller, play);
    });
}

#[test]
fn a_portal_takes_rows_without_being_bound_again() {
    run(async {
        let (client, driver, mut server) = pair(&Limits::default());
        let statement = super::echo();
        let play = async {
            read_until(&mut server, b"S\0\0\0\x04").await;
            let parsed = [
                message(b'1', b""),
                message(b't', b"\0\x01\0\0\0\x19"),
                super::described(&["value"]),
                message(b'2', b""),
                row(&["a"]),
                message(b's', b""),
                ready(),
            ];
            server.write_all(&parsed.concat()).await.unwrap();
            read_until(&mut server, b"S\0\0\0\x04").await;
            let more = [row(&["b"]), error("ERROR", "22012"), ready()];
            server.write_all(&more.concat()).await.unwrap();
            server
        };
        let caller = async {
            let opened = client
                .open_portal(&statement, &("x",), 1, Sharing::Own)
                .await;
            let (mut portal, fetched) = opened.unwrap();
            assert!(fetched.more);
            assert_eq!(fetched.reply.len(), 1);
            let fetched = client.fetch(&mut portal, 1, Sharing::Own).await.unwrap();
            assert_eq!(fetched.reply.len(), 1, "the row before the error");
            let failure = fetched.failure.expect("the error behind it");
            assert_eq!(failure.kind(), Kind::Database);
            client.close();
        };
        let (_ended, (), _server) = tokio::join!(driver, caller, play);
    });
}
