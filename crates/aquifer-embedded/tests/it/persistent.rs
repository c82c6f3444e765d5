use std::fs;
use std::process::Command;

use aquifer_embedded::{Embedded, ErrorKind, Shutdown};

use super::{Scratch, answer, psql};

fn kept(scratch: &Scratch) -> aquifer_embedded::Builder {
    Embedded::builder().directory(scratch.0.join("data"))
}

#[test]
fn a_directory_keeps_its_data_and_its_password() {
    let scratch = Scratch::new();
    let server = kept(&scratch).start().expect("starts");
    assert_eq!(answer(&server, "show fsync"), "on");
    assert!(server.initdb_time().is_some());
    answer(&server, "create table kept as select 7 as n");
    server.stop().expect("stops");

    let server = kept(&scratch).tcp().start().expect("starts again");
    assert!(server.initdb_time().is_none());
    let url = server.tcp_url().expect("it has a port");
    assert_eq!(
        psql(&server, &url, "select n from kept").as_deref(),
        Ok("7")
    );
    let sockets = server.socket_dir().to_path_buf();
    server.stop().expect("stops");
    assert!(!sockets.exists());
    assert!(scratch.0.join("data/PG_VERSION").exists());
}

#[test]
fn a_directory_has_one_owner_at_a_time() {
    let scratch = Scratch::new();
    let server = kept(&scratch).start().expect("starts");
    let error = kept(&scratch).start().expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::InUse);
    assert!(error.to_string().contains("in use"), "{error}");
    assert_eq!(answer(&server, "select 1"), "1");
    drop(server);
    kept(&scratch)
        .start()
        .expect("free again")
        .stop()
        .expect("stops");
}

#[test]
fn a_server_of_somebody_else_in_the_directory_is_left_alone() {
    let scratch = Scratch::new();
    let server = kept(&scratch).start().expect("starts");
    let (data, binaries) = (
        server.data_dir().to_path_buf(),
        server.binaries().to_path_buf(),
    );
    server.stop().expect("stops");

    // Started as an administrator would, not by us.
    let mut other = Command::new(binaries.join("postgres"));
    other
        .arg("-D")
        .arg(&data)
        .arg("-k")
        .arg(&data)
        .args(["-h", ""])
        .current_dir("/");
    {
        use std::os::unix::{fs::MetadataExt, process::CommandExt};
        let owner = fs::metadata(&data).expect("it exists");
        if owner.uid() != fs::metadata("/proc/self").expect("Linux").uid() {
            other.uid(owner.uid()).gid(owner.gid());
        }
    }
    let mut other = other
        .stderr(fs::File::create(scratch.0.join("log")).expect("a log"))
        .spawn()
        .expect("spawns");
    let lock = data.join("postmaster.pid");
    while !fs::read_to_string(&lock)
        .unwrap_or_default()
        .contains("ready")
    {
        assert!(
            other.try_wait().expect("a child").is_none(),
            "the other server ended: {}",
            fs::read_to_string(scratch.0.join("log")).expect("a log")
        );
        std::thread::yield_now();
    }

    let error = kept(&scratch).start().expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::InUse);
    assert!(
        other.try_wait().expect("a child").is_none(),
        "the other server was ended"
    );
    assert!(lock.exists());
    Command::new("kill")
        .args(["-INT", &other.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(other.wait().expect("a child").success());
}

#[test]
fn a_crashed_server_is_recovered() {
    let scratch = Scratch::new();
    let mut server = kept(&scratch).start().expect("starts");
    answer(&server, "create table kept as select 1 as n");
    let process = server.pid().expect("it runs").to_string();
    Command::new("kill")
        .args(["-KILL", &process])
        .status()
        .expect("kill runs");
    while server.is_running() {
        std::thread::yield_now();
    }
    assert!(
        scratch.0.join("data/postmaster.pid").exists(),
        "the crash left its lock file"
    );
    server.start_again().expect("recovers in place");
    assert_eq!(answer(&server, "select n from kept"), "1");

    let process = server.pid().expect("it runs").to_string();
    Command::new("kill")
        .args(["-KILL", &process])
        .status()
        .expect("kill runs");
    drop(server);
    let mut server = kept(&scratch).start().expect("recovers for the next owner");
    assert_eq!(answer(&server, "select n from kept"), "1");
    server.shut_down(Shutdown::Immediate).expect("stops");
}

#[test]
fn a_directory_with_other_contents_is_refused() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.0.join("data")).expect("made");
    fs::write(scratch.0.join("data/letter"), "keep me").expect("written");
    let error = kept(&scratch).start().expect_err("not ours");
    assert_eq!(error.kind(), ErrorKind::Directory);
    assert!(error.to_string().contains("neither empty"), "{error}");
    assert!(scratch.0.join("data/letter").exists());
}

#[test]
fn a_directory_of_another_version_names_that_version() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.0.join("data")).expect("made");
    fs::write(scratch.0.join("data/PG_VERSION"), "9\n").expect("written");
    let error = kept(&scratch).start().expect_err("nobody has version 9");
    assert_eq!(error.kind(), ErrorKind::BinariesMissing);
    assert!(error.to_string().contains("PostgreSQL 9"), "{error}");
}

#[test]
fn a_directory_that_the_server_cannot_enter_is_named() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let scratch = Scratch::new();
    fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o700)).expect("ours");
    let started = kept(&scratch).start();
    if fs::metadata(&scratch.0).expect("it exists").uid() == 0 {
        // Only a root owner's server runs under another account.
        let error = started.expect_err("closed");
        assert_eq!(error.kind(), ErrorKind::Directory);
        let closed = format!("can't enter {}", scratch.0.display());
        assert!(error.to_string().contains(&closed), "{error}");
    } else {
        started.expect("our own directory").stop().expect("stops");
    }
}
