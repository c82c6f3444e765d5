//! Look-ups that wait together for one answer.

use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::rows::Rows;
use crate::Error;
use crate::deadline::Deadline;

/// Most look-ups in one place; a group takes as many places as it needs, half of them where it is
/// to leave the others to a second group.
pub(super) const ROOM: usize = 32;

/// Look-ups that wait together. Whoever answers them writes the answer once and wakes all; each
/// finds its own rows in it.
#[derive(Debug)]
pub(super) struct Waiters<K> {
    answer: OnceLock<Answer>,
    state: Mutex<State<K>>,
}

#[derive(Debug)]
struct State<K> {
    members: Vec<Member<K>>,
    /// How many have not gone.
    here: usize,
    /// Who runs their group, to be woken when all have gone.
    runner: Option<Waker>,
}

#[derive(Debug)]
struct Member<K> {
    key: Option<K>,
    location: &'static Location<'static>,
    deadline: Deadline,
    stage: Stage,
    waker: Option<Waker>,
}

/// Waiting → late → gone, or waiting → gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    /// Its time is over, and it was woken to be told so.
    Late,
    Gone,
}

/// What the members of a group are told.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// The rows of the whole group.
    Found(Arc<Rows>),
    Failed(Error),
    /// The group failed, perhaps by another member's key.
    Alone,
    /// Nobody runs the group any more.
    Closed,
}

#[derive(Debug)]
struct Answer {
    outcome: Outcome,
    /// The number within the group of the first one here.
    first: usize,
}

/// What one look-up is told: the outcome of its group and its own number there; `None` when its time
/// is over.
pub(super) type Told = Option<(Outcome, usize)>;

impl<K> Waiters<K> {
    pub(super) fn new() -> Self {
        Self {
            answer: OnceLock::new(),
            state: Mutex::new(State {
                members: Vec::with_capacity(ROOM),
                here: 0,
                runner: None,
            }),
        }
    }

    /// One look-up more; called only before they are taken for a group.
    pub(super) fn add(
        self: &Arc<Self>,
        key: K,
        location: &'static Location<'static>,
        deadline: Deadline,
    ) -> Ticket<K> {
        let mut state = self.state();
        let place = state.members.len();
        state.members.push(Member {
            key: Some(key),
            location,
            deadline,
            stage: Stage::Waiting,
            waker: None,
        });
        state.here += 1;
        drop(state);
        Ticket {
            waiters: Arc::clone(self),
            place,
        }
    }

    /// The keys of those who still wait: calls `take` for each member, with `None` for one who does
    /// not.
    pub(super) fn take_keys(&self, mut take: impl FnMut(Option<(K, &'static Location<'static>)>)) {
        for member in &mut self.state().members {
            let waits = member.stage == Stage::Waiting;
            let key = member.key.take().filter(|_| waits);
            take(key.map(|key| (key, member.location)));
        }
    }

    /// Tells all; `first` is the number within the group of the first one here. Returns how many
    /// there are. What they were told before stays.
    pub(super) fn tell(&self, outcome: Outcome, first: usize) -> usize {
        if self.answer.set(Answer { outcome, first }).is_err() {
            return 0;
        }
        // After the answer: who comes in between finds it there.
        let mut state = self.state();
        let mut wakers = [const { None }; ROOM];
        for (member, waker) in state.members.iter_mut().zip(&mut wakers) {
            *waker = member.waker.take();
        }
        let count = state.members.len();
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
        count
    }

    /// Tells those whose time is over.
    pub(super) fn expire(&self, now: Instant) {
        let mut late = Vec::new();
        for member in &mut self.state().members {
            if member.stage == Stage::Waiting && member.deadline.left_at(now).is_zero() {
                member.stage = Stage::Late;
                late.extend(member.waker.take());
            }
        }
        late.into_iter().for_each(Waker::wake);
    }

    /// Ready when all have gone.
    pub(super) fn poll_gone(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.here == 0 {
            return Poll::Ready(());
        }
        state.runner = Some(context.waker().clone());
        Poll::Pending
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One look-up's wait for its answer; dropped, the look-up has gone.
#[derive(Debug)]
pub(super) struct Ticket<K> {
    waiters: Arc<Waiters<K>>,
    place: usize,
}

impl<K> Ticket<K> {
    fn told(&self) -> Option<Told> {
        let Answer { outcome, first } = self.waiters.answer.get()?;
        let number = first + self.place;
        // Its time was over when the group was made, and the answer is only to the others.
        let late = matches!(outcome, Outcome::Found(rows) if !rows.is_for(number));
        Some((!late).then(|| (outcome.clone(), number)))
    }
}

impl<K> Future for Ticket<K> {
    type Output = Told;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Told> {
        if let Some(told) = self.told() {
            return Poll::Ready(told);
        }
        let mut state = self.waiters.state();
        // Once more, under the lock under which wakers are taken.
        if let Some(told) = self.told() {
            return Poll::Ready(told);
        }
        if let Some(member) = state.members.get_mut(self.place) {
            if member.stage == Stage::Late {
                return Poll::Ready(None);
            }
            member.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

impl<K> Drop for Ticket<K> {
    fn drop(&mut self) {
        if self.waiters.answer.get().is_some() {
            return;
        }
        let mut state = self.waiters.state();
        if let Some(member) = state.members.get_mut(self.place) {
            member.stage = Stage::Gone;
            member.waker = None;
        }
        state.here -= 1;
        let last = state.here == 0;
        let runner = state.runner.take_if(|_| last);
        drop(state);
        runner.into_iter().for_each(Waker::wake);
    }
}
