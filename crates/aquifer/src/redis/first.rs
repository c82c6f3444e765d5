//! Waiting for whichever of several futures is done first, or for all.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

pub(super) enum Either<L, R> {
    Left(L),
    Right(R),
}

/// Polls both until one is done; the right one is dropped then.
pub(super) async fn first<L, R>(
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

/// Polls all until each is done; the outputs are in the order of the futures.
pub(super) async fn all<T>(futures: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
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
