//! Certificates that are wrong or change, and servers that give up TLS: refused, never in clear text.

use aquifer::{Config, Db, ErrorKind, Session};
use aquifer_testkit::{Direction, Ending, Login, Postgres, Proxy, ServerCertificate, Tls, tag};

use crate::support;

fn server(tls: &Tls) -> Postgres {
    let files = tls.server(ServerCertificate::Valid);
    Postgres::start_with(Postgres::builder().tls(files.certificate, files.key))
}

fn config(proxy: &Proxy, server: &Postgres, tls: &Tls) -> Config {
    let url = format!(
        "{}?sslmode=verify-full&sslrootcert={}",
        proxy.through(&server.login_url(Login::Tls)),
        tls.roots().display()
    );
    support::config(url).connections_max(4)
}

/// What would show a start-up, and with it the name of the user, to everybody on the way.
fn in_clear_text(proxy: &Proxy) -> u64 {
    let traffic = proxy.traffic();
    traffic.messages(Direction::ToServer, tag::STARTUP)
        + traffic.messages(Direction::ToServer, b'p')
}

#[tokio::test]
async fn a_certificate_that_is_wrong_is_refused_and_nothing_goes_in_clear_text() {
    let tls = Tls::generate();
    let server = server(&tls);
    let proxy = Proxy::to_postgres(&server);
    let config = config(&proxy, &server, &tls);
    for kind in [
        ServerCertificate::WrongHost,
        ServerCertificate::Expired,
        ServerCertificate::NotYet,
        ServerCertificate::OtherAuthority,
    ] {
        server.replace_certificate(&tls.server(kind));
        let error = Db::connect_with(&config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls, "{kind:?}: {error}");
    }
    server.replace_certificate(&tls.server(ServerCertificate::Valid));
    let db = Db::connect_with(&config).await.unwrap();
    let encrypted: bool = db
        .query_value(
            "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
            (),
        )
        .await
        .unwrap();
    assert!(encrypted);
    assert_eq!(in_clear_text(&proxy), 0);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_certificate_that_expires_stops_new_sessions_only_and_a_renewed_one_heals() {
    let tls = Tls::generate();
    let server = server(&tls);
    let proxy = Proxy::to_postgres(&server);
    let db = Db::connect_with(&config(&proxy, &server, &tls))
        .await
        .unwrap();
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    let tx = db.begin().await.unwrap();
    tx.execute("select 1", ()).await.unwrap();
    server.replace_certificate(&tls.server(ServerCertificate::Expired));
    let hasty = db.with_query_timeout(std::time::Duration::from_millis(300));
    let mut others = Vec::new();
    let refused = loop {
        match hasty.begin().await {
            Ok(other) => others.push(other),
            Err(error) if error.to_string().contains("certificate") => break error,
            // No opening has failed yet.
            Err(error) => assert_eq!(error.kind(), ErrorKind::Acquire, "{error}"),
        }
    };
    assert!(
        others.len() < 4,
        "the limit is not what stops it: {refused}"
    );
    let one: i32 = tx.query_value("select 1", ()).await.unwrap();
    assert_eq!(one, 1, "a session that is open lives on");
    server.replace_certificate(&tls.server(ServerCertificate::Valid));
    let other = db.begin().await.expect("it is tried in the background");
    other.rollback().await.unwrap();
    drop((tx, others));
    assert_eq!(in_clear_text(&proxy), 0);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_server_that_gives_up_tls_gets_no_password() {
    let tls = Tls::generate();
    let (with, without) = (server(&tls), Postgres::start());
    let proxy = Proxy::to_postgres(&with);
    let db = Db::connect_with(&config(&proxy, &with, &tls))
        .await
        .unwrap();
    let hasty = db.with_query_timeout(std::time::Duration::from_millis(500));
    proxy.redirect(aquifer_testkit::Upstream::Port(without.port()));
    proxy.cut_all(Ending::Reset);
    for _ in 0..3 {
        let error = hasty.execute("select 1", ()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    }
    assert_eq!(in_clear_text(&proxy), 0);
    proxy.redirect(aquifer_testkit::Upstream::Port(with.port()));
    db.execute("select 1", ()).await.expect("it is back");
    assert_eq!(in_clear_text(&proxy), 0);
    support::assert_whole(&db).await;
}
