use super::peer::{LyingServer, error, message, parameter, ready, welcome};
use super::{config, open_any};
use crate::{Error, Kind};

/// A server of PostgreSQL 14 or newer, which reports its role.
async fn reporting(standby: &str, read_only: &str) -> LyingServer {
    let role = [
        parameter("in_hot_standby", standby),
        parameter("default_transaction_read_only", read_only),
    ];
    LyingServer::says(welcome(&role.concat())).await
}

/// An older server, which must be asked.
async fn asked(row: &'static [u8]) -> LyingServer {
    LyingServer::start(move |_, mut peer| async move {
        peer.startup().await;
        peer.send(&welcome(b"")).await;
        peer.message().await;
        let answer = [
            message(b'T', b"\0\0"),
            message(b'D', row),
            message(b'C', b"SELECT 1\0"),
            ready(),
        ];
        peer.send(&answer.concat()).await;
        peer.rest().await;
    })
    .await
}

/// Which of `servers` is chosen.
async fn chosen(servers: &[&LyingServer], text: &str) -> Result<usize, Error> {
    let ports: Vec<_> = servers
        .iter()
        .map(|server| server.address().port())
        .collect();
    let list: Vec<_> = ports.iter().map(ToString::to_string).collect();
    let hosts = vec!["127.0.0.1"; ports.len()].join(",");
    let config = config(&format!(
        "user=u sslmode=disable host={hosts} port={} {text}",
        list.join(",")
    ));
    let (target, _opened) = open_any(&config, &[]).await?;
    Ok(ports
        .iter()
        .position(|port| *port == target.port())
        .unwrap())
}

#[tokio::test]
async fn the_first_host_with_the_wanted_role_is_taken() {
    let standby = reporting("on", "off").await;
    let read_only = reporting("off", "on").await;
    let primary = reporting("off", "off").await;
    let old_standby = asked(b"\0\x02\0\0\0\x01t\0\0\0\x02on").await;
    let old_primary = asked(b"\0\x02\0\0\0\x01f\0\0\0\x03off").await;
    let all = [&standby, &read_only, &primary];
    for (wanted, expected) in [
        ("any", 0),
        ("read-write", 2),
        ("read-only", 0),
        ("primary", 1),
        ("standby", 0),
        ("prefer-standby", 0),
    ] {
        let text = format!("target_session_attrs={wanted}");
        assert_eq!(chosen(&all, &text).await.unwrap(), expected, "{wanted}");
    }
    let old = [&old_primary, &old_standby];
    assert_eq!(
        chosen(&old, "target_session_attrs=read-only")
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        chosen(&old, "target_session_attrs=read-write")
            .await
            .unwrap(),
        0
    );
    let none = [&read_only, &primary];
    assert_eq!(
        chosen(&none, "target_session_attrs=prefer-standby")
            .await
            .unwrap(),
        0
    );
    let error = chosen(&none, "target_session_attrs=standby")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Connect);
    assert_eq!(error.to_string().matches("=standby").count(), 2, "{error}");
}

#[tokio::test]
async fn a_read_only_lane_does_not_make_its_server_read_only() {
    let primary = reporting("off", "on").await;
    let config = config(&format!(
        "user=u sslmode=disable host=127.0.0.1 port={} target_session_attrs=read-write",
        primary.address().port()
    ));
    assert!(open_any(&config, &[]).await.is_err());
    let settings = [("default_transaction_read_only", "on")];
    assert!(open_any(&config, &settings).await.is_ok());
}

#[tokio::test]
async fn a_host_that_is_not_ready_is_passed_over_but_a_refused_login_is_final() {
    let starting = LyingServer::says(error("57P03")).await;
    let full = LyingServer::says(error("53300")).await;
    let refusing = LyingServer::says(error("28P01")).await;
    let no_database = LyingServer::says(error("3D000")).await;
    let good = reporting("off", "off").await;
    assert_eq!(chosen(&[&starting, &full, &good], "").await.unwrap(), 2);
    for last in [&refusing, &no_database] {
        let error = chosen(&[&starting, last, &good], "").await.unwrap_err();
        let place = last.address().to_string();
        assert!(error.to_string().starts_with(&place), "{error}");
    }
    let error = chosen(&[&starting, &full], "").await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("none of 2 hosts") && text.contains("57P03"),
        "{text}"
    );
    assert!(text.contains("53300"), "{text}");
}

#[tokio::test]
async fn random_order_reaches_every_host() {
    let servers = [reporting("off", "off").await, reporting("off", "off").await];
    let mut seen = [false; 2];
    for _ in 0..64 {
        let all = [&servers[0], &servers[1]];
        seen[chosen(&all, "load_balance_hosts=random").await.unwrap()] = true;
    }
    assert_eq!(seen, [true; 2]);
}
