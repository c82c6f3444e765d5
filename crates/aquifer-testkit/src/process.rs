use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::background::PATIENCE;
use crate::scratch::Scratch;

/// A server that keeps nothing, so that it may be killed; it ends with the test process.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts a program, whose output nobody reads.
    pub(crate) fn start(command: &mut Command, scratch: &mut Scratch, missing: &str) -> Self {
        let child = command
            .current_dir("/")
            .process_group(scratch.watchdog.process_group())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{missing} ({error})"));
        let process = Self(child);
        scratch
            .watchdog
            .watch(process.id())
            .expect("the watchdog lives");
        process
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("our child").is_some()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // The child has not been waited for, so its id is still its own.
        kill_process(Pid::from_child(&self.0), signal).expect("our own child");
    }

    /// Ends it, also if it is paused, and waits.
    pub(crate) fn end(&mut self, signal: Signal) {
        if self.has_ended() {
            return;
        }
        self.signal(signal);
        self.signal(Signal::CONT);
        let end = Instant::now() + PATIENCE;
        while !self.has_ended() {
            assert!(Instant::now() < end, "a server does not end");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // There is nothing to end in order. Failures: it has ended already.
        let _ended = self.0.kill();
        let _waited = self.0.wait();
    }
}

/// Starts something on a port that is free; `start` returns `None` where somebody else has taken the
/// port between our look and the server's own.
pub(crate) fn on_free_port<T>(start: impl FnMut(u16) -> Option<T>) -> Option<T> {
    let port = |_attempt| aquifer_embedded::free_port().expect("a free port");
    (0..20).map(port).find_map(start)
}
