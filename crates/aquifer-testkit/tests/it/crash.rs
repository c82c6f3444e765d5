use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use aquifer_testkit::{Postgres, Redis, Tls};

const ROLE: &str = "AQUIFER_TESTKIT_OWNER";

/// Not a test of its own: the one below runs this binary again to have a test process to kill.
#[test]
#[ignore = "runs only as the child of another test"]
fn owner() {
    if env::var_os(ROLE).is_none() {
        return;
    }
    let (redis, tls) = (Redis::start(), Tls::generate());
    let postgres = Postgres::shared();
    println!(
        "owner: {} {} {} {} {}",
        postgres.socket_dir().display(),
        redis.socket().parent().expect("a directory").display(),
        tls.roots().parent().expect("a directory").display(),
        postgres.pid().expect("it runs"),
        redis.pid().expect("it runs"),
    );
    // Bounded, should the test die before it kills this process.
    let mut wait = Command::new("sleep")
        .arg("60")
        .spawn()
        .expect("sleep starts");
    wait.wait().expect("waited for");
}

#[test]
fn a_killed_test_process_leaves_nothing_behind() {
    let mut owner = Command::new(env::current_exe().expect("this binary"))
        .args(["--exact", "crash::owner", "--ignored", "--nocapture"])
        .env(ROLE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs again");
    let line = BufReader::new(owner.stdout.take().expect("piped"))
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split_once("owner: ").map(|(_, rest)| rest.to_owned()))
        .expect("the owner reports its servers");
    let (directories, processes): (Vec<&str>, Vec<&str>) =
        line.split(' ').partition(|word| word.starts_with('/'));
    assert_eq!((directories.len(), processes.len()), (3, 2));
    // A zombie that nobody has waited for yet has no command line any more.
    let lives = |process: &&str| {
        std::fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|line| !line.is_empty())
    };
    assert!(
        directories
            .iter()
            .all(|directory| Path::new(directory).exists())
    );
    assert!(processes.iter().all(lives));

    owner.kill().expect("killed");
    owner.wait().expect("waited for");
    let end = Instant::now() + Duration::from_secs(60);
    while directories
        .iter()
        .any(|directory| Path::new(directory).exists())
        || processes.iter().any(lives)
    {
        assert!(Instant::now() < end, "left behind: {line}");
        thread::sleep(Duration::from_millis(5));
    }
}
