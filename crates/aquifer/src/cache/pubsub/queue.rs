use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Most messages that wait for one subscriber, and most bytes of them.
pub(super) const MESSAGES_MAX: usize = 1_024;
pub(super) const BYTES_MAX: usize = 16 << 20;

/// A message as it came.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) channel: Arc<str>,
    pub(crate) payload: Arc<[u8]>,
}

/// What a subscriber gets.
#[derive(Debug)]
pub(crate) enum Taken {
    Message(Raw),
    /// So many are known to be missing, besides those that nobody knows of.
    Gap(u64),
}

/// What waits for one subscriber. One who is too slow loses the oldest, and nobody waits for it.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    news: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Item>,
    bytes: usize,
    /// Before the first that waits some are missing.
    gap: Option<u64>,
    dropped: u64,
    ended: bool,
}

#[derive(Debug)]
enum Item {
    Message(Raw),
    Gap,
}

impl Queue {
    pub(super) fn push(&self, message: &Raw) {
        let mut state = self.lock();
        if state.ended {
            return;
        }
        while !state.waiting.is_empty() && state.is_full(message.payload.len()) {
            state.drop_oldest();
        }
        state.bytes += message.payload.len();
        state.waiting.push_back(Item::Message(message.clone()));
        drop(state);
        self.news.notify_one();
    }

    /// Behind what waits now some may be missing.
    pub(super) fn gap(&self) {
        let mut state = self.lock();
        if !state.ended && !matches!(state.waiting.back(), Some(Item::Gap)) {
            state.waiting.push_back(Item::Gap);
        }
        drop(state);
        self.news.notify_one();
    }

    /// There will be no more; what waits is still given.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.news.notify_one();
    }

    /// What waits is given to nobody.
    pub(super) fn discard(&self) {
        let mut state = self.lock();
        state.waiting.clear();
        (state.gap, state.ended) = (None, true);
        drop(state);
        self.news.notify_one();
    }

    /// The next; `None` when there will be no more.
    ///
    /// Cancellation: nothing is lost.
    pub(crate) async fn next(&self) -> Option<Taken> {
        loop {
            let news = self.news.notified();
            {
                let mut state = self.lock();
                if let Some(taken) = state.take() {
                    return Some(taken);
                }
                if state.ended {
                    return None;
                }
            }
            news.await;
        }
    }

    /// How many this subscriber lost by being too slow.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_full(&self, more: usize) -> bool {
        self.waiting.len() >= MESSAGES_MAX || self.bytes + more > BYTES_MAX
    }

    fn drop_oldest(&mut self) {
        let missing = match self.waiting.pop_front() {
            Some(Item::Message(message)) => {
                self.bytes -= message.payload.len();
                1
            }
            _ => 0,
        };
        self.dropped += missing;
        self.gap = Some(self.gap.unwrap_or(0) + missing);
    }

    fn take(&mut self) -> Option<Taken> {
        if let Some(missing) = self.gap.take() {
            return Some(Taken::Gap(missing));
        }
        Some(match self.waiting.pop_front()? {
            Item::Gap => Taken::Gap(0),
            Item::Message(message) => {
                self.bytes -= message.payload.len();
                Taken::Message(message)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, MESSAGES_MAX, Queue, Raw, Taken};

    fn message(bytes: usize) -> Raw {
        Raw {
            channel: "news".into(),
            payload: vec![0; bytes].into(),
        }
    }

    async fn gap(queue: &Queue) -> u64 {
        match queue.next().await {
            Some(Taken::Gap(missing)) => missing,
            other => panic!("no gap: {other:?}"),
        }
    }

    #[tokio::test]
    async fn who_is_too_slow_loses_the_oldest_and_is_told_how_many_at_their_place() {
        let queue = Queue::default();
        for number in 0..MESSAGES_MAX + 3 {
            queue.push(&message(number % 7));
        }
        assert_eq!(gap(&queue).await, 3);
        queue.gap();
        queue.gap();
        for _ in 0..MESSAGES_MAX {
            assert!(matches!(queue.next().await, Some(Taken::Message(_))));
        }
        assert_eq!(gap(&queue).await, 0);
        assert_eq!(queue.dropped(), 3);
        queue.end();
        queue.push(&message(1));
        assert!(queue.next().await.is_none());
        assert_eq!(queue.lock().bytes, 0);
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes_too() {
        let queue = Queue::default();
        for _ in 0..3 {
            queue.push(&message(BYTES_MAX / 2));
        }
        assert!(queue.lock().bytes <= BYTES_MAX);
        assert_eq!(gap(&queue).await, 1);
        // One that is larger than all that may wait is still given.
        queue.push(&message(BYTES_MAX + 1));
        assert_eq!(queue.lock().waiting.len(), 1);
        assert_eq!(gap(&queue).await, 2);
        assert!(matches!(queue.next().await, Some(Taken::Message(_))));
        queue.gap();
        queue.discard();
        assert!(queue.next().await.is_none());
    }
}
