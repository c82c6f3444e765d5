use std::fs;
use std::process::Command;
use std::sync::PoisonError;

use rustix::process::{Pid, Signal, kill_process};

use super::Postgres;

/// Faults of a single backend, by the id that `pg_backend_pid()` tells.
///
/// Only children of this server are touched.
impl Postgres {
    /// Kills a backend (SIGKILL). PostgreSQL then ends all sessions and recovers; see
    /// [`wait_until_ready`](Self::wait_until_ready).
    pub fn kill_backend(&self, backend: u32) {
        assert!(
            self.signal_backend(backend, Signal::KILL),
            "{backend} is no backend of this server"
        );
    }

    /// Pauses a backend (SIGSTOP): its session falls silent in the middle of what it does.
    pub fn pause_backend(&self, backend: u32) {
        assert!(
            self.signal_backend(backend, Signal::STOP),
            "{backend} is no backend of this server"
        );
        self.paused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(backend);
    }

    /// Lets a paused backend go on (SIGCONT).
    pub fn resume_backend(&self, backend: u32) {
        assert!(
            self.signal_backend(backend, Signal::CONT),
            "{backend} is no backend of this server"
        );
    }

    /// Lets every backend go on that was paused and is still there.
    pub(super) fn resume_backends(&self) {
        let paused = {
            let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *paused)
        };
        for backend in paused {
            self.signal_backend(backend, Signal::CONT);
        }
    }

    pub(super) fn signal_backend(&self, backend: u32, signal: Signal) -> bool {
        let Some(server) = self.pid() else {
            return false;
        };
        let id = i32::try_from(backend).ok().and_then(Pid::from_raw);
        match id {
            Some(id) if parent(backend) == Some(server) => kill_process(id, signal).is_ok(),
            _ => false,
        }
    }
}

/// The parent of a process, as the system knows it.
fn parent(process: u32) -> Option<u32> {
    if let Ok(status) = fs::read_to_string(format!("/proc/{process}/status")) {
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        return line.trim().parse().ok();
    }
    let output = Command::new("ps")
        .args(["-o", "ppid=", "-p", &process.to_string()])
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
