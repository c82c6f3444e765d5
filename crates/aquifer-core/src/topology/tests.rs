use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

const TICK: Duration = Duration::from_millis(100);
const SYSTEM: i64 = 7;

fn primary(timeline: u32, lsn: u64) -> Answer {
    Answer {
        system: Some(SYSTEM),
        timeline: Some(timeline),
        lsn: Some(lsn),
        ..Answer::default()
    }
}

fn standby(timeline: u32, lsn: u64) -> Answer {
    Answer {
        standby: true,
        read_only: true,
        ..primary(timeline, lsn)
    }
}

/// Hosts with a clock; each report takes place a tick after the one before.
struct World {
    topology: Topology,
    now: Instant,
    changes: Vec<Change>,
}

impl World {
    fn new(hosts: usize) -> Self {
        Self::with(hosts, Rules::default())
    }

    fn with(hosts: usize, rules: Rules) -> Self {
        let now = Instant::now();
        Self {
            topology: Topology::new(hosts, rules, now),
            now,
            changes: Vec::new(),
        }
    }

    /// All hosts, `None` for one that does not answer.
    fn round(&mut self, answers: &[Option<Answer>]) {
        self.now += TICK;
        for (host, answer) in answers.iter().enumerate() {
            let changes = match answer {
                Some(answer) => self.topology.answered(host, *answer, self.now),
                None => self.topology.missed(host, self.now),
            };
            self.changes.extend(changes);
        }
    }

    fn rounds(&mut self, count: usize, answers: &[Option<Answer>]) {
        for _ in 0..count {
            self.round(answers);
        }
    }

    fn roles(&self) -> Vec<Option<Role>> {
        let hosts = 0..self.topology.hosts.len();
        hosts.map(|host| self.topology.role(host)).collect()
    }

    fn taken(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }
}

use Role::{Fenced, Primary, Standby, Unreachable};

#[test]
fn the_higher_timeline_is_the_primary_whoever_was_heard_first() {
    let mut world = World::new(2);
    world.round(&[Some(primary(1, 10)), Some(primary(2, 9))]);
    assert_eq!(world.roles(), [Some(Fenced), Some(Primary)]);
    assert_eq!(world.topology.main(), Some(1));
    let split = Change::SplitBrain {
        primary: 1,
        fenced: 0,
    };
    assert_eq!(world.taken().iter().filter(|c| **c == split).count(), 1);
    world.rounds(5, &[Some(primary(1, 20)), Some(primary(2, 9))]);
    assert_eq!(world.taken(), [], "it is said once");
}

#[test]
fn nobody_is_chosen_before_all_were_heard_or_had_time_to_be() {
    let mut world = World::new(2);
    let now = world.now;
    drop(world.topology.answered(0, primary(1, 1), now));
    assert_eq!(world.topology.primary(), None);
    assert!(world.topology.is_alarmed(now));
    drop(
        world
            .topology
            .answered(0, primary(1, 1), now + Duration::from_millis(500)),
    );
    assert_eq!(world.topology.primary(), Some(0));
}

#[test]
fn a_promotion_beside_a_living_primary_fences_it_at_once_and_for_good() {
    let mut world = World::new(2);
    world.rounds(3, &[Some(primary(1, 100)), Some(standby(1, 90))]);
    assert_eq!(world.roles(), [Some(Primary), Some(Standby)]);
    drop(world.taken());
    world.round(&[Some(primary(1, 110)), Some(primary(2, 95))]);
    assert_eq!(world.roles(), [Some(Fenced), Some(Primary)]);
    let changes = world.taken();
    let failover = Change::Failover {
        from: 0,
        to: 1,
        gap: Duration::ZERO,
    };
    assert!(changes.contains(&failover), "{changes:?}");
    // The new one goes: the old one is of the past all the same.
    world.rounds(10, &[Some(primary(1, 120)), None]);
    assert_eq!(world.roles(), [Some(Fenced), Some(Unreachable)]);
    assert_eq!(world.topology.main(), None);
    assert_eq!(world.topology.mode(), Mode::PrimaryDown);
}

#[test]
fn a_standby_that_follows_a_later_timeline_fences_a_primary_whose_heir_is_not_seen() {
    let mut world = World::new(3);
    world.rounds(3, &[Some(primary(1, 9)), None, Some(standby(1, 9))]);
    assert_eq!(world.topology.primary(), Some(0));
    world.round(&[Some(primary(1, 9)), None, Some(standby(2, 9))]);
    assert_eq!(world.topology.primary(), None);
    assert_eq!(world.topology.role(0), Some(Fenced));
}

#[test]
fn one_miss_raises_the_alarm_and_three_give_a_host_up() {
    let mut world = World::new(2);
    world.round(&[Some(primary(1, 9)), Some(standby(1, 9))]);
    world.now += Duration::from_secs(31);
    world.round(&[Some(primary(1, 9)), Some(standby(1, 9))]);
    assert!(!world.topology.is_alarmed(world.now));
    drop(world.taken());
    world.round(&[None, Some(standby(1, 9))]);
    assert!(world.topology.is_alarmed(world.now));
    assert_eq!(world.topology.primary(), Some(0));
    world.rounds(2, &[None, Some(standby(1, 9))]);
    assert_eq!(world.roles(), [Some(Unreachable), Some(Standby)]);
    assert!(world.taken().contains(&Change::Lost { host: 0 }));
    world.round(&[None, Some(primary(2, 9))]);
    let changes = world.taken();
    let failover = Change::Failover {
        from: 0,
        to: 1,
        gap: 3 * TICK,
    };
    assert!(changes.contains(&failover), "{changes:?}");
}

#[test]
fn an_old_primary_that_returns_as_a_standby_changes_nothing_else() {
    let mut world = World::new(2);
    world.round(&[Some(primary(1, 9)), Some(standby(1, 9))]);
    world.rounds(3, &[None, Some(primary(2, 9))]);
    drop(world.taken());
    world.rounds(20, &[Some(standby(2, 9)), Some(primary(2, 9))]);
    let changes = world.taken();
    let (from, to) = (Some(Unreachable), Standby);
    assert!(changes.contains(&Change::Role { host: 0, from, to }));
    let moved = |change: &Change| matches!(change, Change::Failover { .. } | Change::Mode { .. });
    assert!(!changes.iter().any(moved), "{changes:?}");
    assert_eq!(world.topology.main(), Some(1));
}

#[test]
fn a_primary_that_comes_back_itself_is_no_failover() {
    let mut world = World::new(2);
    let up = [Some(primary(1, 9)), Some(standby(1, 9))];
    world.round(&up);
    world.rounds(5, &[None, Some(standby(1, 9))]);
    assert_eq!(world.topology.mode(), Mode::PrimaryDown);
    world.round(&up);
    assert_eq!(world.topology.mode(), Mode::Normal);
    let failover = |change: &Change| matches!(change, Change::Failover { .. });
    assert!(!world.taken().iter().any(failover));
}

#[test]
fn a_host_of_another_system_is_never_used() {
    let mut world = World::new(3);
    let other = |answer: Answer| Answer {
        system: Some(8),
        ..answer
    };
    world.rounds(
        3,
        &[
            Some(primary(1, 9)),
            Some(other(primary(5, 9))),
            Some(other(standby(5, 9))),
        ],
    );
    assert_eq!(world.roles(), [Some(Primary), Some(Fenced), Some(Fenced)]);
    assert!(!world.topology.is_readable(2));
}

#[test]
fn modes_tell_what_is_possible_and_leave_by_more_than_one_answer() {
    let mut world = World::new(2);
    let up = [Some(primary(1, 9)), Some(standby(1, 9))];
    world.rounds(2, &up);
    let read_only = Answer {
        read_only: true,
        ..primary(1, 9)
    };
    world.round(&[Some(read_only), up[1]]);
    assert_eq!(world.topology.mode(), Mode::Normal);
    world.round(&[Some(read_only), up[1]]);
    assert_eq!(world.topology.mode(), Mode::ReadOnly);
    world.round(&up);
    assert_eq!(world.topology.mode(), Mode::ReadOnly);
    world.round(&up);
    assert_eq!(world.topology.mode(), Mode::Normal);
    world.rounds(3, &[None, up[1]]);
    assert_eq!(world.topology.mode(), Mode::PrimaryDown);
    assert!(world.topology.may_wait(world.now));
    world.now += Duration::from_secs(31);
    world.round(&[None, up[1]]);
    assert_eq!(world.topology.mode(), Mode::ReadOnly);
    assert!(!world.topology.may_wait(world.now));
    world.rounds(3, &[None, None]);
    assert_eq!(world.topology.mode(), Mode::Down);
}

#[test]
fn full_disks_end_writes_after_three_reports_and_trials_bring_them_back() {
    let mut world = World::new(1);
    world.round(&[Some(primary(1, 9))]);
    for full in 1..=3 {
        drop(world.topology.disk_full(world.now));
        let mode = world.topology.mode();
        assert_eq!(mode == Mode::ReadOnly, full == 3);
    }
    assert!(!world.topology.may_write(world.now));
    for trial in 1..=4 {
        world.now += Duration::from_millis(500);
        assert!(world.topology.may_write(world.now));
        assert!(!world.topology.may_write(world.now), "one at a time");
        if trial == 1 {
            drop(world.topology.disk_full(world.now));
        } else {
            drop(world.topology.wrote(world.now));
        }
        let mode = world.topology.mode();
        assert_eq!(mode == Mode::Normal, trial == 4, "{trial}");
    }
    assert!(world.topology.may_write(world.now));
}

#[test]
fn a_replica_leaves_reads_when_it_is_behind_and_returns_when_it_is_well_back() {
    let mut world = World::new(2);
    world.round(&[Some(primary(1, 100)), Some(standby(1, 100))]);
    assert!(world.topology.is_readable(1));
    let max = Rules::default().lag_bytes_max;
    let lag = |bytes: u64| [Some(primary(1, bytes + 100)), Some(standby(1, 100))];
    world.round(&lag(max + 1));
    assert!(!world.topology.is_readable(1));
    assert_eq!(world.topology.lag(1).map(|lag| lag.bytes), Some(max + 1));
    world.round(&lag(max / 2 + 1));
    assert!(!world.topology.is_readable(1));
    world.round(&lag(max / 2));
    assert!(world.topology.is_readable(1));
    // Old data is no lag where nothing newer was written, or only just now.
    let old = Answer {
        age: Some(Duration::from_secs(3600)),
        ..standby(1, 100)
    };
    world.round(&[Some(primary(1, 100)), Some(old)]);
    let behind = [Some(primary(1, 101)), Some(old)];
    world.rounds(100, &behind);
    assert!(world.topology.is_readable(1));
    let age = world.topology.lag(1).map(|lag| lag.age);
    assert_eq!(age, Some(Duration::from_secs(10)));
    world.round(&behind);
    assert!(!world.topology.is_readable(1));
}

#[test]
fn other_wishes_find_their_host_and_keep_it() {
    let hosts = [
        Some(primary(1, 9)),
        Some(standby(1, 9)),
        Some(standby(1, 9)),
    ];
    for (wanted, expected, without_standbys) in [
        (Wanted::Any, 0, Some(0)),
        (Wanted::Primary, 0, Some(0)),
        (Wanted::Standby, 1, None),
        (Wanted::ReadOnly, 1, None),
        (Wanted::PreferStandby, 1, Some(0)),
    ] {
        let rules = Rules {
            wanted,
            ..Rules::default()
        };
        let mut world = World::with(3, rules);
        world.rounds(3, &hosts);
        assert_eq!(world.topology.main(), Some(expected), "{wanted:?}");
        let mut gone = hosts;
        gone[expected] = None;
        world.rounds(3, &gone);
        let next = world.topology.main();
        assert_ne!(next, Some(expected), "{wanted:?}");
        world.rounds(3, &hosts);
        if wanted != Wanted::Primary {
            assert_eq!(world.topology.main(), next, "{wanted:?} stays");
        }
        world.rounds(3, &[hosts[0], None, None]);
        assert_eq!(world.topology.main(), without_standbys, "{wanted:?}");
    }
}

#[test]
fn a_token_holds_on_its_timeline_and_on_later_ones_that_have_it() {
    let at = |timeline, lsn| Position { timeline, lsn };
    let mut history = History::default();
    assert!(history.includes(at(1, 10), at(1, 10)));
    assert!(!history.includes(at(1, 9), at(1, 10)));
    assert!(!history.includes(at(2, 20), at(1, 10)), "nobody knows");
    history.switched(1, 2, 15);
    assert!(history.includes(at(2, 20), at(1, 15)));
    assert!(!history.includes(at(2, 20), at(1, 16)), "it may be lost");
    assert!(!history.includes(at(1, 20), at(2, 20)), "not there yet");
    history.switched(2, 4, 30);
    assert!(history.includes(at(4, 40), at(1, 15)));
    assert!(history.includes(at(4, 40), at(2, 30)));
    assert!(!history.includes(at(3, 40), at(2, 30)), "another branch");
    // The place behind a page's header is the end of the page before.
    assert!(history.includes(at(1, 8192), at(1, 8192 + 24)));
    assert!(!history.includes(at(1, 8192), at(1, 8192 + 64)));
    assert!(!history.includes(at(1, 8193), at(1, 8192 + 24)));
}

#[test]
fn what_a_new_primary_had_replayed_before_is_remembered() {
    let mut world = World::new(2);
    world.rounds(2, &[Some(primary(1, 100)), Some(standby(1, 90))]);
    world.round(&[None, Some(primary(2, 95))]);
    let wanted = |lsn| Position { timeline: 1, lsn };
    assert!(world.topology.history().leads_to(2, wanted(90)));
    assert!(!world.topology.history().leads_to(2, wanted(91)));
}

fn any_answer() -> impl Strategy<Value = Option<Answer>> {
    let answer = (any::<bool>(), 1..4_u32, 0..200_u64, 0..8_u8);
    proptest::option::weighted(
        0.75,
        answer.prop_map(|(standby, timeline, lsn, odd)| Answer {
            standby,
            read_only: standby || odd == 0,
            system: (odd != 1).then_some(if odd == 2 { 8 } else { SYSTEM }),
            timeline: (odd != 3).then_some(timeline),
            lsn: Some(lsn),
            age: None,
        }),
    )
}

proptest! {
    #[test]
    fn there_is_never_a_primary_of_the_past_nor_two_nor_a_standby(
        rounds in proptest::collection::vec(proptest::collection::vec(any_answer(), 3), 1..30)
    ) {
        let mut world = World::new(3);
        let mut highest = None;
        for round in &rounds {
            world.round(round);
            let topology = &world.topology;
            prop_assert!(topology.timeline() >= highest);
            highest = topology.timeline();
            let primaries = world.roles().iter().filter(|role| **role == Some(Primary)).count();
            prop_assert_eq!(primaries, usize::from(topology.primary().is_some()));
            if let Some(primary) = topology.primary() {
                let answer = topology.hosts[primary].answer.unwrap();
                prop_assert!(!answer.standby);
                prop_assert!(answer.timeline.is_none() || answer.timeline >= highest);
                prop_assert!(!topology.is_foreign(answer));
                prop_assert_eq!(topology.main(), Some(primary));
            }
        }
    }

    #[test]
    fn hosts_that_say_the_same_again_and_again_change_nothing(
        rounds in proptest::collection::vec(proptest::collection::vec(any_answer(), 3), 0..10),
        last in proptest::collection::vec(any_answer(), 3),
    ) {
        let mut world = World::new(3);
        for round in &rounds {
            world.round(round);
        }
        // Those that don't answer are given up, and the mode settles.
        world.rounds(4, &last);
        drop(world.taken());
        world.rounds(20, &last);
        prop_assert_eq!(world.taken(), []);
    }
}
