//! Instructions and system calls per query: what other load on the machine does not change.
//!
//! The program runs itself twice under valgrind's callgrind, or under strace, with different numbers
//! of queries. The difference is what the queries cost, without start-up; what the harness costs is
//! measured likewise, with a contender that does nothing, and subtracted.

use std::path::Path;
use std::process::{Command, Output};

use crate::Error;
use crate::peers::NOTHING;

/// How to count.
#[derive(Clone, Debug)]
pub struct Bounded<'a> {
    /// Connection parameters of the server.
    pub parameters: &'a str,
    /// How many tasks ask at once.
    pub tasks: usize,
    /// Queries of the longer run; the shorter one makes half of them.
    pub queries: usize,
    /// Whether several threads run the tasks.
    pub threads: bool,
}

/// Whether a program can be started.
#[must_use]
pub fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

impl Bounded<'_> {
    /// Instructions in user space per query, without those of the harness.
    ///
    /// # Errors
    /// When valgrind does not run or says nothing.
    pub fn instructions(&self, contender: &str) -> Result<f64, Error> {
        let of = |contender| self.per_query(|queries| self.under_callgrind(contender, queries));
        Ok(of(contender)? - of(NOTHING.name)?)
    }

    /// System calls per query: sends, receives, waits and wakes of all threads.
    ///
    /// # Errors
    /// When strace does not run or says nothing.
    pub fn system_calls(&self, contender: &str) -> Result<f64, Error> {
        self.per_query(|queries| self.under_strace(contender, queries))
    }

    fn per_query(&self, count: impl Fn(usize) -> Result<f64, Error>) -> Result<f64, Error> {
        let short = self.queries / 2;
        let difference = count(self.queries)? - count(short)?;
        Ok(difference / (self.queries - short) as f64)
    }

    fn under_callgrind(&self, contender: &str, queries: usize) -> Result<f64, Error> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        let output = self.run(command, contender, queries)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let collected = said.lines().find_map(|line| line.split_once("Collected :"));
        let count = collected.and_then(|(_, count)| count.trim().parse().ok());
        count.ok_or_else(|| format!("callgrind said no count: {said}").into())
    }

    fn under_strace(&self, contender: &str, queries: usize) -> Result<f64, Error> {
        let report = std::env::temp_dir().join(format!("aquifer-strace-{}", std::process::id()));
        let mut command = Command::new("strace");
        command
            .args(["-f", "-c", "-U", "calls,name", "-o"])
            .arg(&report);
        self.run(command, contender, queries)?;
        let said = take_file(&report)?;
        let total = said
            .lines()
            .find_map(|line| line.trim().strip_suffix("total"));
        let count = total.and_then(|count| count.trim().parse().ok());
        count.ok_or_else(|| format!("strace said no count: {said}").into())
    }

    fn run(&self, mut command: Command, contender: &str, queries: usize) -> Result<Output, Error> {
        command.arg(std::env::current_exe()?);
        command.args(["bounded", "--contender", contender]);
        command.args(["--parameters", self.parameters]);
        command.args(["--tasks", &self.tasks.to_string()]);
        command.args(["--queries", &queries.to_string()]);
        if self.threads {
            command.arg("--threads");
        }
        let output = command.output()?;
        if output.status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(format!("the bounded run of {contender} failed: {said}").into())
    }
}

fn take_file(path: &Path) -> Result<String, Error> {
    let text = std::fs::read_to_string(path)?;
    std::fs::remove_file(path)?;
    Ok(text)
}
