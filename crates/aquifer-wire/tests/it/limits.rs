//! What is refused before anything is sent, and what the server's own limits are.

use aquifer_wire::types::{ParamList, Params};
use aquifer_wire::{Client, Error, Kind, Sharing};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::database::{Database, row, run, server, session};

/// The largest length that a message to the server may announce.
const MESSAGE_MAX: usize = 0x3fff_fffe;

/// Refused without a byte sent, and the session goes on as if nothing had been.
async fn is_refused(client: &Client, kind: Kind, refused: Result<(), Error>) -> String {
    let error = refused.expect_err("beyond the limit");
    assert_eq!((error.kind(), error.sent()), (kind, false), "{error}");
    assert_eq!(client.in_flight(), 0);
    let next = row(client, "select 'next'", &()).await;
    assert_eq!(next.get::<String>(0).unwrap(), "next");
    assert!(client.ended().is_none());
    error.to_string()
}

/// Starts a session by hand and announces a query of `length` bytes; what the server logs.
async fn announce(length: u32) -> String {
    let mut stream = UnixStream::connect(server().socket()).await.unwrap();
    let parameters = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
    stream
        .write_all(&u32::try_from(parameters.len() + 4).unwrap().to_be_bytes())
        .await
        .unwrap();
    stream.write_all(parameters).await.unwrap();
    let mut process_id = 0;
    loop {
        let tag = stream.read_u8().await.unwrap();
        let body = stream.read_u32().await.unwrap() - 4;
        let mut body = vec![0; body.try_into().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        match tag {
            b'K' => process_id = u32::from_be_bytes(*body.first_chunk().unwrap()),
            b'Z' => break,
            b'E' => panic!("{}", String::from_utf8_lossy(&body)),
            _ => {}
        }
    }
    stream.write_all(b"Q").await.unwrap();
    stream.write_all(&length.to_be_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"", "the server says nothing to the client");
    let of_process = format!("[{process_id}]");
    let log = server().log();
    let lines = log.lines().filter(|line| line.contains(&of_process));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_limit_of_a_message_is_that_of_the_server() {
    let most = u32::try_from(MESSAGE_MAX).unwrap();
    let accepted = announce(most).await;
    assert!(accepted.contains("incomplete message"), "{accepted}");
    let refused = announce(most + 1).await;
    assert!(refused.contains("invalid message length"), "{refused}");
}

/// The gigabytes are zeroes that nobody looks at, so the system never has to provide them.
#[tokio::test]
async fn a_message_that_the_server_would_not_take_is_not_sent() {
    let client = session().await;
    let script = String::from_utf8(vec![0; MESSAGE_MAX]).unwrap();
    for refused in [client.script(&script).await, client.control(&script).await] {
        let text = is_refused(&client, Kind::Limit, refused.map(drop)).await;
        assert!(text.contains("script") && text.contains("split"), "{text}");
    }
    let value = vec![0_u8; MESSAGE_MAX];
    for sharing in [Sharing::Own, Sharing::Shared] {
        let refused = client.query("select $1::bytea", &(&value,), sharing).await;
        let text = is_refused(&client, Kind::Limit, refused.map(drop)).await;
        assert!(text.contains("$1") && text.contains("COPY"), "{text}");
    }
    let before: (&str, &(dyn Params + Sync)) = ("select 1", &());
    let refused = client
        .batch(&[before, ("select 2, $1::bytea", &(&value,))], Sharing::Own)
        .await;
    is_refused(&client, Kind::Limit, refused.map(drop)).await;
}

#[tokio::test]
async fn clean_up_that_can_not_be_sent_ends_the_session() {
    let client = session().await;
    client.control_detached("rollback\0");
    let error = client.barrier().await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (Kind::Closed, false));
}

#[tokio::test]
async fn a_statement_takes_65535_parameters() {
    let client = session().await;
    let list = |count: i32| (0..count).collect::<ParamList>();
    let text = |count: i32| {
        let places: Vec<String> = (1..=count).map(|place| format!("${place}")).collect();
        format!(
            "select count(*) from (select unnest(array[{}]::int[])) x",
            places.join(",")
        )
    };
    let most = row(&client, &text(65_535), &list(65_535)).await;
    assert_eq!(most.get::<i64>(0).unwrap(), 65_535);
    let refused = run(&client, &text(65_536), &list(65_536)).await;
    let reason = is_refused(&client, Kind::Limit, refused.map(drop)).await;
    assert!(
        reason.contains("65535") && reason.contains("UNNEST"),
        "{reason}"
    );
    let (text, params) = (text(65_536), list(65_536));
    let refused = client.batch(&[(&text, &params)], Sharing::Own).await;
    is_refused(&client, Kind::Limit, refused.map(drop)).await;
}

#[tokio::test]
async fn another_number_of_parameters_than_the_statement_takes_is_not_sent() {
    let client = session().await;
    run(&client, "select $1::int", &(1,)).await.unwrap();
    for params in [ParamList::new(), (0..2).collect(), (0..70_000).collect()] {
        let refused = run(&client, "select $1::int", &params).await;
        let text = is_refused(&client, Kind::Encode, refused.map(drop)).await;
        assert!(text.contains("takes 1, the call gives"), "{text}");
    }
}

#[tokio::test]
async fn a_nul_is_not_sent() {
    let client = session().await;
    for sharing in [Sharing::Own, Sharing::Shared] {
        let refused = client.query("select '\0'", &(), sharing).await;
        is_refused(&client, Kind::Limit, refused.map(drop)).await;
        let refused = client.query("select $1::text", &("a\0b",), sharing).await;
        is_refused(&client, Kind::Encode, refused.map(drop)).await;
    }
    let refused = client.script("select 1;\0").await;
    is_refused(&client, Kind::Limit, refused.map(drop)).await;
    let refused = client.batch(&[("select 1", &()), ("select '\0'", &())], Sharing::Own);
    is_refused(&client, Kind::Limit, refused.await.map(drop)).await;
}

#[tokio::test]
async fn an_answer_beyond_the_configured_maximum_ends_the_session_with_that_cause() {
    let mut database = Database::new();
    database.limits.message_max = 100_000;
    let client = database.connect().await;
    let fits = row(&client, "select repeat('x', 90000)", &()).await;
    assert_eq!(fits.get::<String>(0).unwrap().len(), 90_000);
    let error = run(&client, "select repeat('x', 100000)", &())
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.sent()), (Kind::Protocol, true));
    assert!(error.to_string().contains("maximum"), "{error}");
}
