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
pub(super) struct Processes<'p> {
    program: Box<dyn Fn() -> Command + 'p>,
    running: Vec<Running>,
    told: Arc<Told>,
    /// Dropped after the processes: it ends those that are left, also after `kill -9` of this one.
    scratch: Scratch,
}

#[derive(Debug)]
struct Running {
    part: Part,
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
    /// Of those that nobody ends.
    ended: usize,
    /// The number of one that somebody ends.
    ending: Option<usize>,
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

impl<'p> Processes<'p> {
    /// Starts them, and waits until each can be told what to do.
    pub(super) fn start(
        parts: impl Iterator<Item = Part>,
        program: impl Fn() -> Command + 'p,
    ) -> Self {
        let mut processes = Self {
            program: Box::new(program),
            running: Vec::new(),
            told: Arc::new(Told::default()),
            scratch: Scratch::new("trial"),
        };
        for part in parts {
            let running = processes.begin(part);
            processes.running.push(running);
        }
        processes.until("each is ready", |state, all| state.ready == all);
        processes
    }

    fn begin(&mut self, part: Part) -> Running {
        let mut command = (self.program)();
        part.give_to(&mut command);
        let watchdog = &mut self.scratch.watchdog;
        let mut child = command
            .process_group(watchdog.process_group())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process of the trial starts");
        watchdog.watch(child.id()).expect("the watchdog lives");
        let orders = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let listener = thread::spawn({
            let (told, number) = (Arc::clone(&self.told), part.number);
            move || told.listen(number, output)
        });
        Running {
            part,
            child: Mutex::new(child),
            orders,
            listener: Some(listener),
        }
    }

    /// Ends one as by `kill -9`: at once, or as soon as it reaches a failpoint. Another one takes its place,
    /// which knows nothing of it.
    pub(super) fn replace(&mut self, place: usize, failpoint: Option<&str>) {
        let Some(old) = self.running.get(place) else {
            return;
        };
        let mut part = old.part.clone();
        self.told.lock().ending = Some(part.number);
        match failpoint {
            Some(failpoint) => old.order(&format!("end-when {failpoint}")),
            None => self.signal(place, Signal::KILL),
        }
        self.until("one has ended", |state, _| state.ending.is_none());
        self.told.lock().ready = 0;
        part.number += super::PROCESSES;
        let new = self.begin(part);
        if let Some(running) = self.running.get_mut(place) {
            std::mem::replace(running, new).join();
        }
        self.until("the other is ready", |state, _| state.ready == 1);
        if let Some(new) = self.running.get(place) {
            new.order("go");
        }
    }

    /// Tells all of them to do something.
    pub(super) fn order(&self, order: &str) {
        for running in &self.running {
            running.order(order);
        }
    }

    /// Lets the writers of one of them, or of all, make a pause, or go on.
    pub(super) fn rest(&self, whom: Option<usize>, rest: bool) {
        for (place, running) in self.running.iter().enumerate() {
            if whom.is_none_or(|whom| whom == place) {
                running.order(if rest { "rest" } else { "work" });
            }
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
        for running in running {
            running.join();
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

impl Running {
    fn order(&self, order: &str) {
        let line = format!("{order}\n");
        (&self.orders)
            .write_all(line.as_bytes())
            .expect("the process reads what it is told");
    }

    /// Waits for its end, which is that of what it is told; one that hangs must not hold up the others.
    fn join(self) {
        drop(self.orders);
        let child = self.child.into_inner();
        let mut child = child.unwrap_or_else(PoisonError::into_inner);
        let ended = || child.try_wait().ok().flatten().is_some();
        if !crate::scratch::holds_within(Duration::from_secs(10), ended) {
            let _ended = child.kill();
        }
        let _waited = child.wait();
        if let Some(listener) = self.listener {
            listener.join().expect("its output is read");
        }
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
        let mut state = self.lock();
        if state.ending == Some(process) {
            state.ending = None;
        } else {
            state.ended += 1;
        }
        self.changed.notify_all();
    }
}
