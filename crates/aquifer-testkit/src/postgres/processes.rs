use std::fs;
use std::process::Command;
use std::sync::PoisonError;

use rustix::process::Signal;

use super::Postgres;

/// Faults of the whole server: its main process and every child of it, sessions and background
/// workers alike. Each takes some milliseconds.
impl Postgres {
    /// Kills every process (SIGKILL) and waits: nothing writes, answers or replicates any more.
    ///
    /// Unlike after [`kill`](Self::kill), no session outlives the server by a moment.
    pub fn kill_all(&self) {
        self.freeze();
        // A stopped server process collects no children, so their ids are still their own.
        for child in self.children() {
            self.signal_backend(child, Signal::KILL);
        }
        self.paused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.server().kill().expect("the server is killed");
    }

    /// Pauses every process (SIGSTOP): a machine that hangs. The system still accepts connections,
    /// nobody answers, and nothing is replicated.
    pub fn freeze(&self) {
        self.pause();
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // The server process may have made one more child before the signal reached it.
            let mut new = self.children();
            new.retain(|child| !paused.contains(child));
            if new.is_empty() {
                break;
            }
            for child in new {
                self.signal_backend(child, Signal::STOP);
                paused.push(child);
            }
        }
    }

    /// Lets all go on that [`freeze`](Self::freeze) paused (SIGCONT).
    pub fn thaw(&self) {
        self.resume_backends();
        self.resume();
    }

    /// The processes whose parent is the server process; none while it is stopped.
    #[must_use]
    pub fn children(&self) -> Vec<u32> {
        let Some(server) = self.pid() else {
            return Vec::new();
        };
        let list = format!("/proc/{server}/task/{server}/children");
        let listed = fs::read_to_string(list).unwrap_or_else(|_not_linux| children_by_ps(server));
        listed
            .split_whitespace()
            .filter_map(|id| id.parse().ok())
            .collect()
    }
}

fn children_by_ps(server: u32) -> String {
    let output = Command::new("ps")
        .args(["-A", "-o", "pid=,ppid="])
        .output()
        .expect("`ps` is part of every system");
    let mut children = String::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let mut numbers = line.split_whitespace();
        let (child, parent) = (numbers.next(), numbers.next());
        if parent == Some(server.to_string().as_str()) {
            children.push_str(child.unwrap_or_default());
            children.push(' ');
        }
    }
    children
}
