//! Interleavings of those who wait, give up, give back and refuse; with `--cfg shuttle` many
//! thousands of them, else a few real ones.

use std::sync::atomic::{AtomicUsize, Ordering};

use aquifer_core::slots::Limits;

use super::*;

#[cfg(shuttle)]
use shuttle::thread;
#[cfg(not(shuttle))]
use std::thread;

const LONG: Duration = Duration::from_secs(3600);

fn span() -> Span {
    Span::drawn(LONG, LONG, 0)
}

/// A desk with one idle connection, number 7.
fn desk(capacity: usize) -> Arc<Desk<u32>> {
    let mut limits = Limits::new(capacity, 100);
    limits.minimum = 1;
    limits.queue_target = LONG;
    let desk = Desk::new(Slots::new(limits, now()));
    let opening = desk.lock().open_ahead().expect("there is room");
    assert!(desk.opened(opening, 7, span(), now()).is_none());
    Arc::new(desk)
}

fn assert_whole(desk: &Desk<u32>) {
    let slots = desk.lock();
    let counts = slots.counts();
    assert!(slots.check(), "{counts:?}");
    assert_eq!((counts.idle, counts.in_use, counts.waiting), (1, 0, 0));
}

#[cfg(not(shuttle))]
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}
#[cfg(shuttle)]
use shuttle::future::block_on;

/// Runs `scenario` in many interleavings.
fn explore(scenario: fn()) {
    #[cfg(shuttle)]
    {
        shuttle::check_random(scenario, 5_000);
        shuttle::check_pct(scenario, 5_000, 3);
    }
    #[cfg(not(shuttle))]
    for _ in 0..200 {
        scenario();
    }
}

/// Takes a connection, waiting for it if need be, and gives it back.
fn use_one(desk: &Desk<u32>) -> Result<(), Refusal> {
    let claimed = match desk.claim_or_wait(LONG, now(), |claimed| {
        desk.pass_on(claimed, now());
    })? {
        Claim::Now(claimed) => claimed,
        Claim::Wait(waiting) => block_on(waiting)?,
    };
    desk.release(claimed.permit, claimed.connection, now());
    Ok(())
}

/// It was served, or refused since the desk was closed.
fn ended(outcome: Result<(), Refusal>) {
    assert!(matches!(outcome, Ok(()) | Err(Refusal::Closed)));
}

/// Lines up, is polled once, and goes.
fn give_up(desk: &Desk<u32>) {
    let claim = desk.claim_or_wait(LONG, now(), |claimed| {
        desk.pass_on(claimed, now());
    });
    match claim {
        Ok(Claim::Now(claimed)) => drop(desk.release(claimed.permit, claimed.connection, now())),
        Ok(Claim::Wait(waiting)) => {
            let mut waiting = Box::pin(waiting);
            let mut context = Context::from_waker(Waker::noop());
            match waiting.as_mut().poll(&mut context) {
                Poll::Ready(Ok(claimed)) => {
                    desk.release(claimed.permit, claimed.connection, now());
                }
                Poll::Ready(Err(_)) | Poll::Pending => {}
            }
        }
        Err(_refused) => {}
    }
}

/// Runs `parts` side by side to their ends.
#[expect(
    clippy::disallowed_methods,
    reason = "threads, and not the pool's tasks"
)]
fn together(parts: Vec<Box<dyn FnOnce() + Send>>) {
    let threads: Vec<_> = parts.into_iter().map(thread::spawn).collect();
    for thread in threads {
        thread.join().expect("no part panics");
    }
}

fn part(
    desk: &Arc<Desk<u32>>,
    run: impl FnOnce(&Desk<u32>) + Send + 'static,
) -> Box<dyn FnOnce() + Send> {
    let desk = Arc::clone(desk);
    Box::new(move || run(&desk))
}

#[test]
fn everybody_is_served_though_some_give_up() {
    explore(|| {
        let desk = desk(1);
        together(vec![
            part(&desk, |desk| use_one(desk).expect("served in the end")),
            part(&desk, give_up),
            part(&desk, |desk| use_one(desk).expect("served in the end")),
            part(&desk, give_up),
        ]);
        assert_whole(&desk);
    });
}

#[test]
fn who_waits_is_served_by_a_connection_that_was_opened_or_given_back() {
    explore(|| {
        let desk = desk(2);
        let served = Arc::new(AtomicUsize::new(0));
        let user = || {
            let served = Arc::clone(&served);
            part(&desk, move |desk| {
                use_one(desk).expect("served in the end");
                served.fetch_add(1, Ordering::Relaxed);
            })
        };
        let opener = part(&desk, |desk| {
            let opening = desk.lock().open();
            if let Some(opening) = opening {
                assert!(desk.opened(opening, 8, span(), now()).is_none());
            }
        });
        together(vec![user(), user(), part(&desk, give_up), opener]);
        assert_eq!(served.load(Ordering::Relaxed), 2);
        let counts = desk.lock().counts();
        assert_eq!((counts.in_use, counts.waiting, counts.opening), (0, 0, 0));
    });
}

#[test]
fn closing_wakes_everybody_and_loses_nothing() {
    explore(|| {
        let desk = desk(1);
        together(vec![
            part(&desk, |desk| ended(use_one(desk))),
            part(&desk, |desk| ended(use_one(desk))),
            part(&desk, give_up),
            part(&desk, |desk| drop(desk.close())),
        ]);
        let counts = desk.lock().counts();
        assert_eq!((counts.idle, counts.in_use, counts.waiting), (0, 0, 0));
    });
}

#[test]
fn a_pause_holds_everybody_until_it_ends() {
    explore(|| {
        let desk = desk(1);
        together(vec![
            part(&desk, |desk| use_one(desk).expect("served in the end")),
            part(&desk, give_up),
            part(&desk, |desk| {
                drop(desk.lock().pause());
                desk.lock().resume(now());
                // What the pause has closed is opened anew, for whoever waits or for later; one that
                // was in use may have come back before or after the pause, or still be in use.
                loop {
                    let opening = {
                        let mut slots = desk.lock();
                        let opening = slots.open();
                        opening.or_else(|| slots.open_ahead())
                    };
                    let Some(opening) = opening else {
                        let counts = desk.lock().counts();
                        if counts.idle == 1 || counts.in_use > 0 && counts.waiting == 0 {
                            return;
                        }
                        thread::yield_now();
                        continue;
                    };
                    desk.opened(opening, 8, span(), now());
                }
            }),
        ]);
        let counts = desk.lock().counts();
        assert_eq!((counts.in_use, counts.waiting), (0, 0));
    });
}
