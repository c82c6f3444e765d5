use std::sync::{Arc, Mutex};

use super::peer::{LyingServer, request, welcome};
use super::{open_any, open_at, refusal};
use crate::config::AuthMethod;
use crate::startup::authentication::Login;
use crate::{Config, Kind};

/// A server that asks with `bytes`, if need be after refusing TLS, and records what the client
/// answers before it goes.
async fn asks(bytes: Vec<u8>, refuses_tls: bool) -> (LyingServer, Arc<Mutex<Vec<u8>>>) {
    let answer = Arc::new(Mutex::new(b"nothing yet".to_vec()));
    let copy = Arc::clone(&answer);
    let server = LyingServer::start(move |_, mut peer| {
        let (bytes, copy) = (bytes.clone(), Arc::clone(&copy));
        async move {
            if refuses_tls {
                peer.startup().await;
                peer.send(b"N").await;
            }
            peer.startup().await;
            peer.send(&bytes).await;
            let rest = peer.rest().await;
            *copy.lock().unwrap() = rest;
        }
    })
    .await;
    (server, answer)
}

#[tokio::test]
async fn methods_that_we_do_not_speak_are_named() {
    for (number, name) in [
        (2, "Kerberos"),
        (6, "SCM"),
        (7, "GSSAPI"),
        (9, "SSPI"),
        (99, "unknown"),
    ] {
        let server = LyingServer::says(request(number, b"")).await;
        let error = refusal(&server, "").await;
        assert_eq!(error.kind(), Kind::Authentication);
        assert!(error.to_string().contains(name), "{error}");
    }
    let server = LyingServer::says(request(10, b"EXOTIC\0\0")).await;
    let error = refusal(&server, "").await;
    assert!(error.to_string().contains("SCRAM-SHA-256"), "{error}");
}

#[tokio::test]
async fn what_the_configuration_excludes_gets_no_answer() {
    let scram = request(10, b"SCRAM-SHA-256\0\0");
    let cases = [
        (request(3, b""), "require_auth=scram-sha-256"),
        (request(5, b"salt"), "require_auth=!md5"),
        (scram.clone(), "require_auth=password"),
        (request(0, b""), "require_auth=!none"),
        (request(0, b""), "channel_binding=require sslmode=prefer"),
        (request(3, b""), "channel_binding=require sslmode=prefer"),
        (scram, "channel_binding=require sslmode=prefer"),
        (request(3, b""), "password=''"),
    ];
    for (bytes, text) in cases {
        let (server, answer) = asks(bytes, text.contains("prefer")).await;
        let error = refusal(&server, text).await;
        assert_eq!(error.kind(), Kind::Authentication, "{text}: {error}");
        server.served(1).await;
        assert_eq!(*answer.lock().unwrap(), b"", "{text}: nothing may be sent");
    }
}

#[tokio::test]
async fn scram_ends_only_with_the_servers_proof() {
    let offer = request(10, b"SCRAM-SHA-256\0\0");
    let cases = [
        ("at once", vec![request(0, b"")], Kind::Authentication),
        ("by another way", vec![request(3, b"")], Kind::Protocol),
        (
            "too much work",
            vec![challenge("", 100_001)],
            Kind::Authentication,
        ),
        ("no work", vec![challenge("", 0)], Kind::Authentication),
        (
            "another nonce",
            vec![request(11, b"r=x,s=AAAA,i=1")],
            Kind::Protocol,
        ),
        ("no challenge", vec![request(11, b"\xff")], Kind::Protocol),
        (
            "no proof",
            vec![challenge("", 1), request(0, b"")],
            Kind::Authentication,
        ),
        (
            "a wrong proof",
            vec![challenge("", 1), request(12, b"v=AAAA")],
            Kind::Authentication,
        ),
        (
            "an error",
            vec![challenge("", 1), request(12, b"e=other-error")],
            Kind::Authentication,
        ),
    ];
    for (name, replies, kind) in cases {
        let offer = offer.clone();
        let server = LyingServer::start(move |_, mut peer| {
            let (offer, replies) = (offer.clone(), replies.clone());
            async move {
                peer.startup().await;
                peer.send(&offer).await;
                for reply in replies {
                    let message = String::from_utf8(peer.message().await).unwrap_or_default();
                    // The first one: the nonce is random, and may hold these letters too.
                    let nonce = message.split_once("r=").unwrap_or_default().1.to_owned();
                    peer.send(&with_nonce(&reply, &nonce)).await;
                }
                peer.send(&welcome(b"")).await;
                peer.rest().await;
            }
        })
        .await;
        let error = refusal(&server, "").await;
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

/// A challenge whose nonce is filled in by the server.
fn challenge(salt: &str, iterations: u32) -> Vec<u8> {
    request(
        11,
        format!("r=NONCE,s=AAAA{salt},i={iterations}").as_bytes(),
    )
}

fn with_nonce(reply: &[u8], nonce: &str) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(reply) else {
        return reply.to_vec();
    };
    let Some((_, attributes)) = text.split_once("r=NONCE") else {
        return reply.to_vec();
    };
    request(11, format!("r={nonce}more{attributes}").as_bytes())
}

#[tokio::test]
async fn the_password_is_sent_only_as_asked() {
    let (server, answer) = asks(request(3, b""), false).await;
    let config = server.config("connect_timeout=0.2");
    assert!(open_any(&config, &[]).await.is_err());
    server.served(1).await;
    assert_eq!(*answer.lock().unwrap(), b"p\0\0\0\x0bcanary\0");
    assert!(
        open_at(&LyingServer::says(welcome(b"")).await, "require_auth=none")
            .await
            .is_ok()
    );
}

#[test]
fn a_password_goes_in_clear_text_only_to_local_servers_or_on_demand() {
    let permitted = |text: &str, encrypted, local, method| {
        let config: Config = text.parse().unwrap();
        let login = Login {
            settings: &config.settings,
            user: "u",
            passfile: None,
            end_point: None,
            encrypted,
            local,
        };
        login.permit(method).is_ok()
    };
    for method in [AuthMethod::Password, AuthMethod::Md5] {
        assert!(!permitted("", false, false, method));
        assert!(!permitted("require_auth=!none", false, false, method));
        assert!(permitted("require_auth=password,md5", false, false, method));
        assert!(permitted("", true, false, method));
        assert!(permitted("", false, true, method));
    }
    assert!(permitted("", false, false, AuthMethod::ScramSha256));
    assert!(permitted("", false, false, AuthMethod::None));
}
