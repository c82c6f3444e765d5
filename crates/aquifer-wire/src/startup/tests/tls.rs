use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::certificates::{Authority, Dates, Identity};
use super::files::TemporaryFile;
use super::peer::{LyingServer, welcome};
use super::{open_any, open_at, refusal};
use crate::Kind;
use crate::startup::send_cancel;

const NAMES: &[&str] = &["localhost", "127.0.0.1"];

/// A server that lets everybody in over TLS; without TLS nobody.
async fn server(acceptor: TlsAcceptor, direct: bool) -> (LyingServer, Arc<Mutex<Vec<u8>>>) {
    let last = Arc::new(Mutex::new(Vec::new()));
    let copy = Arc::clone(&last);
    let server = LyingServer::start(move |_, mut peer| {
        let (acceptor, copy) = (acceptor.clone(), Arc::clone(&copy));
        async move {
            if !direct {
                peer.startup().await;
                peer.send(b"S").await;
            }
            let Ok(mut stream) = acceptor.accept(peer.into_stream()).await else {
                return;
            };
            let mut message = vec![0; 1024];
            let length = stream.read(&mut message).await.unwrap_or_default();
            message.truncate(length);
            *copy.lock().unwrap() = message;
            let _gone = stream.write_all(&welcome(b"")).await;
            let _gone = stream.shutdown().await;
        }
    })
    .await;
    (server, last)
}

async fn plain_server(identity: &Identity) -> LyingServer {
    server(identity.server(&identity.key, &[]), false).await.0
}

/// What a client says to a server with `identity`: `Ok`, or the text of a TLS error.
async fn verdict(identity: &Identity, roots: &TemporaryFile, text: &str) -> Result<(), String> {
    let server = plain_server(identity).await;
    let roots = roots.path().display();
    let text = format!("sslrootcert={roots} hostaddr=127.0.0.1 {text}");
    match open_at(&server, &text).await {
        Ok(opened) => {
            assert!(opened.transport.is_encrypted());
            Ok(())
        }
        Err(error) => {
            assert_eq!(error.kind(), Kind::Tls, "{error}");
            // One connection, and on it no more than the handshake.
            server.served(1).await;
            Err(error.to_string())
        }
    }
}

#[tokio::test]
async fn only_verify_full_insists_on_the_name() {
    let authority = Authority::new();
    let roots = authority.file();
    let good = authority.sign(NAMES, Dates::Now);
    for text in [
        "sslmode=verify-full host=127.0.0.1",
        "sslmode=verify-full host=localhost",
        "sslmode=verify-full host=",
        "sslmode=verify-ca host=db.example.com",
        "sslmode=require host=db.example.com",
    ] {
        verdict(&good, &roots, text).await.expect(text);
    }
    for host in ["db.example.com", "127.0.0.2"] {
        let text = format!("sslmode=verify-full host={host}");
        let refusal = verdict(&good, &roots, &text).await.unwrap_err();
        let expected = format!("not for the host {host}, but for localhost, 127.0.0.1");
        assert!(refusal.contains(&expected), "{refusal}");
    }
    let nameless = authority.sign(&[], Dates::Now);
    let refusal = verdict(&nameless, &roots, "sslmode=verify-full")
        .await
        .unwrap_err();
    assert!(refusal.contains("no name at all"), "{refusal}");
    verdict(&nameless, &roots, "sslmode=verify-ca")
        .await
        .unwrap();
}

#[tokio::test]
async fn every_mode_with_authorities_refuses_others() {
    let identity = Authority::new().sign(NAMES, Dates::Now);
    let stranger = Authority::named("another").file();
    let namesake = Authority::new().file();
    for mode in ["verify-full", "verify-ca", "require", "prefer"] {
        let text = format!("sslmode={mode}");
        let refusal = verdict(&identity, &stranger, &text).await.unwrap_err();
        assert!(refusal.contains("an authority in sslrootcert"), "{refusal}");
        let refusal = verdict(&identity, &namesake, &text).await.unwrap_err();
        assert!(refusal.contains("another key"), "{refusal}");
    }
}

#[tokio::test]
async fn dates_count() {
    let authority = Authority::new();
    let roots = authority.file();
    for (dates, expected) in [(Dates::Past, "expired"), (Dates::Future, "not valid yet")] {
        let identity = authority.sign(NAMES, dates);
        for mode in ["verify-full", "verify-ca", "require"] {
            let text = format!("sslmode={mode}");
            let refusal = verdict(&identity, &roots, &text).await.unwrap_err();
            assert!(refusal.contains(expected), "{refusal}");
        }
    }
}

#[tokio::test]
async fn a_copied_certificate_is_worth_nothing_without_its_key() {
    let authority = Authority::new();
    let roots = authority.file();
    let good = authority.sign(NAMES, Dates::Now);
    let thief = good.server(&authority.sign(NAMES, Dates::Now).key, &[]);
    let verify = format!("verify-full sslrootcert={}", roots.path().display());
    for mode in ["prefer", "require", &verify] {
        let (server, _) = server(thief.clone(), false).await;
        let error = refusal(&server, &format!("sslmode={mode}")).await;
        assert_eq!(error.kind(), Kind::Tls, "{mode}: {error}");
    }
}

#[tokio::test]
async fn without_verification_any_certificate_does() {
    for identity in [
        Authority::named("another").sign(&["elsewhere"], Dates::Past),
        Identity::self_signed(&["elsewhere"], Dates::Now),
    ] {
        for mode in ["prefer", "require"] {
            let server = plain_server(&identity).await;
            let opened = open_at(&server, &format!("sslmode={mode}")).await.unwrap();
            assert!(opened.transport.is_encrypted());
        }
    }
}

#[tokio::test]
async fn an_unknown_authority_without_sslrootcert_is_refused_with_the_remedy() {
    let identity = Authority::new().sign(NAMES, Dates::Now);
    let server = plain_server(&identity).await;
    let error = refusal(&server, "sslmode=verify-full").await;
    // A machine without any system certificates is told the same.
    assert!(matches!(error.kind(), Kind::Tls | Kind::Config), "{error}");
    assert!(error.to_string().contains("set sslrootcert"), "{error}");
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_if_it_is_listed_itself() {
    let identity = Identity::self_signed(NAMES, Dates::Now);
    let file = identity.file();
    let pinned = format!("sslrootcert={}", file.path().display());
    let server = plain_server(&identity).await;
    open_at(&server, &format!("sslmode=verify-full {pinned}"))
        .await
        .unwrap();
    let wrong_host = format!("sslmode=verify-full {pinned} host=db hostaddr=127.0.0.1");
    assert_eq!(refusal(&server, &wrong_host).await.kind(), Kind::Tls);
    let stranger = Authority::new().file();
    let text = format!(
        "sslmode=verify-full sslrootcert={}",
        stranger.path().display()
    );
    let error = refusal(&server, &text).await;
    assert!(error.to_string().contains("very certificate"), "{error}");
    for (dates, expected) in [(Dates::Past, "expired"), (Dates::Future, "not valid yet")] {
        let identity = Identity::self_signed(NAMES, dates);
        let file = identity.file();
        let server = plain_server(&identity).await;
        let text = format!("sslmode=verify-ca sslrootcert={}", file.path().display());
        let error = refusal(&server, &text).await;
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_server_can_ask_for_our_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let identity = authority.sign(NAMES, Dates::Now);
    let client = clients.sign(&["u"], Dates::Now);
    let (certificate, key) = (client.file(), client.key_file());
    let (server, _) = server(identity.server_for(&clients), false).await;
    let with = |certificate: &TemporaryFile, key: &TemporaryFile| {
        format!(
            "sslmode=require sslcert={} sslkey={}",
            certificate.path().display(),
            key.path().display()
        )
    };
    open_at(&server, &with(&certificate, &key)).await.unwrap();
    let error = refusal(&server, "sslmode=require").await;
    assert_eq!(error.kind(), Kind::Tls, "{error}");
    let strangers = authority.sign(&["u"], Dates::Now).key_file();
    for (text, expected) in [
        (with(&certificate, &strangers), "sslkey is not the key"),
        (
            with(&certificate, &certificate),
            "no unencrypted private key",
        ),
        (with(&key, &key), "no certificate in PEM form"),
        (
            with(&certificate, &key).replace("sslkey=", "sslkey=/none"),
            "No such file",
        ),
        (
            "sslmode=verify-ca sslrootcert=/dev/null".to_owned(),
            "no certificate in PEM form",
        ),
    ] {
        let error = refusal(&server, &text).await;
        assert_eq!(error.kind(), Kind::Config, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn certificates_are_read_once_until_they_are_reloaded() {
    let authority = Authority::new();
    let identity = authority.sign(NAMES, Dates::Now);
    let server = plain_server(&identity).await;
    let roots = authority.file();
    let text = format!("sslmode=verify-full sslrootcert={}", roots.path().display());
    let config = server.config(&text);
    open_any(&config, &[]).await.unwrap();
    drop(roots);
    let copy = config.clone();
    open_any(&copy, &[]).await.unwrap();
    config.reload_certificates();
    let error = open_any(&copy, &[]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Config, "{error}");
}

#[tokio::test]
async fn direct_tls_needs_a_server_that_agrees_on_the_protocol() {
    let authority = Authority::new();
    let roots = authority.file();
    let identity = authority.sign(NAMES, Dates::Now);
    let text = format!(
        "sslmode=verify-full sslnegotiation=direct sslrootcert={}",
        roots.path().display()
    );
    let (new, _) = server(identity.server(&identity.key, &[b"postgresql"]), true).await;
    let opened = open_at(&new, &text).await.unwrap();
    assert!(opened.transport.is_encrypted());
    for protocols in [[].as_slice(), &[b"http/1.1".as_slice()]] {
        let (old, _) = server(identity.server(&identity.key, protocols), true).await;
        let error = refusal(&old, &text).await;
        assert_eq!(error.kind(), Kind::Tls, "{error}");
    }
}

#[tokio::test]
async fn a_cancel_request_goes_through_the_same_tls() {
    let authority = Authority::new();
    let roots = authority.file();
    let identity = authority.sign(NAMES, Dates::Now);
    let (server, last) = server(identity.server(&identity.key, &[]), false).await;
    let text = format!("sslmode=verify-full sslrootcert={}", roots.path().display());
    let opened = open_at(&server, &text).await.unwrap();
    send_cancel(&opened.cancel, 7, &[1, 2, 3, 4]).await.unwrap();
    server.served(2).await;
    let expected = [0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 7, 1, 2, 3, 4];
    assert_eq!(*last.lock().unwrap(), expected);
}
