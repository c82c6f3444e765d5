//! Every state that can be reached with few connections and callers, and every step from each.

mod world;

use std::collections::{BTreeSet, VecDeque};

use self::world::{LEFT, SPAN, STEPS, Step, World};
use super::*;

#[test]
fn no_step_from_any_reachable_state_breaks_the_accounting() {
    for capacity in 1..=2 {
        let first = World::new(capacity);
        let mut seen = BTreeSet::from([first.shape()]);
        let mut next = VecDeque::from([first]);
        while let Some(world) = next.pop_front() {
            for step in STEPS {
                let mut world = world.clone();
                world.step(step);
                world.assert_sound();
                // After some lifetimes nothing is new any more.
                let recent = world.now - world.start < Duration::from_secs(2500);
                if recent && seen.insert(world.shape()) {
                    next.push_back(world);
                }
            }
        }
        assert!(
            seen.len() > 1000,
            "only {} states: was it tried?",
            seen.len()
        );
    }
}

/// A pool with one connection, which is in use.
fn busy(capacity: usize) -> World {
    let mut world = World::new(capacity);
    for step in [Step::OpenAhead, Step::Opened, Step::Checkout] {
        world.step(step);
    }
    assert_eq!(world.permits.len(), 1);
    world
}

#[test]
fn a_connection_released_after_close_is_handed_back_to_be_closed() {
    let mut world = busy(1);
    let ticket = world.slots.wait(1, LEFT, world.now).expect("room for two");
    world.slots.wait(2, LEFT, world.now).expect("room for two");
    assert_eq!(world.slots.wait(3, LEFT, world.now), Err(Refusal::Full));
    assert_eq!(world.slots.close(), (vec![], vec![1, 2]));
    assert_eq!(world.slots.leave(ticket, world.now), None);
    let (permit, connection) = world.permits.pop().expect("it is in use");
    let (placed, _) = world.slots.release(permit, connection, world.now);
    assert!(matches!(placed, Placed::Surplus(_)), "{placed:?}");
    assert_eq!(world.slots.counts().in_use, 0);
    assert_eq!(world.slots.wait(3, LEFT, world.now), Err(Refusal::Closed));
}

#[test]
fn a_connection_that_was_being_opened_when_a_pause_began_is_closed_even_after_it() {
    let mut world = World::new(2);
    let before = world.slots.open_ahead().expect("there is room");
    assert!(world.slots.pause().is_empty());
    world.slots.resume(world.now);
    let (placed, _) = world.slots.opened(before, 1, SPAN, world.now);
    assert!(matches!(placed, Placed::Surplus(1)), "{placed:?}");
    let after = world.slots.open_ahead().expect("there is room again");
    let (placed, _) = world.slots.opened(after, 2, SPAN, world.now);
    assert!(matches!(placed, Placed::Idle), "{placed:?}");
}

#[test]
fn who_comes_with_less_time_than_the_wait_will_take_is_refused_at_once() {
    let mut world = busy(1);
    world.slots.limits.waiters_max = 100;
    for number in 0..50 {
        world.slots.wait(number, LEFT, world.now).expect("room");
    }
    for _ in 0..20 {
        world.now += Duration::from_millis(10);
        let (permit, connection) = world.permits.pop().expect("it is in use");
        match world.slots.release(permit, connection, world.now) {
            (Placed::HandedOver(_, claimed), shed) if shed.is_empty() => world.claimed(claimed),
            other => panic!("{other:?}"),
        }
    }
    let soon = Duration::from_millis(250);
    let refused = world.slots.wait(100, soon, world.now);
    assert_eq!(
        refused,
        Err(Refusal::Late(Duration::from_millis(310))),
        "thirty wait, 10 ms each"
    );
    assert_eq!(world.slots.counts().waiting, 30);
    let late = Duration::from_millis(400);
    assert!(world.slots.wait(100, late, world.now).is_ok());
}

#[test]
fn a_standing_queue_is_shortened_to_those_who_came_lately() {
    let mut world = busy(1);
    world.slots.limits.waiters_max = usize::MAX;
    let (mut served, mut refused) = (0, 0);
    let mut longest = Duration::ZERO;
    // Three come in the time in which one is served, for five intervals.
    for turn in 0..1000_u32 {
        world.now += Duration::from_millis(10);
        for _ in 0..3 {
            world.checkout();
        }
        let (permit, connection) = world.permits.pop().expect("it is in use");
        let (placed, shed) = world.slots.release(permit, connection, world.now);
        refused += shed.len();
        world.shed(shed);
        let Placed::HandedOver(waiter, claimed) = placed else {
            panic!("{placed:?}");
        };
        served += 1;
        world.line.remove(0);
        world.claimed(claimed);
        if turn >= 500 {
            // Three come in 10 ms, in the order of their numbers.
            let came = (waiter - 2) / 3;
            longest = longest.max(Duration::from_millis(10) * (turn - came));
        }
    }
    assert_eq!(
        served, 1000,
        "each turn serves somebody: no time is lost to those who go"
    );
    assert!(refused > 1500, "{refused}");
    assert!(longest <= Duration::from_millis(130), "{longest:?}");
    assert!(world.line.len() < 40, "{}", world.line.len());
    // The load stops: within two intervals nobody waits, and nobody is refused any more.
    let stopped = world.now;
    while !world.line.is_empty() {
        world.now += Duration::from_millis(10);
        world.step(Step::Release);
    }
    assert!(world.now - stopped <= 2 * Duration::from_secs(2));
    world.now = stopped + 2 * Duration::from_secs(2);
    world.step(Step::Checkout);
    world.step(Step::Checkout);
    world.step(Step::Interval);
    world.step(Step::Release);
    assert_eq!(world.permits.len(), 1, "whoever waits is served again");
}

#[test]
fn a_pool_without_any_connection_refuses_nobody_for_waiting() {
    let mut world = World::new(2);
    world.step(Step::Checkout);
    for _ in 0..10 {
        for step in [Step::Interval, Step::Poll] {
            world.step(step);
        }
        assert_eq!(world.line.len(), 1);
    }
    for step in [Step::Open, Step::Opened] {
        world.step(step);
    }
    assert_eq!(world.permits.len(), 1, "it was worth waiting");
}

#[test]
fn all_that_seem_too_old_at_once_go_one_at_a_time_and_not_below_the_minimum() {
    let mut world = World::new(3);
    world.slots.limits.minimum = 2;
    for _ in 0..3 {
        world.slots.limits.minimum += 1;
        for step in [Step::OpenAhead, Step::Opened] {
            world.step(step);
        }
    }
    world.slots.limits.minimum = 2;
    assert_eq!(world.slots.counts().idle, 3);
    assert!(world.slots.expire(world.now).is_none());
    world.now += Duration::from_secs(600);
    assert_eq!(
        world.slots.due(world.now).map(|due| due <= world.now),
        Some(true)
    );
    assert!(world.slots.expire(world.now).is_some());
    assert!(world.slots.expire(world.now).is_none(), "two are kept");
    world.now += Duration::from_secs(400);
    assert!(
        world.slots.expire(world.now).is_some(),
        "a lifetime ends for all"
    );
}
