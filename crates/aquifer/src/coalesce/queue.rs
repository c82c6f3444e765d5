//! Who looks up now, and who waits for the next group.

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::LookupKey;
use super::group::{Group, Shared, serve};
use super::waiters::{ROOM, Ticket, Waiters};
use crate::clock;
use crate::deadline::Deadline;

/// Most keys of one group.
const GROUP_MAX: usize = 1000;

/// Turns as a rule: while the server works on one group, this side works on the other.
const TURNS: usize = 2;

/// Most turns, of one look-up, where groups are stuck.
const TURNS_MAX: usize = 4;

/// Most callers that wait for a group, gone ones included: what is beyond is left to the pool, whose
/// queue has a limit of its own.
const WAITING_MAX: usize = 10 * GROUP_MAX;

/// How often a turn lets others run before it takes those who wait.
const YIELDS_MAX: usize = 8;

/// Invariants:
/// - While somebody waits, there is a turn, which takes them on when it ends.
/// - While somebody waits who has no timer, there is a turn in a task of the layer, which has one.
#[derive(Debug)]
pub(super) struct Queue<K> {
    /// Those who wait, oldest first; all but the last are full.
    places: VecDeque<Place<K>>,
    /// How many they are together.
    waiting: usize,
    turns: usize,
    /// Of these, those in tasks of the layer.
    tasks: usize,
    /// Of these, those that are about to take who waits.
    gathering: usize,
    /// Look-ups that the others are answering.
    under_way: usize,
}

/// Those who wait together, and how many they are.
type Place<K> = (Arc<Waiters<K>>, usize);

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self {
            places: VecDeque::new(),
            waiting: 0,
            turns: 0,
            tasks: 0,
            gathering: 0,
            under_way: 0,
        }
    }
}

/// How a look-up begins.
pub(super) enum Entry<K: LookupKey> {
    /// The caller looks up by itself.
    First(K, Turn<K>),
    /// It will be part of a group.
    Behind(Behind<K>),
    /// Too many wait already: the caller looks up by itself.
    Beside(K),
}

/// A look-up that will be part of a group.
pub(super) struct Behind<K> {
    pub(super) key: K,
    pub(super) ticket: Ticket<K>,
    pub(super) deadline: Deadline,
    /// Whether a task of the layer sees to it that it does not wait for long.
    pub(super) attended: bool,
}

/// The right to have one group under way; when it ends, those who wait meanwhile are next.
pub(super) struct Turn<K: LookupKey> {
    shared: Arc<Shared<K>>,
    stage: Stage,
    is_task: bool,
}

/// Gathering ⇄ under way.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// So many were answered, and may be about to look up again.
    Gathering(usize),
    /// So many are being answered.
    UnderWay(usize),
}

impl<K: LookupKey> Shared<K> {
    pub(super) fn enter(
        self: &Arc<Self>,
        key: K,
        location: &'static Location<'static>,
    ) -> Entry<K> {
        let mut queue = self.queue();
        if queue.may_go(1) && queue.waiting == 0 {
            let turn = queue.turn(self, Stage::UnderWay(1), false);
            return Entry::First(key, turn);
        }
        if queue.waiting >= WAITING_MAX {
            return Entry::Beside(key);
        }
        let deadline = Deadline::after(self.engine.query_timeout);
        let ticket = queue.add(key.clone(), location, deadline);
        let attended = queue.tasks > 0;
        let turn = queue
            .may_go(0)
            .then(|| queue.turn(self, Stage::Gathering(0), true));
        drop(queue);
        if let Some(turn) = turn {
            self.spawn(turn, None);
        }
        Entry::Behind(Behind {
            key,
            ticket,
            deadline,
            attended,
        })
    }

    /// Somebody may have waited long: those who wait are sent beside what is under way.
    pub(super) fn lose_patience(self: &Arc<Self>) {
        let queue = self.queue();
        if queue.turns < TURNS_MAX && queue.gathering == 0 {
            self.launch(queue);
        }
    }

    /// Tells those whose time is over, of a group under way and of those who wait.
    pub(super) fn expire(&self, group: &Group<K>) {
        let now = clock::now();
        let waiting: Vec<_> = {
            let queue = self.queue();
            let places = queue.places.iter();
            places.map(|(waiters, _)| Arc::clone(waiters)).collect()
        };
        for waiters in group.0.iter().chain(&waiting) {
            waiters.expire(now);
        }
    }

    /// Has a task of the layer run those who wait.
    fn launch(self: &Arc<Self>, mut queue: MutexGuard<'_, Queue<K>>) {
        if queue.waiting == 0 {
            return;
        }
        let mut turn = queue.turn(self, Stage::Gathering(0), true);
        let group = turn.take(&mut queue);
        drop(queue);
        self.spawn(turn, Some(group));
        let queue = self.queue();
        if queue.may_go(0) {
            self.launch(queue);
        }
    }

    fn spawn(&self, turn: Turn<K>, group: Option<Group<K>>) {
        // Where it can't run, group and turn are dropped: each member learns that nobody comes.
        self.engine.tasks.spawn(serve(turn, group));
    }

    fn queue(&self) -> MutexGuard<'_, Queue<K>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: LookupKey> Queue<K> {
    /// Whether those who wait, and so many more, may go now: when nothing is under way, or one group
    /// that is at most twice as large, so that groups stay large under load.
    fn may_go(&self, more: usize) -> bool {
        match self.turns {
            0 => true,
            turns if turns < TURNS => {
                self.gathering == 0 && 2 * (self.waiting + more) >= self.under_way
            }
            _ => false,
        }
    }

    fn turn(&mut self, shared: &Arc<Shared<K>>, stage: Stage, is_task: bool) -> Turn<K> {
        self.turns += 1;
        self.tasks += usize::from(is_task);
        self.enter(stage);
        Turn {
            shared: Arc::clone(shared),
            stage,
            is_task,
        }
    }

    fn enter(&mut self, stage: Stage) {
        match stage {
            Stage::Gathering(_) => self.gathering += 1,
            Stage::UnderWay(count) => self.under_way += count,
        }
    }

    fn leave(&mut self, stage: Stage) {
        match stage {
            Stage::Gathering(_) => self.gathering -= 1,
            Stage::UnderWay(count) => self.under_way -= count,
        }
    }

    fn add(
        &mut self,
        key: K,
        location: &'static Location<'static>,
        deadline: Deadline,
    ) -> Ticket<K> {
        self.waiting += 1;
        if let Some((waiters, count)) = self.places.back_mut()
            && *count < ROOM
        {
            *count += 1;
            return waiters.add(key, location, deadline);
        }
        let waiters = Arc::new(Waiters::new());
        let ticket = waiters.add(key, location, deadline);
        self.places.push_back((waiters, 1));
        ticket
    }

    /// Those who wait, as far as one group takes them, and how many they are. Half of them where
    /// nothing else is under way: the others go right behind, and the two overlap from then on.
    fn take(&mut self) -> (Group<K>, usize) {
        let alone = self.turns == 1;
        let most = match self.waiting.div_ceil(2) {
            half if alone && half >= ROOM => half.min(GROUP_MAX),
            _ => GROUP_MAX,
        };
        let (mut taken, mut count) = (Vec::new(), 0);
        while let Some((waiters, of)) = self
            .places
            .pop_front_if(|(_, of)| count == 0 || count + *of <= most)
        {
            taken.push(waiters);
            count += of;
        }
        self.waiting -= count;
        (Group(taken), count)
    }
}

impl<K: LookupKey> Turn<K> {
    pub(super) fn shared(&self) -> &Arc<Shared<K>> {
        &self.shared
    }

    /// The group was answered.
    pub(super) fn answered(&mut self) {
        let mut queue = self.shared.queue();
        let Stage::UnderWay(count) = self.stage else {
            return;
        };
        queue.leave(self.stage);
        self.stage = Stage::Gathering(count);
        queue.enter(self.stage);
    }

    /// The next group, once those who were answered are back, as far as they come back at once;
    /// `None` when the turn is over.
    pub(super) async fn gather(&mut self) -> Option<Group<K>> {
        let Stage::Gathering(answered) = self.stage else {
            return None;
        };
        let mut before = 0;
        for lap in 0..YIELDS_MAX {
            tokio::task::yield_now().await;
            let waiting = self.shared.queue().waiting;
            if waiting >= answered || lap > 0 && waiting == before {
                break;
            }
            before = waiting;
        }
        let shared = Arc::clone(&self.shared);
        let mut queue = shared.queue();
        let few = 2 * queue.waiting < queue.under_way;
        if queue.waiting == 0 || few && queue.tasks > 1 {
            return None;
        }
        let group = self.take(&mut queue);
        if queue.may_go(0) {
            shared.launch(queue);
        }
        Some(group)
    }

    fn take(&mut self, queue: &mut Queue<K>) -> Group<K> {
        queue.leave(self.stage);
        let (group, count) = queue.take();
        self.stage = Stage::UnderWay(count);
        queue.enter(self.stage);
        group
    }
}

impl<K: LookupKey> Drop for Turn<K> {
    fn drop(&mut self) {
        // Whoever had it is done, or was dropped half-way: a task of the layer goes on.
        let mut queue = self.shared.queue();
        queue.leave(self.stage);
        queue.turns -= 1;
        queue.tasks -= usize::from(self.is_task);
        if queue.tasks == 0 || queue.may_go(0) {
            self.shared.launch(queue);
        }
    }
}
