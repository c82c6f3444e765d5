//! Private servers on the real PostgreSQL of this machine.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod lifecycle;
mod network;
mod persistent;
mod standby;
mod watchdog;

use std::process::Command;

use aquifer_embedded::Embedded;

/// What `psql` answers, or what it complains about.
fn psql(server: &Embedded, url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new(server.binaries().join("psql"))
        .args([
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "--command",
            sql,
            url,
        ])
        .env("PGCONNECT_TIMEOUT", "10")
        .output()
        .expect("psql starts");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn answer(server: &Embedded, sql: &str) -> String {
    psql(server, &server.url(), sql).expect("the statement succeeds")
}

/// A directory that is removed at the end of the test.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> Self {
        let number = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("the clock is right")
            .as_nanos();
        let name = format!("aquifer-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a scratch directory");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("the scratch directory is removed");
    }
}
