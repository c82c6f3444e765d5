//! What the breaker adds to a call, permit and record together, while it is closed and while it is
//! open: `cargo run --release -p aquifer-core --example breaker [calls per thread] [threads]`.
//!
//! Under `valgrind --tool=callgrind` the difference of two runs is the number of instructions.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures, and prints what it measured"
)]

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use aquifer_core::breaker::{Breaker, Limits, Order, Outcome};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u32| {
        let argument = arguments.next();
        argument.map_or(default, |text| text.parse().unwrap_or(default))
    };
    let (calls, threads) = (number(1_000_000), number(1));
    let start = Instant::now();
    let breaker = Breaker::new(Limits::default(), 7, start);
    let elapsed = Duration::from_micros(300);
    let closed = on_threads(threads, || {
        for _ in 0..calls {
            let now = black_box(start);
            if let Ok(permit) = Breaker::permit(&breaker, now) {
                black_box(permit.record(black_box(Outcome::AnsweredIn(elapsed)), now));
            }
        }
    });
    breaker.order(Order::ForceOpen, start);
    let open = on_threads(threads, || {
        for _ in 0..calls / 10 {
            black_box(Breaker::permit(&breaker, black_box(start)).is_err());
        }
    });
    println!(
        "{threads} threads, {calls} calls each: permitted and recorded {:.1} ns, refused {:.1} ns",
        closed.as_secs_f64() * 1e9 / f64::from(calls),
        open.as_secs_f64() * 1e10 / f64::from(calls),
    );
}

/// How long the threads took, all of which do the same.
fn on_threads(threads: u32, work: impl Fn() + Sync) -> Duration {
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(&work);
        }
    });
    start.elapsed()
}
