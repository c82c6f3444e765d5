mod sequences;
mod world;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);
const CUT: Outcome = Outcome::Failed(Fault::Cut);
const ILL: Outcome = Outcome::Failed(Fault::Ill);
const SILENT: Outcome = Outcome::Failed(Fault::Silent);

fn breaker(now: Instant) -> Breaker {
    Breaker::new(Limits::default(), 1, now)
}

/// Makes a call, which must be permitted.
fn call(breaker: &Breaker, outcome: Outcome, now: Instant) -> Option<Change> {
    Breaker::permit(breaker, now)
        .expect("it is permitted")
        .record(outcome, now)
}

fn opened(now: Instant) -> Breaker {
    let breaker = breaker(now);
    for _ in 0..3 {
        call(&breaker, CUT, now);
    }
    assert_eq!(breaker.state(), State::Open);
    breaker
}

#[test]
fn three_calls_in_a_row_that_met_no_host_open_it_and_an_answer_between_does_not() {
    let now = Instant::now();
    let breaker = breaker(now);
    call(&breaker, Outcome::Answered, now);
    for _ in 0..5 {
        assert_eq!(call(&breaker, CUT, now), None);
        assert_eq!(call(&breaker, CUT, now), None);
        for _ in 0..3 {
            call(&breaker, Outcome::Answered, now);
        }
    }
    breaker.probed(false, now);
    call(&breaker, CUT, now);
    let change = call(&breaker, CUT, now).expect("the third in a row");
    assert_eq!(
        (change.from, change.to, change.reason),
        (State::Closed, State::Open, Reason::Cuts(3))
    );
}

#[test]
fn half_of_ten_calls_must_have_failed() {
    let now = Instant::now();
    for fault in [ILL, SILENT] {
        let breaker = breaker(now);
        for _ in 0..4 {
            assert_eq!(call(&breaker, fault, now), None);
        }
        for _ in 0..5 {
            call(&breaker, Outcome::Answered, now);
        }
        assert_eq!(breaker.state(), State::Closed, "nine calls mean nothing");
        let change = call(&breaker, fault, now).expect("five of ten");
        let (failed, calls) = (5, 10);
        assert_eq!(change.reason, Reason::Failures { failed, calls });
    }
}

#[test]
fn what_happened_more_than_ten_seconds_ago_does_not_count() {
    let start = Instant::now();
    let breaker = breaker(start);
    for _ in 0..9 {
        call(&breaker, ILL, start);
    }
    assert_eq!(breaker.snapshot(start + 9 * SECOND).failures, 9);
    assert_eq!(breaker.snapshot(start + 10 * SECOND).failures, 0);
    assert_eq!(call(&breaker, ILL, start + 10 * SECOND), None);
    let long = start + Duration::from_secs(1_000_000_000);
    assert_eq!(call(&breaker, ILL, long), None);
    assert_eq!(breaker.snapshot(long).calls, 1);
}

#[test]
fn calls_that_take_ten_times_what_is_usual_open_it() {
    let now = Instant::now();
    let answered = |millis| Outcome::AnsweredIn(Duration::from_millis(millis));
    let breaker = breaker(now);
    for _ in 0..200 {
        call(&breaker, answered(20), now);
    }
    let usual = breaker.snapshot(now).usual.expect("it is known");
    assert!(
        (Duration::from_millis(15)..Duration::from_millis(25)).contains(&usual),
        "{usual:?}"
    );
    for _ in 0..700 {
        assert_eq!(call(&breaker, answered(199), now), None, "less than that");
        call(&breaker, answered(1), now);
    }
    let later = now + 20 * SECOND;
    for _ in 0..200 {
        call(&breaker, answered(1), later);
    }
    let later = later + 20 * SECOND;
    let changes: Vec<_> = (0..10)
        .map(|_| call(&breaker, answered(3_000), later))
        .collect();
    assert!(changes[..9].iter().all(Option::is_none));
    let reason = changes[9].expect("ten of ten").reason;
    assert!(
        matches!(
            reason,
            Reason::Slow {
                slow: 10,
                calls: 10,
                ..
            }
        ),
        "{reason:?}"
    );
    // What it takes from now on is usual, so nothing stays closed to callers.
    for _ in 0..5 {
        breaker.probed(true, later);
    }
    assert_eq!(breaker.state(), State::Closed);
    for _ in 0..100 {
        assert_eq!(call(&breaker, answered(3_000), later), None);
    }
}

#[test]
fn what_is_below_a_tenth_of_a_second_is_never_slow() {
    let now = Instant::now();
    let breaker = breaker(now);
    for _ in 0..20 {
        let quick = Outcome::AnsweredIn(Duration::from_micros(100));
        call(&breaker, quick, now);
    }
    for _ in 0..1000 {
        let long = Outcome::AnsweredIn(Duration::from_millis(100));
        assert_eq!(call(&breaker, long, now), None);
    }
}

#[test]
fn each_opening_lasts_twice_as_long_up_to_the_most_and_a_rest_ends_the_row() {
    let mut now = Instant::now();
    let breaker = opened(now);
    for millis in [500, 1000, 2000, 4000, 8000, 15_000, 15_000] {
        let longest = Duration::from_millis(millis);
        let left = breaker.snapshot(now).retry_after.expect("it is open");
        assert!(
            left <= longest && left >= longest.mul_f64(0.79),
            "{left:?} {longest:?}"
        );
        assert!(!breaker.probe_due(now + left - Duration::from_millis(1)));
        assert_eq!(breaker.probed(false, now), None, "one that comes early");
        assert_eq!(breaker.snapshot(now).retry_after, Some(left));
        now += left;
        assert!(breaker.probe_due(now));
        assert_eq!(breaker.probed(false, now), None);
    }
    for _ in 0..5 {
        breaker.probed(true, now);
    }
    assert_eq!(breaker.state(), State::Closed);
    now += 10 * SECOND;
    for _ in 0..3 {
        call(&breaker, CUT, now);
    }
    let left = breaker.snapshot(now).retry_after.expect("it is open");
    assert!(left <= Duration::from_millis(500), "{left:?}");
}

#[test]
fn a_host_comes_back_by_one_call_then_three_then_all() {
    let now = Instant::now();
    let breaker = opened(now);
    let refused = Breaker::permit(&breaker, now).expect_err("it is open");
    assert_eq!(refused.reason, Reason::Cuts(3));
    breaker.probed(true, now);
    let one = Breaker::permit(&breaker, now).expect("one");
    assert!(!breaker.allows(now));
    Breaker::permit(&breaker, now).expect_err("not two");
    assert_eq!(one.record(Outcome::Answered, now), None);
    let three: Vec<_> = (0..3)
        .map(|_| Breaker::permit(&breaker, now).expect("three"))
        .collect();
    Breaker::permit(&breaker, now).expect_err("not four");
    let changes: Vec<_> = three
        .into_iter()
        .filter_map(|permit| permit.record(Outcome::Answered, now))
        .collect();
    assert_eq!(changes.len(), 1);
    assert_eq!(
        (changes[0].from, changes[0].to, changes[0].reason),
        (State::HalfOpen, State::Closed, Reason::Call)
    );
    let _many: Vec<_> = (0..100)
        .map(|_| Breaker::permit(&breaker, now).expect("all"))
        .collect();
}

#[test]
fn a_failure_while_it_is_tried_opens_it_again() {
    let now = Instant::now();
    let breaker = opened(now);
    breaker.probed(true, now);
    let change = call(&breaker, SILENT, now).expect("a change");
    assert_eq!((change.to, change.reason), (State::Open, Reason::Relapse));
    let left = breaker.snapshot(now).retry_after.expect("it is open");
    assert!(left > Duration::from_millis(700), "{left:?}");
}

#[test]
fn the_permit_of_a_caller_who_goes_away_is_given_back_and_counts_for_nothing() {
    let now = Instant::now();
    let breaker = opened(now);
    breaker.probed(true, now);
    for _ in 0..100 {
        drop(Breaker::permit(&breaker, now).expect("it was given back"));
    }
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[test]
fn a_call_that_never_comes_back_does_not_keep_the_host_closed_to_others() {
    let now = Instant::now();
    let breaker = opened(now);
    breaker.probed(true, now);
    let _stuck = Breaker::permit(&breaker, now).expect("the first");
    Breaker::permit(&breaker, now + SECOND / 2).expect_err("not yet");
    assert!(breaker.allows(now + SECOND));
    let second = Breaker::permit(&breaker, now + SECOND).expect("after a second");
    second.record(Outcome::Answered, now + SECOND);
    assert!(breaker.allows(now + SECOND), "three, of which one is stuck");
}

#[test]
fn what_was_permitted_before_a_change_says_nothing_after_it() {
    let now = Instant::now();
    let breaker = breaker(now);
    let mut old: Vec<_> = (0..20)
        .map(|_| Breaker::permit(&breaker, now).expect("it is closed"))
        .collect();
    for permit in old.drain(..3) {
        permit.record(CUT, now);
    }
    assert_eq!(breaker.state(), State::Open);
    for permit in old.drain(..5) {
        assert_eq!(permit.record(Outcome::Answered, now), None);
    }
    breaker.probed(true, now);
    for permit in old.drain(..5) {
        assert_eq!(permit.record(CUT, now), None);
    }
    assert_eq!(breaker.state(), State::HalfOpen);
    drop(old);
    let _one = Breaker::permit(&breaker, now).expect("the first");
    Breaker::permit(&breaker, now).expect_err("none of the old was a place");
}

#[test]
fn who_has_no_other_host_is_held_back_and_refused_only_when_the_outage_lasts() {
    let now = Instant::now();
    let breaker = opened(now);
    let ask = |after| Breaker::permit_of_last(&breaker, PATIENCE, now + after);
    drop(ask(Duration::ZERO).expect("it waits"));
    drop(ask(PATIENCE - Duration::from_nanos(1)).expect("it waits"));
    for late in [PATIENCE, 1000 * PATIENCE] {
        let refused = ask(late).expect_err("it would wait in vain");
        assert_eq!(refused.open_for, late);
        assert!(refused.retry_after <= Some(Duration::from_millis(500)));
    }
    breaker.probed(true, now + 2 * PATIENCE);
    let _many: Vec<_> = (0..10)
        .map(|_| ask(2 * PATIENCE).expect("it has been answered"))
        .collect();
    assert_eq!(breaker.snapshot(now).refused, 2);
}

#[test]
fn an_answer_to_who_was_held_back_is_as_good_as_a_probe() {
    let now = Instant::now();
    let breaker = opened(now);
    let held = Breaker::permit_of_last(&breaker, PATIENCE, now).expect("it waits");
    let failed = Breaker::permit_of_last(&breaker, PATIENCE, now).expect("it waits");
    assert_eq!(failed.record(CUT, now), None, "that is known");
    let change = held.record(Outcome::Answered, now).expect("a change");
    assert_eq!(change.to, State::HalfOpen);
}

#[test]
fn an_operator_has_the_last_word() {
    let now = Instant::now();
    let breaker = breaker(now);
    breaker.order(Order::ForceOpen, now);
    let refused = Breaker::permit_of_last(&breaker, PATIENCE, now).expect_err("forced");
    assert_eq!(
        (refused.state, refused.retry_after),
        (State::ForcedOpen, None)
    );
    breaker.probed(true, now);
    assert_eq!(breaker.state(), State::ForcedOpen);
    breaker.order(Order::Disable, now);
    for _ in 0..100 {
        assert_eq!(call(&breaker, CUT, now), None);
    }
    breaker.order(Order::Reset, now);
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(call(&breaker, CUT, now), None, "without a past");
    let limits = Limits {
        enabled: false,
        ..Limits::default()
    };
    let breaker = Breaker::new(limits, 1, now);
    assert_eq!(breaker.state(), State::Disabled);
}

#[test]
fn many_threads_count_each_call_once() {
    const THREADS: u64 = 4;
    const CALLS: u64 = 20_000;
    let now = Instant::now();
    let breaker = breaker(now);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let breaker = &breaker;
            scope.spawn(move || {
                for number in 0..CALLS {
                    let now = now + Duration::from_millis((number + thread) % 5_000);
                    let outcome = match number % 10 {
                        0 => ILL,
                        _ => Outcome::AnsweredIn(Duration::from_millis(1)),
                    };
                    call(breaker, outcome, now);
                }
            });
        }
    });
    let snapshot = breaker.snapshot(now + 5 * SECOND);
    assert_eq!(
        (snapshot.state, snapshot.calls, snapshot.failures),
        (State::Closed, THREADS * CALLS, THREADS * CALLS / 10)
    );
}
