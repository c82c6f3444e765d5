use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::BOUND;
use super::history::History;
use super::part::Part;
use super::record::Record;
use crate::background::PATIENCE;
use crate::scratch::Scratch;

/// The processes of a trial; they end with it.
#[derive(Debug)]
pub(super) struct Processes {
    running: Vec<Running>,
    told: Arc<Told>,
    /// Dropped after the processes: it ends those that are left, also after `kill -9` of this one.
    _scratch: Scratch,
}

#[derive(Debug)]
struct Running {
    child: Mutex<Child>,
    orders: ChildStdin,
    listener: Option<JoinHandle<()>>,
}

/// What they have said.
#[derive(Debug, Default)]
struct Told {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    history: History,
    /// Answers to orders, of all processes.
    ready: usize,
    quiet: usize,
    herds: Vec<u64>,
    ended: usize,
}

/// A view of the history.
pub(super) struct Seen<'a>(MutexGuard<'a, State>);

impl Seen<'_> {
    pub(super) fn reads(&self) -> u64 {
        self.0.history.reads()
    }

    pub(super) fn is_wrong(&self) -> bool {
        let bound = u64::try_from(BOUND.as_nanos()).unwrap_or(u64::MAX);
        !self.0.history.violations(bound).is_empty()
    }
}

impl Processes {
    /// Starts them, and waits until each can be told what to do.
    pub(super) fn start(parts: impl Iterator<Item = Part>, process: impl Fn() -> Command) -> Self {
        let mut scratch = Scratch::new("trial");
        let told = Arc::new(Told::default());
        let start = |part: Part| {
            let mut command = process();
            part.give_to(&mut command);
            let mut child = command
                .process_group(scratch.watchdog.process_group())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("a process of the trial starts");
            scratch
                .watchdog
                .watch(child.id())
                .expect("the watchdog lives");
            let orders = child.stdin.take().expect("it is piped");
            let output = BufReader::new(child.stdout.take().expect("it is piped"));
            let listener = thread::spawn({
                let told = Arc::clone(&told);
                move || told.listen(part.number, output)
            });
            Running {
                child: Mutex::new(child),
                orders,
                listener: Some(listener),
            }
        };
        let running: Vec<Running> = parts.map(start).collect();
        let processes = Self {
            running,
            told,
            _scratch: scratch,
        };
        processes.until("each is ready", |state, all| state.ready == all);
        processes
    }

    /// Tells all of them to do something.
    pub(super) fn order(&self, order: &str) {
        for running in &self.running {
            let line = format!("{order}\n");
            (&running.orders)
                .write_all(line.as_bytes())
                .expect("the process reads what it is told");
        }
    }

    /// Lets many callers in all of them miss the same cell; returns how many loads that took.
    pub(super) fn herd(&mut self, cell: u32) -> u64 {
        self.told.lock().herds.clear();
        self.order(&format!("herd {cell}"));
        self.until("the herd is served", |state, all| state.herds.len() == all);
        self.told.lock().herds.iter().sum()
    }

    /// After the last fault: writes end, all debts are paid, and then everybody reads what is there.
    pub(super) fn settle(&self, bound: Duration) {
        for order in ["quiet", "last"] {
            self.told.lock().quiet = 0;
            self.order(order);
            self.until("each is quiet", |state, all| state.quiet == all);
            thread::sleep(bound);
        }
    }

    pub(super) fn history(&self) -> Seen<'_> {
        Seen(self.told.lock())
    }

    /// Panics if one has ended.
    pub(super) fn check(&self) {
        assert_eq!(
            self.told.lock().ended,
            0,
            "a process of the trial has ended"
        );
    }

    pub(super) fn signal(&self, process: usize, signal: Signal) {
        let Some(running) = self.running.get(process) else {
            return;
        };
        // The child has not been waited for, so its id is still its own.
        let child = running.child.lock().unwrap_or_else(PoisonError::into_inner);
        kill_process(Pid::from_child(&child), signal).expect("our own child");
    }

    /// Ends them, and returns what they have told.
    pub(super) fn end(self) -> History {
        let Self { running, told, .. } = self;
        for mut running in running {
            // The end of what it is told ends it; one that hangs must not hold up the others.
            drop(running.orders);
            let mut child = running
                .child
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner);
            let ended = || child.try_wait().ok().flatten().is_some();
            if !crate::scratch::holds_within(Duration::from_secs(10), ended) {
                let _ended = child.kill();
            }
            let _waited = child.wait();
            if let Some(listener) = running.listener.take() {
                listener.join().expect("its output is read");
            }
        }
        let mut state = told.lock();
        std::mem::take(&mut state.history)
    }

    fn until(&self, what: &str, condition: impl Fn(&State, usize) -> bool) {
        let all = self.running.len();
        let waits = |state: &mut State| !condition(state, all) && state.ended == 0;
        let (state, waited) = self
            .told
            .changed
            .wait_timeout_while(self.told.lock(), PATIENCE, waits)
            .unwrap_or_else(PoisonError::into_inner);
        assert_eq!(
            state.ended, 0,
            "a process of the trial has ended before {what}"
        );
        assert!(!waited.timed_out(), "not within {PATIENCE:?}: {what}");
    }
}

impl Told {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, process: usize, output: impl BufRead) {
        for line in output.lines().map_while(Result::ok) {
            let Some(record) = Record::parse(&line) else {
                continue;
            };
            let mut state = self.lock();
            match &record {
                Record::Ready => state.ready += 1,
                Record::Quiet => state.quiet += 1,
                Record::Herd(loads) => state.herds.push(*loads),
                _ => {}
            }
            state.history.add(process, record);
            self.changed.notify_all();
        }
        self.lock().ended += 1;
        self.changed.notify_all();
    }
}
