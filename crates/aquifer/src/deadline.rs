use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::clock;

/// The moment by which a call must have ended; made once per call and passed down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    start: Instant,
    at: Instant,
}

/// The deadline passed first.
#[derive(Debug)]
pub(crate) struct Elapsed;

impl Deadline {
    pub(crate) fn after(time: Duration) -> Self {
        Self::since(clock::now(), time)
    }

    /// That of a call which began at `start`.
    pub(crate) fn since(start: Instant, time: Duration) -> Self {
        // Longer than a century is never: adding it could overflow.
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        Self {
            start,
            at: start + time.min(century),
        }
    }

    pub(crate) fn at(at: Instant) -> Self {
        let start = clock::now();
        Self { start, at }
    }

    /// The earlier of this deadline and `time` from now.
    pub(crate) fn at_most(self, time: Duration) -> Self {
        self.at_most_after(clock::now(), time)
    }

    /// The earlier of this deadline and `time` from `start`, which is now.
    pub(crate) fn at_most_after(self, start: Instant, time: Duration) -> Self {
        let other = Self::since(start, time);
        Self {
            start: other.start,
            at: other.at.min(self.at),
        }
    }

    /// The later of this deadline and `time` from now.
    pub(crate) fn or_after(self, time: Duration) -> Self {
        let other = Self::after(time);
        Self {
            start: other.start,
            at: other.at.max(self.at),
        }
    }

    /// The time allowed, for an error that says it has passed.
    pub(crate) fn limit(self) -> Duration {
        let limit = self.at.saturating_duration_since(self.start);
        // Finer than a millisecond is what was used up before, and nobody set it.
        Duration::from_millis(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX))
    }

    /// When the call began.
    pub(crate) fn start(self) -> Instant {
        self.start
    }

    pub(crate) fn elapsed(self) -> Duration {
        clock::now() - self.start
    }

    pub(crate) fn left(self) -> Duration {
        self.left_at(clock::now())
    }

    pub(crate) fn left_at(self, now: Instant) -> Duration {
        self.at.saturating_duration_since(now)
    }

    /// Runs `future` until it is done or the deadline passes, which drops it.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that bounds a future"
    )]
    pub(crate) async fn run<F: Future>(self, future: F) -> Result<F::Output, Elapsed> {
        // `timeout_at` returns the output of a future that is ready at the deadline.
        tokio::time::timeout_at(self.at, future)
            .await
            .map_err(|_late| Elapsed)
    }
}

/// One timer for a call's waits, which follow each other and have deadlines of their own: moving it
/// costs a fraction of what another one would.
pub(crate) struct Timer<'t>(Pin<&'t mut Option<Sleep>>);

impl<'t> Timer<'t> {
    /// Set when it is first needed; its place is the caller's, so that nothing is allocated.
    pub(crate) fn new(place: Pin<&'t mut Option<Sleep>>) -> Self {
        Self(place)
    }

    /// Waits until `future` is done or the deadline passes.
    ///
    /// Cancellation: that of `future`.
    pub(crate) async fn run<F: Future>(
        &mut self,
        deadline: Deadline,
        mut future: Pin<&mut F>,
    ) -> Result<F::Output, Elapsed> {
        let mut is_set = false;
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            if !is_set {
                self.set(deadline.at);
                is_set = true;
            }
            match self.0.as_mut().as_pin_mut() {
                Some(sleep) => sleep.poll(context).map(|()| Err(Elapsed)),
                None => Poll::Pending,
            }
        })
        .await
    }

    fn set(&mut self, at: Instant) {
        match self.0.as_mut().as_pin_mut() {
            Some(sleep) => sleep.reset(at),
            None => self.0.set(Some(tokio::time::sleep_until(at))),
        }
    }
}

/// The timer of a future that is polled by hand and as a rule is ready long before its deadline: one
/// whose task is woken from time to time anyway gets it only when it still waits then.
#[derive(Debug)]
pub(crate) struct LateTimer {
    has_waited: bool,
    /// Boxed: it is large, and most do without.
    timer: Option<Pin<Box<Sleep>>>,
}

impl LateTimer {
    pub(crate) fn new(is_woken: bool) -> Self {
        Self {
            has_waited: !is_woken,
            timer: None,
        }
    }

    /// Ready when the deadline has passed; asked whenever the future turned out not to be ready.
    #[inline]
    pub(crate) fn poll(
        &mut self,
        deadline: impl FnOnce() -> Deadline,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        if self.has_waited {
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline().at)));
            return timer.as_mut().poll(context);
        }
        self.has_waited = true;
        Poll::Pending
    }
}
