use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use aquifer_testkit::{Login, Postgres, Shutdown};

#[test]
fn tests_that_share_a_server_have_a_database_each() {
    let server = Postgres::shared();
    let (first, second) = (server.create_database(), server.create_database());
    assert_ne!(first.name, second.name);
    server
        .psql_at(&first.url, "create table mine (n int)")
        .expect("made");
    let error = server
        .psql_at(&second.url, "table mine")
        .expect_err("not here");
    assert!(error.contains("does not exist"), "{error}");
    assert_eq!(server.psql("show max_connections"), "400");
}

#[test]
fn every_login_works_in_its_way_only() {
    let server = Postgres::shared();
    for login in [Login::Trust, Login::Password, Login::Md5, Login::Scram] {
        let url = server.login_url(login);
        assert_eq!(
            server.psql_at(&url, "select current_user").as_deref(),
            Ok(login.role())
        );
    }
    for login in [Login::Password, Login::Md5, Login::Scram] {
        let without = format!(
            "postgresql://{}@127.0.0.1:{}/postgres",
            login.role(),
            server.port()
        );
        let error = server
            .psql_at(&without, "select 1")
            .expect_err("no password");
        assert!(error.contains("no password supplied"), "{error}");
    }
    for login in [Login::Rejected, Login::Tls, Login::Certificate] {
        let error = server
            .psql_at(&server.login_url(login), "select 1")
            .expect_err("refused");
        assert!(error.contains("pg_hba.conf rejects"), "{error}");
    }
    let stored = server.psql("select rolname, left(rolpassword, 5) from pg_authid where rolname in ('md5_user', 'scram_user') order by 1");
    assert!(stored.starts_with("md5_user|md5"), "{stored}");
    assert!(stored.ends_with("scram_user|SCRAM"), "{stored}");
    assert_eq!(
        server.psql_at(server.tcp_url(), "select 1").as_deref(),
        Ok("1")
    );
}

/// A session that stays open in another process, as its application name tells.
struct Session {
    psql: Child,
    id: u32,
}

impl Session {
    fn open(server: &Postgres, name: &str) -> Self {
        let psql = Command::new(server.binaries().join("psql"))
            .args(["--no-psqlrc", server.url()])
            .env("PGAPPNAME", name)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("psql starts");
        let find = format!("select pid from pg_stat_activity where application_name = '{name}'");
        let mut session = Self { psql, id: 0 };
        while session.id == 0 {
            session.id = server.psql(&find).parse().unwrap_or(0);
        }
        session
    }

    fn send(&mut self, sql: &str) {
        let mut input = self.psql.stdin.as_ref().expect("piped");
        input.write_all(sql.as_bytes()).expect("psql reads");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ended = self.psql.kill();
        let _waited = self.psql.wait();
    }
}

#[test]
fn a_server_stops_and_starts_on_the_same_port_and_socket() {
    let server = Postgres::start();
    server.psql("create table kept as select 1 as n");
    for mode in [Shutdown::Fast, Shutdown::Immediate] {
        server.shut_down(mode);
        assert_eq!(server.pid(), None);
        server
            .psql_at(server.tcp_url(), "select 1")
            .expect_err("nobody listens");
        server.start_again();
        assert_eq!(
            server.psql_at(server.tcp_url(), "table kept").as_deref(),
            Ok("1")
        );
    }
    server.kill();
    server
        .psql_at(server.url(), "select 1")
        .expect_err("nobody listens");
    server.start_again();
    assert_eq!(server.psql("table kept"), "1");
    server.restart(Shutdown::Fast);
    assert_eq!(server.psql("table kept"), "1");
}

#[test]
fn a_paused_server_accepts_and_stays_silent() {
    let server = Postgres::start();
    server.pause();
    // The system completes the connection; nobody reads what it carries.
    UnixStream::connect(server.socket()).expect("the system accepts");
    let url = format!("{}?connect_timeout=2", server.url());
    let error = server.psql_at(&url, "select 1").expect_err("silent");
    assert!(error.contains("timeout expired"), "{error}");
    server.resume();
    server.wait_until_ready();
}

#[test]
fn a_paused_backend_falls_silent_and_the_others_go_on() {
    let server = Postgres::start();
    let mut session = Session::open(&server, "quiet");
    assert_eq!(server.client_count(), 1);
    server.pause_backend(session.id);
    session.send("create table made_by_the_paused (n int);\n");
    let exists = "select count(*) from pg_class where relname = 'made_by_the_paused'";
    assert_eq!(server.psql(exists), "0");
    server.resume_backend(session.id);
    while server.psql(exists) == "0" {}
    // A paused backend does not keep a server from stopping.
    server.pause_backend(session.id);
    server.shut_down(Shutdown::Fast);
}

#[test]
fn a_killed_backend_ends_all_sessions_and_the_server_recovers() {
    let server = Postgres::start();
    let victim = Session::open(&server, "victim");
    let mut bystander = Session::open(&server, "bystander");
    server.kill_backend(victim.id);
    server.wait_until_ready();
    while server.client_count() > 0 {}
    assert!(server.log().contains("was terminated by signal 9"));
    bystander.psql.stdin.take();
    bystander.psql.wait().expect("psql ends");
}

#[test]
#[should_panic(expected = "is no backend of this server")]
fn a_process_of_somebody_else_is_not_killed() {
    Postgres::shared().kill_backend(std::process::id());
}
