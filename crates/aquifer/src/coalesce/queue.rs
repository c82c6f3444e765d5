//! Who looks up now, and who waits for the next group.

use std::panic::Location;
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::LookupKey;
use super::group::{Answer, Shared, serve};

/// Most keys of one group.
const GROUP_MAX: usize = 1000;

/// Most groups under way at once, of one look-up.
const GROUPS_MAX: usize = 4;

/// Most callers that wait for a group, gone ones included: what is beyond is left to the pool, whose
/// queue has a limit of its own.
const WAITING_MAX: usize = 10 * GROUP_MAX;

/// Invariant: while somebody waits, a group is under way, whose turn takes them on when it ends.
#[derive(Debug)]
pub(super) struct Queue<K> {
    waiting: Vec<Waiting<K>>,
    groups: usize,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
            groups: 0,
        }
    }
}

/// A caller that waits for a group.
#[derive(Debug)]
pub(super) struct Waiting<K> {
    pub(super) key: K,
    pub(super) location: &'static Location<'static>,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// How a look-up begins.
pub(super) enum Entry<K: LookupKey> {
    /// Nothing is under way: the caller looks up by itself.
    First(K, Turn<K>),
    /// It will be part of a group.
    Behind(K, oneshot::Receiver<Answer>),
    /// Too many wait already: the caller looks up by itself.
    Beside(K),
}

/// The right to have one group under way; when it ends, those who wait meanwhile are next.
pub(super) struct Turn<K: LookupKey>(Option<Arc<Shared<K>>>);

impl<K: LookupKey> Shared<K> {
    pub(super) fn enter(
        self: &Arc<Self>,
        key: K,
        location: &'static Location<'static>,
    ) -> Entry<K> {
        let mut queue = self.queue();
        if queue.groups == 0 {
            queue.groups = 1;
            return Entry::First(key, Turn(Some(Arc::clone(self))));
        }
        if queue.waiting.len() >= WAITING_MAX {
            return Entry::Beside(key);
        }
        let (answer, receiver) = oneshot::channel();
        queue.waiting.push(Waiting {
            key: key.clone(),
            location,
            answer,
        });
        Entry::Behind(key, receiver)
    }

    /// Somebody has waited long: those who wait are sent beside what is under way.
    pub(super) fn lose_patience(self: &Arc<Self>) {
        let members = {
            let mut queue = self.queue();
            if queue.groups >= GROUPS_MAX {
                return;
            }
            let members = queue.take();
            if members.is_empty() {
                return;
            }
            queue.groups += 1;
            members
        };
        self.spawn(members, Turn(Some(Arc::clone(self))));
    }

    fn spawn(&self, members: Vec<Waiting<K>>, turn: Turn<K>) {
        // Where it can't run, members and turn are dropped: each of them learns that nobody comes.
        self.engine.tasks.spawn(serve(members, turn));
    }

    fn queue(&self) -> MutexGuard<'_, Queue<K>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Queue<K> {
    /// Those who wait, without those who have gone.
    fn take(&mut self) -> Vec<Waiting<K>> {
        self.waiting.retain(|waiting| !waiting.answer.is_closed());
        if self.waiting.len() <= GROUP_MAX {
            return std::mem::take(&mut self.waiting);
        }
        self.waiting.drain(..GROUP_MAX).collect()
    }
}

impl<K: LookupKey> Turn<K> {
    pub(super) fn shared(&self) -> Option<&Arc<Shared<K>>> {
        self.0.as_ref()
    }

    /// The next group; `None` when nobody waits, and then the turn is over.
    pub(super) fn next(&mut self) -> Option<Vec<Waiting<K>>> {
        let shared = self.0.as_ref()?;
        let mut queue = shared.queue();
        let members = queue.take();
        if members.is_empty() {
            queue.groups -= 1;
            drop(queue);
            self.0 = None;
            return None;
        }
        Some(members)
    }
}

impl<K: LookupKey> Drop for Turn<K> {
    fn drop(&mut self) {
        // Whoever had it is done, or was dropped half-way: a task of the layer goes on.
        if let Some(members) = self.next()
            && let Some(shared) = self.0.take()
        {
            shared.spawn(members, Self(Some(Arc::clone(&shared))));
        }
    }
}
