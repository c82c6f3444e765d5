//! Waiting for whichever of several futures is done first, or for all; and for one that may panic.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;

pub(crate) enum Either<L, R> {
    Left(L),
    Right(R),
}

/// Polls both until one is done; the right one is dropped then.
pub(crate) async fn first<L, R>(
    mut left: Pin<&mut (impl Future<Output = L> + ?Sized)>,
    right: impl Future<Output = R>,
) -> Either<L, R> {
    let mut right = pin!(right);
    poll_fn(|context| {
        if let Poll::Ready(output) = left.as_mut().poll(context) {
            return Poll::Ready(Either::Left(output));
        }
        right.as_mut().poll(context).map(Either::Right)
    })
    .await
}

/// What `future` returns, or `None` once `end` is over.
pub(crate) async fn unless<T>(
    future: Pin<&mut impl Future<Output = T>>,
    end: impl Future<Output = ()>,
) -> Option<T> {
    match first(future, end).await {
        Either::Left(output) => Some(output),
        Either::Right(()) => None,
    }
}

/// Polls all until each is done; the outputs are in the order of the futures.
pub(crate) async fn all<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut running: Vec<_> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();
    poll_fn(|context| {
        let mut pending = false;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(done) => *output = Some(done),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    running
        .into_iter()
        .filter_map(|(_, output)| output)
        .collect()
}

/// Futures that run side by side, to which others are added; dropped, all are.
pub(crate) struct Several<T>(Vec<Running<T>>);

type Running<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<T> Several<T> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn add(&mut self, future: impl Future<Output = T> + Send + 'static) {
        self.0.push(Box::pin(future));
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The output of the next that is done, which is one of them no more; never while there is none.
    ///
    /// Cancellation: nothing is lost.
    pub(crate) async fn next(&mut self) -> T {
        poll_fn(|context| {
            for index in 0..self.0.len() {
                let Some(future) = self.0.get_mut(index) else {
                    break;
                };
                if let Poll::Ready(output) = future.as_mut().poll(context) {
                    drop(self.0.swap_remove(index));
                    return Poll::Ready(output);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// What the future that `make` makes returns; `None` when it panics, or already its making does.
pub(crate) async fn unless_panic<F: Future + Unpin>(make: impl FnOnce() -> F) -> Option<F::Output> {
    let mut future = caught(make)?;
    poll_fn(
        |context| match caught(|| Pin::new(&mut future).poll(context)) {
            Some(Poll::Pending) => Poll::Pending,
            Some(Poll::Ready(output)) => Poll::Ready(Some(output)),
            None => Poll::Ready(None),
        },
    )
    .await
}

/// What `call` returns, unless it panics.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}
