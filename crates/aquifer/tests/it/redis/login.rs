//! R10: passwords and users change, certificates are wrong, and nothing is given away.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aquifer::{Config, Error, ErrorKind, Event, Redis, Secret, Status};
use aquifer_testkit::{Redis as Server, ServerCertificate, Tls};

use super::{PATIENCE, config, connect, end, get, heard, set, until_status};

/// An ACL user `app` with this password and no other.
fn allow(server: &Server, password: &str) {
    let password = format!(">{password}");
    server.command(&[
        "ACL",
        "SETUSER",
        "app",
        "resetpass",
        &password,
        "on",
        "~*",
        "+@all",
    ]);
}

fn url(server: &Server) -> String {
    format!("redis://app:canary@127.0.0.1:{}", server.port())
}

/// What the operator may read.
fn told(redis: &Redis, error: &Error) -> String {
    let source = std::error::Error::source(error);
    format!(
        "{redis:?} {:?} {error} {error:?} {source:?}",
        redis.status()
    )
}

#[tokio::test]
async fn a_wrong_password_fails_at_once_and_is_not_tried_all_the_time() {
    let server = Server::start();
    allow(&server, "right");
    let redis = connect(&url(&server)).await;
    let mut events = redis.events();
    let error = heard(&mut events, super::is_error).await;
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        let error = get(&redis, "a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
        assert_eq!(error.redis_code(), Some("WRONGPASS"));
        assert!(!told(&redis, &error).contains("canary"));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A second of calls: the first attempt, and one or two more; one more for each second beyond.
    let refused = server.command(&["INFO", "errorstats"]);
    let refused = refused.split("errorstat_WRONGPASS:count=").nth(1).unwrap();
    let refused: String = refused.chars().take_while(char::is_ascii_digit).collect();
    let most = 3 + begun.elapsed().as_secs();
    let refused: u64 = refused.parse().unwrap();
    assert!((1..=most).contains(&refused), "{refused}, at most {most}");
    allow(&server, "canary");
    heard(&mut events, super::is_recovery).await;
    set(&redis, "a", "1").await.unwrap();
    end(redis).await;

    let nobody = connect(&server.url()).await;
    server.command(&["ACL", "SETUSER", "default", "resetpass"]);
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    until_status(&nobody, Status::Down).await;
    let error = get(&nobody, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    assert_eq!(error.redis_code(), Some("NOAUTH"));
    end(nobody).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_password_is_asked_for_once_and_callers_do_not_notice() {
    let server = Server::start();
    allow(&server, "canary-1");
    let password = Arc::new(Mutex::new("canary-1".to_owned()));
    let asked = Arc::new(AtomicUsize::new(0));
    let (answer, count) = (Arc::clone(&password), Arc::clone(&asked));
    let config = config(&format!("redis://app@127.0.0.1:{}", server.port()));
    let config = config.redis_password_provider(move || {
        count.fetch_add(1, Ordering::Relaxed);
        let password = Secret::from(answer.lock().unwrap().as_str());
        async move { Ok(password) }
    });
    let redis = Redis::connect(&config).await.unwrap();
    let mut events = redis.events();
    set(&redis, "a", "1").await.unwrap();
    server.command(&["CLIENT", "KILL", "USER", "app"]);
    assert_eq!(get(&redis, "a").await.unwrap().as_deref(), Some("1"));
    assert_eq!(
        asked.load(Ordering::Relaxed),
        1,
        "the answer holds until it is refused"
    );

    // The provider knows first; open connections live on, and the next login is refused once.
    tokio::time::sleep(Duration::from_secs(1)).await;
    "canary-2".clone_into(&mut password.lock().unwrap());
    allow(&server, "canary-2");
    assert_eq!(get(&redis, "a").await.unwrap().as_deref(), Some("1"));
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let redis = redis.clone();
            tokio::spawn(async move {
                for _ in 0..100 {
                    assert_eq!(get(&redis, "a").await.unwrap().as_deref(), Some("1"));
                }
            })
        })
        .collect();
    server.command(&["CLIENT", "KILL", "USER", "app"]);
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2, "once more");
    let refreshed =
        |event: &Event| matches!(event, Event::CredentialRefresh { accepted: true, .. });
    heard(&mut events, refreshed).await;
    assert!(!format!("{config:?} {redis:?}").contains("canary"));
    end(redis).await;
}

#[tokio::test]
async fn a_user_may_do_what_its_acl_allows() {
    let server = Server::start();
    server.command(&[
        "ACL", "SETUSER", "app", ">canary", "on", "~app:*", "+get", "+ping",
    ]);
    let redis = connect(&url(&server)).await;
    assert_eq!(get(&redis, "app:a").await.unwrap(), None);
    for refused in [
        get(&redis, "other").await.map(drop),
        set(&redis, "app:a", "1").await,
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.redis_code(), Some("NOPERM"), "{error}");
        assert!(!told(&redis, &error).contains("canary"));
    }
    assert_eq!(redis.status().status, Status::Up);
    end(redis).await;
}

fn with_tls(server: &Server, roots: &std::path::Path, more: &str) -> Config {
    let roots = roots.display();
    config(&format!(
        "rediss://localhost:{}?sslrootcert={roots}{more}",
        server.port()
    ))
}

#[tokio::test]
async fn tls_trusts_the_authority_that_is_named_and_nobody_else() {
    let tls = Tls::generate();
    for (kind, roots, good) in [
        (ServerCertificate::Valid, tls.roots(), true),
        (ServerCertificate::Valid, tls.other_roots(), false),
        (ServerCertificate::WrongHost, tls.roots(), false),
        (ServerCertificate::Expired, tls.roots(), false),
        (ServerCertificate::OtherAuthority, tls.roots(), false),
    ] {
        let server = Server::start_with_tls(&tls, &tls.server(kind), false);
        let redis = Redis::connect(&with_tls(&server, &roots, ""))
            .await
            .unwrap();
        let got = get(&redis, "a").await;
        assert_eq!(got.is_ok(), good, "{kind:?}: {got:?}");
        if let Err(error) = got {
            assert_eq!(error.kind(), ErrorKind::Tls, "{kind:?}: {error}");
            assert!(error.to_string().contains("sslrootcert"), "{error}");
        }
        end(redis).await;
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_it_and_clear_text_meets_tls_with_an_error() {
    let tls = Tls::generate();
    let certificate = tls.server(ServerCertificate::Valid);
    let server = Server::start_with_tls(&tls, &certificate, true);
    let own = tls.client("app");
    let own = format!(
        "&sslcert={}&sslkey={}",
        own.certificate.display(),
        own.key.display()
    );
    let redis = Redis::connect(&with_tls(&server, &tls.roots(), &own))
        .await
        .unwrap();
    set(&redis, "a", "1").await.unwrap();
    end(redis).await;
    let redis = Redis::connect(&with_tls(&server, &tls.roots(), ""))
        .await
        .unwrap();
    let error = get(&redis, "a").await.expect_err("without a certificate");
    let known = matches!(error.kind(), ErrorKind::Tls | ErrorKind::Connection);
    assert!(known, "{error:?}");
    end(redis).await;

    let clear = connect(&format!("redis://127.0.0.1:{}", server.port())).await;
    let error = get(&clear, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(error.to_string().contains("rediss://"), "{error}");
    end(clear).await;
    let plain = Server::start();
    let config = with_tls(&plain, &tls.roots(), "").connect_timeout(Duration::from_millis(300));
    let redis = Redis::connect(&config).await.unwrap();
    let error = get(&redis, "a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(error.to_string().contains("redis://"), "{error}");
    end(redis).await;
}

#[tokio::test]
async fn a_provider_that_hangs_or_panics_fails_the_opening_only() {
    let server = Server::start();
    allow(&server, "canary");
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let config = config(&format!("redis://app@127.0.0.1:{}", server.port()))
        .connect_timeout(Duration::from_millis(500))
        .redis_password_provider(move || {
            let call = counter.fetch_add(1, Ordering::Relaxed);
            async move {
                match call {
                    0 => panic!("a provider that panics"),
                    1 => std::future::pending().await,
                    2 => Err("a provider that fails".into()),
                    _ => Ok(Secret::from("canary")),
                }
            }
        });
    let redis = Redis::connect(&config).await.unwrap();
    let got = tokio::time::timeout(PATIENCE, async {
        while let Err(error) = get(&redis, "a").await {
            let known = matches!(error.kind(), ErrorKind::Authentication | ErrorKind::Timeout);
            assert!(known, "{error:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    got.await.expect("the fourth answer is right");
    // More, where the way to the server takes longer than it may.
    assert!(calls.load(Ordering::Relaxed) >= 4);
    end(redis).await;
}
