//! A future that is given up half-way.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// How far a future came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cut<T> {
    Finished(T),
    /// It was dropped at an await.
    Waiting,
    /// It was dropped before its first poll.
    Unpolled,
}

/// Polls `future` at most `polls` times, then drops it.
///
/// Every other number drops it as soon as it waits; the rest, when what it waits for is there but
/// it has not been told yet.
pub(super) async fn cut<F: Future>(future: F, polls: u32) -> Cut<F::Output> {
    if polls == 0 {
        return Cut::Unpolled;
    }
    let at_once = polls.is_multiple_of(2);
    let mut left = polls;
    let mut future = pin!(future);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(Cut::Waiting);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Cut::Finished(value)),
            Poll::Pending if left == 0 && at_once => Poll::Ready(Cut::Waiting),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn three_awaits() -> u32 {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        7
    }

    #[tokio::test]
    async fn a_future_is_dropped_after_that_many_polls_unless_it_is_done() {
        assert_eq!(cut(three_awaits(), 0).await, Cut::Unpolled);
        for polls in 1..=3 {
            assert_eq!(cut(three_awaits(), polls).await, Cut::Waiting, "{polls}");
        }
        assert_eq!(cut(three_awaits(), 4).await, Cut::Finished(7));
    }
}
