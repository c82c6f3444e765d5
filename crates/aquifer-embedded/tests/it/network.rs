use std::net::TcpListener;

use aquifer_embedded::{Embedded, ErrorKind};

use super::{answer, psql};

#[test]
fn loopback_needs_the_password_that_its_url_carries() {
    let server = Embedded::builder().tcp().start().expect("starts");
    let url = server.tcp_url().expect("it has a port");
    let port = server.tcp_port().expect("it has a port");
    assert_eq!(psql(&server, &url, "select 1").as_deref(), Ok("1"));

    let without = format!("postgresql://postgres@127.0.0.1:{port}/postgres?passfile=/dev/null");
    let refused = psql(&server, &without, "select 1").expect_err("no password");
    assert!(refused.contains("password"), "{refused}");
    assert!(!format!("{server:?}").contains(url.split([':', '@']).nth(2).expect("a password")));
    assert!(!server.log().contains("trust"));
}

#[test]
fn without_a_port_nothing_listens_on_the_network() {
    let server = Embedded::start().expect("starts");
    assert_eq!(server.tcp_url(), None);
    assert_eq!(answer(&server, "show listen_addresses"), "");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let error = Embedded::builder()
        .tcp_port(port)
        .start()
        .expect_err("taken");
    assert_eq!(error.kind(), ErrorKind::InUse);
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

#[test]
fn added_access_rules_come_first() {
    let server = Embedded::builder()
        .tcp()
        .hba_line("host all visitor 127.0.0.1/32 trust")
        .hba_line("local all visitor reject")
        .start()
        .expect("starts");
    answer(&server, "create role visitor login");
    let port = server.port();
    let by_port = format!("postgresql://visitor@127.0.0.1:{port}/postgres");
    assert_eq!(psql(&server, &by_port, "select 1").as_deref(), Ok("1"));
    let by_socket = server.url().replace("postgres@", "visitor@");
    let refused = psql(&server, &by_socket, "select 1").expect_err("rejected");
    assert!(refused.contains("pg_hba.conf rejects"), "{refused}");
}
