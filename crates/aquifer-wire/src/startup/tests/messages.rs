use std::sync::{Arc, Mutex};

use super::peer::{LyingServer, error, message, parameter, ready, request, welcome};
use super::{open_any, open_at, refusal};
use crate::Kind;
use crate::startup::send_cancel;

#[tokio::test]
async fn what_the_server_reports_is_kept() {
    let notice = message(b'N', b"SWARNING\0VWARNING\0C01000\0Mbeware\0\0");
    let more = [
        parameter("server_version", "15.3"),
        parameter("client_encoding", "UTF8"),
        notice.clone(),
        message(b'v', &[0, 3, 0, 0, 0, 0, 0, 0]),
    ];
    let early = parameter("TimeZone", "UTC");
    let server = LyingServer::says([welcome(&more.concat()), early.clone()].concat()).await;
    let opened = open_at(&server, "").await.unwrap();
    assert_eq!(opened.process_id, 7);
    assert_eq!(opened.secret_key, [1, 2, 3, 4]);
    assert_eq!(opened.parameters["server_version"], "15.3");
    assert_eq!(
        opened.unread,
        [notice, early].concat(),
        "left for the session"
    );
}

#[tokio::test]
async fn a_pooler_without_a_cancel_key_is_fine() {
    let server = LyingServer::says([request(0, b""), ready()].concat()).await;
    let opened = open_at(&server, "").await.unwrap();
    assert_eq!((opened.process_id, opened.secret_key.len()), (0, 0));
}

#[tokio::test]
async fn the_start_up_message_has_the_settings() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let copy = Arc::clone(&seen);
    let server = LyingServer::start(move |_, mut peer| {
        let copy = Arc::clone(&copy);
        async move {
            let message = peer.startup().await;
            *copy.lock().unwrap() = message;
            peer.send(&welcome(b"")).await;
        }
    })
    .await;
    let config = server.config("fallback_application_name=fall options='-c a=b'");
    let settings = [("default_transaction_read_only", "on")];
    open_any(&config, &settings).await.unwrap();
    let text = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
    assert_eq!(
        text,
        "\0\x03\0\0user\0u\0database\0u\0client_encoding\0UTF8\0application_name\0fall\0\
         options\0-c a=b\0default_transaction_read_only\0on\0\0"
    );
    let settings = [("application_name", "a\0user\0root")];
    let error = open_any(&config, &settings).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
}

#[tokio::test]
async fn messages_that_have_no_place_or_no_sense_end_it() {
    let endless: Vec<_> = (0..40)
        .flat_map(|number| parameter(&format!("p{number}"), &"x".repeat(40_000)))
        .collect();
    let cases = [
        ("huge", b"R\x7f\xff\xff\xff".to_vec()),
        ("above the limit", b"R\x00\x01\x00\x01".to_vec()),
        ("length below 4", b"R\x00\x00\x00\x03".to_vec()),
        ("negative length", b"R\xff\xff\xff\xff".to_vec()),
        ("http", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("unknown tag", message(b'!', b"")),
        ("no authentication", ready()),
        ("truncated request", message(b'R', b"\0")),
        (
            "row before ready",
            [request(0, b""), message(b'D', b"\0\0")].concat(),
        ),
        (
            "second AuthenticationOk",
            [request(0, b""), request(0, b"")].concat(),
        ),
        (
            "unreadable parameter",
            [request(0, b""), message(b'S', b"a")].concat(),
        ),
        (
            "unreadable version",
            [request(0, b""), message(b'v', b"")].concat(),
        ),
        ("endless", [request(0, b""), endless].concat()),
    ];
    for (name, bytes) in cases {
        let server = LyingServer::says(bytes).await;
        let error = refusal(&server, "").await;
        assert_eq!(error.kind(), Kind::Protocol, "{name}: {error}");
        let place = server.address().to_string();
        assert!(error.to_string().starts_with(&place), "{name}: {error}");
    }
}

#[tokio::test]
async fn an_error_of_the_server_is_carried_on() {
    for (code, kind) in [
        ("28P01", Kind::Authentication),
        ("28000", Kind::Authentication),
        ("53300", Kind::Connect),
        ("57P03", Kind::Connect),
        ("3D000", Kind::Connect),
    ] {
        for before in [b"".to_vec(), request(0, b"")] {
            let server = LyingServer::says([before, error(code)].concat()).await;
            let error = refusal(&server, "").await;
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.sqlstate().unwrap().code(), code);
            assert!(!error.sent());
        }
    }
}

#[tokio::test]
async fn a_server_that_closes_or_knows_no_option_is_no_server_for_us() {
    let server = LyingServer::start(|_, mut peer| async move {
        peer.startup().await;
    })
    .await;
    let error = refusal(&server, "").await;
    assert_eq!(error.kind(), Kind::Connect, "{error}");
    let unknown = message(b'v', b"\0\x03\0\0\0\0\0\x01_pq_.x\0");
    let server = LyingServer::says(unknown).await;
    let error = refusal(&server, "").await;
    assert_eq!(error.kind(), Kind::Connect, "{error}");
}

#[tokio::test]
async fn text_must_be_utf8() {
    let server = LyingServer::says(welcome(&parameter("client_encoding", "LATIN1"))).await;
    let error = refusal(&server, "").await;
    assert!(error.to_string().contains("client_encoding"), "{error}");
}

#[tokio::test]
async fn a_cancel_request_has_the_key_and_waits_for_the_end() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let copy = Arc::clone(&seen);
    let server = LyingServer::start(move |number, mut peer| {
        let copy = Arc::clone(&copy);
        async move {
            let message = peer.startup().await;
            match number {
                0 => peer.send(&welcome(b"")).await,
                1 => *copy.lock().unwrap() = message,
                _ => drop(peer.rest().await),
            }
        }
    })
    .await;
    let opened = open_at(&server, "").await.unwrap();
    send_cancel(&opened.cancel, 7, &[1, 2, 3, 4, 5])
        .await
        .unwrap();
    let expected = [&[4, 210, 22, 46], [0, 0, 0, 7].as_slice(), &[1, 2, 3, 4, 5]].concat();
    assert_eq!(*seen.lock().unwrap(), expected);
    let error = send_cancel(&opened.cancel, 7, &[1]).await.unwrap_err();
    assert_eq!(
        error.kind(),
        Kind::Timeout,
        "a server that does not close is not waited for"
    );
}
