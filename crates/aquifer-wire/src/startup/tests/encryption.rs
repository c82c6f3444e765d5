use std::sync::{Arc, Mutex};

use super::files::TemporaryFile;
use super::peer::{LyingServer, error, welcome};
use super::{open_at, refusal};
use crate::Kind;

type Record = Arc<Mutex<Vec<Vec<u8>>>>;

const TLS_REQUEST: &[u8] = &[4, 210, 22, 47];

/// Answers a request for TLS with `answer`; in clear text it lets the client in, or refuses it
/// with `refusal`. Records what each connection sent after that.
async fn server(answer: &'static [u8], refusal: Option<&'static str>) -> (LyingServer, Record) {
    let record = Record::default();
    let copy = Arc::clone(&record);
    let server = LyingServer::start(move |_, mut peer| {
        let copy = Arc::clone(&copy);
        async move {
            let mut first = peer.startup().await;
            if first == TLS_REQUEST {
                copy.lock().unwrap().push(first);
                peer.send(answer).await;
                if answer != b"N" {
                    return;
                }
                first = peer.startup().await;
            }
            copy.lock().unwrap().push(first);
            peer.send(&refusal.map_or_else(|| welcome(b""), error))
                .await;
        }
    })
    .await;
    (server, record)
}

fn kinds(record: &Record) -> Vec<&'static str> {
    let record = record.lock().unwrap();
    let kind = |message: &Vec<u8>| match message.as_slice() {
        TLS_REQUEST => Some("tls?"),
        // The client went away instead.
        [] => None,
        _ => Some("clear"),
    };
    record.iter().filter_map(kind).collect()
}

#[tokio::test]
async fn without_tls_at_the_server_only_weak_modes_get_in() {
    for (mode, expected) in [
        ("disable", vec!["clear"]),
        ("allow", vec!["clear"]),
        ("prefer", vec!["tls?", "clear"]),
    ] {
        let (server, record) = server(b"N", None).await;
        open_at(&server, &format!("sslmode={mode}")).await.unwrap();
        assert_eq!(kinds(&record), expected, "{mode}");
    }
    let authority = rcgen::generate_simple_self_signed(vec!["db".to_owned()]).unwrap();
    let file = TemporaryFile::new(&authority.cert.pem());
    let roots = file.path().display();
    for mode in ["require", "verify-ca", "verify-full"] {
        let (server, record) = server(b"N", None).await;
        let error = refusal(&server, &format!("sslmode={mode} sslrootcert={roots}")).await;
        assert_eq!(error.kind(), Kind::Tls, "{mode}: {error}");
        server.served(1).await;
        assert_eq!(kinds(&record), ["tls?"], "{mode}");
    }
}

#[tokio::test]
async fn clear_text_behind_the_answer_is_an_attack() {
    for answer in [b"Sx".as_slice(), b"SR\0\0\0\x08\0\0\0\0", b"Nx"] {
        for mode in ["prefer", "require"] {
            let (server, record) = server(answer, None).await;
            let error = refusal(&server, &format!("sslmode={mode}")).await;
            assert_eq!(error.kind(), Kind::Protocol, "{error}");
            server.served(1).await;
            assert_eq!(kinds(&record), ["tls?"]);
        }
    }
}

#[tokio::test]
async fn an_error_instead_of_an_answer_is_not_believed() {
    let text = b"E\0\0\0\x19SFATAL\0Msend money to X\0\0";
    let (strict, _) = server(text, None).await;
    let error = refusal(&strict, "sslmode=require").await;
    assert_eq!(error.kind(), Kind::Tls);
    assert!(error.database().is_none() && !format!("{error:?}").contains("money"));
    let (lax, record) = server(text, None).await;
    open_at(&lax, "sslmode=prefer").await.unwrap();
    assert_eq!(kinds(&record), ["tls?", "clear"]);
}

#[tokio::test]
async fn a_peer_that_knows_no_tls_request_is_no_server() {
    let (server, _) = server(b"HTTP/1.1 400", None).await;
    let error = refusal(&server, "sslmode=require").await;
    assert_eq!(error.kind(), Kind::Protocol, "{error}");
}

#[tokio::test]
async fn a_failed_handshake_leads_to_clear_text_only_with_prefer() {
    let (lax, record) = server(b"S", None).await;
    open_at(&lax, "sslmode=prefer").await.unwrap();
    assert_eq!(kinds(&record), ["tls?", "clear"]);
    let (strict, record) = server(b"S", None).await;
    let error = refusal(&strict, "sslmode=require").await;
    assert_eq!(error.kind(), Kind::Tls, "{error}");
    strict.served(1).await;
    assert_eq!(kinds(&record), ["tls?"]);
}

#[tokio::test]
async fn only_a_missing_line_in_pg_hba_is_a_reason_to_try_the_other_way() {
    for (code, mode, expected) in [
        ("28000", "allow", vec!["clear", "tls?"]),
        ("28P01", "allow", vec!["clear"]),
        ("28000", "prefer", vec!["tls?", "clear"]),
        ("28000", "disable", vec!["clear"]),
    ] {
        let (server, record) = server(b"N", Some(code)).await;
        let error = refusal(&server, &format!("sslmode={mode}")).await;
        assert_eq!(error.sqlstate().unwrap().code(), code, "{mode}: {error}");
        server
            .served(if mode == "allow" && code == "28000" {
                2
            } else {
                1
            })
            .await;
        assert_eq!(kinds(&record), expected, "{mode} {code}");
    }
}
