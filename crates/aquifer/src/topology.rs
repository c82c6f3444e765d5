//! The hosts of one database: who plays which part, and what is still possible.
//!
//! What follows from what hosts say is decided by [`aquifer_core::topology`]; here they are asked
//! ([`prober`]), the outcome is kept where it can be read without waiting ([`View`]), and whoever has
//! to act on a change is told while it happens. With a single host nobody is asked: it is judged by
//! how opening connections to it goes.

mod connector;
mod consistency;
mod events;
mod prober;
mod view;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

pub(crate) use aquifer_core::topology::Rules;
use aquifer_core::topology::{Answer, Change, Topology as Decisions};
use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub(crate) use self::connector::{Connector, Tuning};
pub use self::consistency::Consistency;
pub(crate) use self::consistency::POSITION;
pub(crate) use self::view::View;
use crate::deadline::{Deadline, Elapsed};
use crate::observe::{Mode, Observers};
use crate::tasks::Tasks;
use crate::{Error, clock};

/// How long to wait for a host's word before it is called again.
const CONFIRM_MAX: Duration = Duration::from_secs(1);

/// A handle on what is known about the hosts; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Topology(Arc<Inner>);

struct Inner {
    names: Box<[Arc<str>]>,
    state: Mutex<Decisions>,
    /// As of the last report.
    view: ArcSwap<View>,
    /// Held while a change is acted upon and told, so that changes keep their order.
    acting: Mutex<()>,
    /// Who acts on changes, within [`Topology::report`].
    acts: OnceLock<Act>,
    /// Told after each report.
    reported: Notify,
    /// Who asks each host; empty where nobody does.
    probers: Box<[Asking]>,
    /// What probers need; set when the asking begins.
    means: OnceLock<Means>,
    /// Why each host did not answer when it was asked last.
    failures: Mutex<Vec<Option<Error>>>,
    /// Writes must ask whether they are worth trying.
    writes_guarded: AtomicBool,
    observers: Observers,
    closed: AtomicBool,
}

/// The task that asks one host.
#[derive(Default)]
struct Asking {
    told: Arc<Notify>,
    task: Mutex<Option<AbortHandle>>,
}

struct Means {
    /// One for each host.
    connectors: Vec<Connector>,
    probe_timeout: Duration,
    tasks: Arc<Tasks>,
}

type Act = Box<dyn Fn(&View) + Send + Sync>;

impl Topology {
    /// Of hosts that nobody has asked yet; `probed` says whether somebody will.
    pub(crate) fn new(
        names: impl IntoIterator<Item = Arc<str>>,
        rules: Rules,
        probed: bool,
        observers: Observers,
    ) -> Self {
        let names: Box<[Arc<str>]> = names.into_iter().collect();
        let state = Decisions::new(names.len(), rules, now());
        let view = ArcSwap::from_pointee(View::of(&state, names.len()));
        let probers = names.iter().take(if probed { names.len() } else { 0 });
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            view,
            acting: Mutex::default(),
            acts: OnceLock::new(),
            reported: Notify::new(),
            probers: probers.map(|_| Asking::default()).collect(),
            means: OnceLock::new(),
            failures: Mutex::new(vec![None; names.len()]),
            writes_guarded: AtomicBool::new(false),
            observers,
            closed: AtomicBool::new(false),
            names,
        }))
    }

    /// Calls `act` with each new view, before anybody else sees it; it must not report.
    pub(crate) fn on_change(&self, act: impl Fn(&View) + Send + Sync + 'static) {
        let _first = self.0.acts.set(Box::new(act));
    }

    /// Begins to ask the hosts, each by a connection of its own.
    pub(crate) fn start(
        &self,
        connectors: Vec<Connector>,
        probe_timeout: Duration,
        tasks: &Arc<Tasks>,
    ) {
        let _first = self.0.means.set(Means {
            connectors,
            probe_timeout,
            tasks: Arc::clone(tasks),
        });
        self.ensure();
    }

    /// Starts anew who does not ask any more: the runtime on which they ran may have ended.
    pub(crate) fn ensure(&self) {
        self.0.ensure();
    }

    /// What is known now.
    pub(crate) fn view(&self) -> arc_swap::Guard<Arc<View>> {
        self.0.view.load()
    }

    pub(crate) fn mode(&self) -> Mode {
        self.view().mode
    }

    pub(crate) fn names(&self) -> &[Arc<str>] {
        &self.0.names
    }

    /// Waits for what `find` looks for in a view.
    ///
    /// Cancellation: nothing is lost.
    pub(crate) async fn find<T>(
        &self,
        deadline: Deadline,
        mut find: impl FnMut(&View) -> Option<T>,
    ) -> Result<T, Elapsed> {
        let found = async {
            loop {
                let mut reported = std::pin::pin!(self.0.reported.notified());
                reported.as_mut().enable();
                if let Some(found) = find(&self.view()) {
                    return found;
                }
                reported.await;
            }
        };
        deadline.run(found).await
    }

    /// Waits until there is a host for calls that ask for none in particular, as far as hosts can be
    /// expected to answer.
    ///
    /// # Errors
    /// Why no host answers, if none does.
    pub(crate) async fn settle(&self, deadline: Deadline) -> Result<(), Error> {
        let settled = |view: &View| {
            if view.main.is_some() {
                return Some(Ok(()));
            }
            let failed = view.all_asked && view.hosts.iter().all(|host| host.last_seen.is_none());
            failed.then(|| Err(self.no_host()))
        };
        match self.find(deadline, settled).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(self.no_host()),
        }
    }

    /// Something looks wrong with a host: all are asked at once, and often from now on.
    pub(crate) fn fault(&self) {
        self.0.fault();
    }

    /// Has a host asked now, for somebody who waits for what it will say.
    pub(crate) fn ask(&self, host: usize) {
        if let Some(told) = self.0.probers.get(host) {
            told.told.notify_one();
        }
    }

    /// Waits until the host that most calls go to has said again what it is; for a moment at most.
    pub(crate) async fn confirm(&self, deadline: Deadline) {
        let start = now();
        self.fault();
        self.0.wake_probers();
        let heard = |view: &View| {
            let main = view.main.and_then(|main| view.hosts.get(main));
            let seen = main.and_then(|main| main.last_seen);
            seen.filter(|seen| *seen > start)
        };
        drop(self.find(deadline.at_most(CONFIRM_MAX), heard).await);
    }

    /// A write found the disk full.
    pub(crate) fn disk_full(&self) {
        self.0.report(|state| state.disk_full(now()));
    }

    /// Whether writes must [ask](Self::may_write) before they are sent, and
    /// [tell](Self::wrote) when they went well.
    pub(crate) fn guards_writes(&self) -> bool {
        self.0.writes_guarded.load(Ordering::Relaxed)
    }

    /// Whether a write is worth trying.
    pub(crate) fn may_write(&self) -> bool {
        self.0.lock().may_write(now())
    }

    /// A write went well while they were guarded.
    pub(crate) fn wrote(&self) {
        self.0.report(|state| state.wrote(now()));
    }

    /// Whether a call that found no host for it may wait for one.
    pub(crate) fn may_wait(&self) -> bool {
        self.0.lock().may_wait(now())
    }

    /// What a pool tells about its host.
    pub(crate) fn reports(&self, host: usize) -> Reports {
        let topology = Arc::downgrade(&self.0);
        Reports { topology, host }
    }

    /// Ends the asking.
    pub(crate) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.wake_probers();
        self.0.reported.notify_waiters();
    }

    /// Why there is no host for a call.
    pub(crate) fn no_host(&self) -> Error {
        let failures = self.0.failures();
        view::no_host(&self.0.names, &failures, &self.view())
    }
}

/// Where a pool tells what it meets with its host.
#[derive(Clone)]
pub(crate) struct Reports {
    topology: Weak<Inner>,
    host: usize,
}

impl Reports {
    /// A connection was opened; `standby` as the server says about itself.
    pub(crate) fn opened(&self, standby: bool) {
        let Some(inner) = self.topology.upgrade() else {
            return;
        };
        // Where hosts are asked, their answers count.
        if inner.probers.is_empty() {
            inner.succeeded(self.host);
            let answer = Answer {
                standby,
                ..Answer::default()
            };
            inner.report(|state| state.answered(self.host, answer, now()));
        }
    }

    /// A connection could not be opened, or ended, in a way that says something about the host.
    pub(crate) fn failed(&self, error: Option<&Error>) {
        let Some(inner) = self.topology.upgrade() else {
            return;
        };
        if !inner.probers.is_empty() {
            inner.fault();
        } else if let Some(error) = error {
            inner.failed(self.host, error.clone());
            inner.report(|state| state.missed(self.host, now()));
        }
    }
}

impl Inner {
    /// Has the reports decided upon, acts on what follows, and tells it.
    fn report(&self, decide: impl FnOnce(&mut Decisions) -> Vec<Change>) {
        let _in_order = self.acting.lock().unwrap_or_else(PoisonError::into_inner);
        let (changes, view, alarmed) = {
            let mut state = self.lock();
            let was_alarmed = state.is_alarmed(now());
            let changes = decide(&mut state);
            let view = Arc::new(View::of(&state, self.names.len()));
            (changes, view, state.is_alarmed(now()) && !was_alarmed)
        };
        self.writes_guarded.store(view.disk_full, Ordering::Relaxed);
        if let Some(act) = self.acts.get() {
            act(&view);
        }
        self.view.store(Arc::clone(&view));
        if alarmed {
            self.wake_probers();
        }
        for change in changes {
            self.tell(change, &view);
        }
        self.reported.notify_waiters();
    }

    fn ensure(self: &Arc<Self>) {
        let Some(means) = self.means.get().filter(|_| !self.is_closed()) else {
            return;
        };
        let hosts = self.probers.iter().zip(&means.connectors).enumerate();
        for (host, (asking, connector)) in hosts {
            let mut task = asking.task.lock().unwrap_or_else(PoisonError::into_inner);
            if task.as_ref().is_none_or(AbortHandle::is_finished) {
                let (topology, connector) = (Arc::downgrade(self), connector.clone());
                let run = prober::run(topology, host, connector, means.probe_timeout);
                *task = means.tasks.spawn(run);
            }
        }
    }

    fn fault(self: &Arc<Self>) {
        self.ensure();
        let was_alarmed = {
            let mut state = self.lock();
            let was_alarmed = state.is_alarmed(now());
            state.alarm(now());
            was_alarmed
        };
        if !was_alarmed {
            self.wake_probers();
        }
    }

    fn wake_probers(&self) {
        for asking in &self.probers {
            asking.told.notify_one();
        }
    }

    fn failed(&self, host: usize, error: Error) {
        if let Some(failure) = self.failures().get_mut(host) {
            *failure = Some(error);
        }
    }

    fn succeeded(&self, host: usize) {
        if let Some(failure) = self.failures().get_mut(host) {
            *failure = None;
        }
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Vec<Option<Error>>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Decisions> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Topology")
            .field("names", &self.names)
            .field("view", &self.view)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Reports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Reports({})", self.host)
    }
}

/// The time for the decisions, which know nothing of tokio.
fn now() -> std::time::Instant {
    clock::now().into_std()
}
