use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use aquifer_embedded::{Embedded, ErrorKind};

use super::{Scratch, answer};

const ROLE: &str = "AQUIFER_TEST_OWNER";

/// Not a test of its own: the others run this binary again to have an owner that they can kill.
#[test]
#[ignore = "runs only as the child of another test"]
fn owner() {
    let Ok(directory) = env::var(ROLE) else {
        return;
    };
    let mut builder = Embedded::builder();
    if !directory.is_empty() {
        builder = builder.directory(directory);
    }
    let server = builder.start().expect("starts");
    answer(&server, "create table kept as select 1 as n");
    println!(
        "owner: {} {} {}",
        server.pid().expect("it runs"),
        server.socket_dir().display(),
        server.data_dir().display()
    );
    // Another child must not keep the watchdog's pipe open. Its end is bounded, should the test die
    // before it kills this process.
    let mut other = Command::new("sleep")
        .arg("60")
        .spawn()
        .expect("sleep starts");
    other.wait().expect("waited for");
}

struct Owner {
    child: Child,
    server: String,
    sockets: String,
    data: String,
}

impl Owner {
    fn start(directory: &str) -> Self {
        let mut child = Command::new(env::current_exe().expect("this binary"))
            .args(["--exact", "watchdog::owner", "--ignored", "--nocapture"])
            .env(ROLE, directory)
            .stdout(Stdio::piped())
            .spawn()
            .expect("runs again");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let line = output
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("owner: ").map(|(_, rest)| rest.to_owned()))
            .expect("the owner reports its server");
        let mut words = line.split(' ').map(str::to_owned);
        let mut next = || words.next().expect("three words");
        Self {
            child,
            server: next(),
            sockets: next(),
            data: next(),
        }
    }

    fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("waited for");
    }

    fn server_lives(&self) -> bool {
        // A zombie has no command line any more.
        std::fs::read(format!("/proc/{}/cmdline", self.server))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&self.data))
    }
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "not in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_killed_owner_leaves_neither_server_nor_directory() {
    let mut owner = Owner::start("");
    assert!(owner.server_lives());
    assert!(Path::new(&owner.data).join("postmaster.pid").exists());
    owner.kill();
    wait_until("the server ends", || !owner.server_lives());
    wait_until("the directory is removed", || {
        !Path::new(&owner.sockets).exists()
    });
}

#[test]
fn a_killed_owner_whose_server_was_paused_leaves_nothing_either() {
    let mut owner = Owner::start("");
    Command::new("kill")
        .args(["-STOP", &owner.server])
        .status()
        .expect("kill runs");
    owner.kill();
    wait_until("the server ends", || !owner.server_lives());
    wait_until("the directory is removed", || {
        !Path::new(&owner.sockets).exists()
    });
}

#[test]
fn a_killed_owner_and_a_killed_server_leave_no_shared_memory() {
    let mut owner = Owner::start("");
    let lock = std::fs::read_to_string(Path::new(&owner.data).join("postmaster.pid"))
        .expect("a lock file");
    let segment = lock
        .lines()
        .nth(6)
        .and_then(|line| line.split_whitespace().nth(1))
        .expect("a segment")
        .to_owned();
    let segments = || std::fs::read_to_string("/proc/sysvipc/shm").expect("Linux");
    let listed = |text: String| {
        text.lines()
            .any(|line| line.split_whitespace().nth(1) == Some(segment.as_str()))
    };
    assert!(listed(segments()));
    Command::new("kill")
        .args(["-KILL", &owner.server])
        .status()
        .expect("kill runs");
    owner.kill();
    wait_until("the directory is removed", || {
        !Path::new(&owner.sockets).exists()
    });
    wait_until("the segment is removed", || !listed(segments()));
}

#[test]
fn a_killed_owner_leaves_a_kept_directory_ready_for_the_next() {
    let scratch = Scratch::new();
    let directory = scratch.0.join("data");
    let mut owner = Owner::start(directory.to_str().expect("plain text"));
    owner.kill();
    // At once: the lock makes the next owner wait until the watchdog has done its work.
    let server = Embedded::builder()
        .directory(&directory)
        .start()
        .expect("starts");
    assert!(!owner.server_lives());
    assert_eq!(answer(&server, "select n from kept"), "1");
    assert!(
        !server.log().contains("not properly shut down"),
        "{}",
        server.log()
    );
    assert!(!Path::new(&owner.sockets).exists());
    server.stop().expect("stops");
}

#[test]
fn a_watchdog_refuses_a_directory_that_exists() {
    let scratch = Scratch::new();
    let error = aquifer_embedded::Watchdog::start(
        &scratch.0,
        Path::new("/nowhere"),
        aquifer_embedded::Ending::Terminate,
        None,
    )
    .expect_err("it exists");
    assert_eq!(error.kind(), ErrorKind::Directory);
    assert!(
        scratch.0.exists(),
        "what it did not make it must not remove"
    );
}
