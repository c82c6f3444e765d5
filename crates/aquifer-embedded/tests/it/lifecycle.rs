use std::os::unix::fs::MetadataExt;
use std::path::Path;

use aquifer_embedded::{Embedded, ErrorKind, Shutdown};

use super::{answer, psql};

#[test]
fn a_server_starts_answers_and_leaves_nothing() {
    let server = Embedded::start().expect("starts");
    let version = answer(&server, "show server_version_num");
    assert!(version.parse::<u32>().expect("a number") >= 120_000);
    assert_eq!(answer(&server, "select current_user"), "postgres");
    assert_eq!(answer(&server, "show fsync"), "off");

    let directory = server.socket_dir().to_path_buf();
    let process = format!("/proc/{}", server.pid().expect("it runs"));
    assert!(server.data_dir().starts_with(&directory));
    server.stop().expect("stops");
    assert!(!directory.exists());
    assert!(!Path::new(&process).exists());
}

#[test]
fn a_dropped_server_leaves_nothing() {
    let server = Embedded::start().expect("starts");
    let directory = server.socket_dir().to_path_buf();
    let process = format!("/proc/{}", server.pid().expect("it runs"));
    drop(server);
    assert!(!directory.exists());
    assert!(!Path::new(&process).exists());
}

#[test]
fn only_the_owner_and_the_server_can_enter_the_directory() {
    let server = Embedded::start().expect("starts");
    let metadata = std::fs::metadata(server.socket_dir()).expect("it exists");
    assert_eq!(metadata.mode() & 0o777, 0o700);
    let process = format!("/proc/{}", server.pid().expect("it runs"));
    let owner = std::fs::metadata(process).expect("it runs").uid();
    assert_eq!(metadata.uid(), owner);
    assert_ne!(owner, 0, "the server must not run as root");
}

#[test]
fn servers_side_by_side_do_not_meet() {
    let servers: Vec<Embedded> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| Embedded::builder().tcp().start()))
            .collect();
        let started = starts
            .into_iter()
            .map(|start| start.join().expect("no panic"));
        started.collect::<Result<_, _>>().expect("all start")
    });
    for (number, server) in servers.iter().enumerate() {
        answer(
            server,
            &format!("create table mine as select {number} as n"),
        );
    }
    for (number, server) in servers.iter().enumerate() {
        assert_eq!(answer(server, "select n from mine"), number.to_string());
    }
}

#[test]
fn a_stopped_server_starts_again_in_its_place() {
    let mut server = Embedded::builder().tcp().start().expect("starts");
    let (url, tcp_url) = (server.url(), server.tcp_url());
    answer(&server, "create table kept as select 1 as n");
    for mode in [Shutdown::Fast, Shutdown::Immediate] {
        server.shut_down(mode).expect("stops");
        assert!(!server.is_running());
        assert_eq!(server.pid(), None);
        psql(&server, &url, "select 1").expect_err("nobody listens");
        server.start_again().expect("starts again");
        assert_eq!(
            (server.url(), server.tcp_url()),
            (url.clone(), tcp_url.clone())
        );
        assert_eq!(answer(&server, "select n from kept"), "1");
    }
    server.start_again().expect("nothing to do");
    server.stop().expect("stops");
}

#[test]
fn a_server_that_refuses_its_settings_shows_its_log() {
    let error = Embedded::builder()
        .setting("shared_buffers", "many")
        .start()
        .expect_err("no such amount");
    assert_eq!(error.kind(), ErrorKind::Startup);
    assert!(error.to_string().contains("shared_buffers"), "{error}");
}

#[test]
fn missing_binaries_are_named() {
    let error = Embedded::builder()
        .binaries("/no/such/place")
        .start()
        .expect_err("no binaries");
    assert_eq!(error.kind(), ErrorKind::BinariesMissing);
    assert!(error.to_string().contains("/no/such/place"), "{error}");
}

#[test]
fn settings_and_superuser_are_those_that_were_asked_for() {
    let server = Embedded::builder()
        .superuser("Jo @ hörst/50%")
        .setting("work_mem", "1MB")
        .setting("work_mem", "2MB")
        .setting("application_name", r"it's a \ name")
        .start()
        .expect("starts");
    assert_eq!(answer(&server, "select current_user"), "Jo @ hörst/50%");
    assert_eq!(answer(&server, "show work_mem"), "2MB");
    let stored = answer(
        &server,
        "select reset_val from pg_settings where name = 'application_name'",
    );
    // psql sets its own name; the file's value is what a reset would restore without it.
    assert_eq!(stored, "psql");
    assert_eq!(
        answer(
            &server,
            "select setting from pg_file_settings where name = 'application_name'"
        ),
        r"it's a \ name"
    );
    assert_eq!(answer(&server, "select lower('ÄÉ')"), "äé");
}
