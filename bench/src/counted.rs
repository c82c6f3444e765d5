//! Instructions, system calls, allocations and memory: what other load on the machine does not
//! change.
//!
//! The program runs itself twice under valgrind's callgrind or dhat, or under strace, with different
//! numbers of queries. The difference is what the queries cost, without start-up; what the harness
//! costs is measured likewise, with a contender that does nothing, and subtracted.

use std::path::Path;
use std::process::{Command, Output};

use crate::peers::NOTHING;
use crate::{Error, Place};

/// Queries of the longer run under strace, at least.
const TRACED: usize = 20_000;

/// How to count.
#[derive(Clone, Debug)]
pub struct Bounded<'a> {
    /// Where the server is.
    pub place: &'a Place,
    /// How many tasks ask at once.
    pub tasks: usize,
    /// Queries of the longer run; the shorter one makes a twentieth of them.
    pub queries: usize,
    /// Whether several threads run the tasks.
    pub threads: bool,
}

/// What was counted of one contender.
#[derive(Clone, Debug)]
pub struct Counts {
    /// As the tables call it.
    pub name: &'static str,
    /// Instructions in user space per query, one thread.
    pub instructions: Option<f64>,
    /// Blocks of memory allocated per query, one thread.
    pub allocations: Option<f64>,
    /// System calls per query, one thread.
    pub system_calls: Option<f64>,
    /// System calls per query, two threads.
    pub system_calls_threads: Option<f64>,
    /// The most memory that the client had, in kB.
    pub peak_memory: Option<u64>,
}

/// Whether a program can be started.
#[must_use]
pub fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

impl Bounded<'_> {
    /// Counts all that the installed programs can count; that of two threads takes two.
    ///
    /// # Errors
    /// When one of them does not run or says nothing.
    pub fn all(
        &self,
        contender: &'static str,
        valgrind: bool,
        strace: bool,
    ) -> Result<Counts, Error> {
        // How many queries share a system call depends on the moment, so it takes more of them.
        let one_thread = Self {
            queries: self.queries.max(TRACED),
            ..self.clone()
        };
        let two_threads = Self {
            threads: true,
            ..one_thread.clone()
        };
        let when = |installed: bool, counted: &dyn Fn() -> Result<f64, Error>| {
            installed.then(counted).transpose()
        };
        Ok(Counts {
            name: contender,
            instructions: when(valgrind, &|| self.instructions(contender))?,
            allocations: when(valgrind, &|| self.allocations(contender))?,
            system_calls: when(strace, &|| one_thread.system_calls(contender))?,
            system_calls_threads: when(strace, &|| two_threads.system_calls(contender))?,
            peak_memory: Some(two_threads.peak_memory(contender)?),
        })
    }

    /// Instructions in user space per query, without those of the harness.
    ///
    /// # Errors
    /// When valgrind does not run or says nothing.
    pub fn instructions(&self, contender: &str) -> Result<f64, Error> {
        let of = |contender| self.per_query(|queries| self.under_callgrind(contender, queries));
        Ok(of(contender)? - of(NOTHING.name)?)
    }

    /// Blocks of memory allocated per query, without those of the harness.
    ///
    /// # Errors
    /// When valgrind does not run or says nothing.
    pub fn allocations(&self, contender: &str) -> Result<f64, Error> {
        let of = |contender| self.per_query(|queries| self.under_dhat(contender, queries));
        Ok(of(contender)? - of(NOTHING.name)?)
    }

    /// System calls per query: sends, receives, waits and wakes of all threads.
    ///
    /// # Errors
    /// When strace does not run or says nothing.
    pub fn system_calls(&self, contender: &str) -> Result<f64, Error> {
        self.per_query(|queries| self.under_strace(contender, queries))
    }

    /// The most memory that the client had, in kB, over the longer run.
    ///
    /// # Errors
    /// When the program does not run or says nothing.
    pub fn peak_memory(&self, contender: &str) -> Result<u64, Error> {
        let own = Command::new(std::env::current_exe()?);
        let said = self.run(own, contender, self.queries)?.stdout;
        Ok(String::from_utf8_lossy(&said).trim().parse()?)
    }

    fn per_query(&self, count: impl Fn(usize) -> Result<f64, Error>) -> Result<f64, Error> {
        let short = self.queries / 20;
        let difference = count(self.queries)? - count(short)?;
        Ok(difference / (self.queries - short) as f64)
    }

    fn under_callgrind(&self, contender: &str, queries: usize) -> Result<f64, Error> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        command.arg(std::env::current_exe()?);
        let output = self.run(command, contender, queries)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let collected = said.lines().find_map(|line| line.split_once("Collected :"));
        let count = collected.and_then(|(_, count)| count.trim().parse().ok());
        count.ok_or_else(|| format!("callgrind said no count: {said}").into())
    }

    fn under_dhat(&self, contender: &str, queries: usize) -> Result<f64, Error> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=dhat", "--dhat-out-file=/dev/null"]);
        command.arg(std::env::current_exe()?);
        let output = self.run(command, contender, queries)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let total = said.lines().find_map(|line| line.split_once("Total:"));
        let blocks = total.and_then(|(_, total)| total.split_once(" in "));
        let count = blocks.and_then(|(_, blocks)| blocks.split_whitespace().next());
        let count = count.and_then(|count| count.replace(',', "").parse().ok());
        count.ok_or_else(|| format!("dhat said no count: {said}").into())
    }

    fn under_strace(&self, contender: &str, queries: usize) -> Result<f64, Error> {
        let report = std::env::temp_dir().join(format!("aquifer-strace-{}", std::process::id()));
        let mut command = Command::new("strace");
        command
            .args(["-f", "-c", "-U", "calls,name", "-o"])
            .arg(&report)
            .arg(std::env::current_exe()?);
        self.run(command, contender, queries)?;
        let said = take_file(&report)?;
        let total = said
            .lines()
            .find_map(|line| line.trim().strip_suffix("total"));
        let count = total.and_then(|count| count.trim().parse().ok());
        count.ok_or_else(|| format!("strace said no count: {said}").into())
    }

    fn run(&self, mut command: Command, contender: &str, queries: usize) -> Result<Output, Error> {
        command.args(["bounded", "--contender", contender]);
        command.args(["--host", &self.place.host]);
        command.args(["--port", &self.place.port.to_string()]);
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
