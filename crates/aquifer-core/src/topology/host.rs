use std::time::{Duration, Instant};

use super::{Position, Rules, position};

/// So many answers in a row must agree before a primary counts as read-only, or as writing again.
const READ_ONLY_ANSWERS: u32 = 2;

/// What a host said about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "whoever asks must say all of it")]
pub struct Answer {
    /// It is in recovery.
    pub standby: bool,
    /// Sessions don't write unless they say so.
    pub read_only: bool,
    /// The system identifier, if it may be known.
    pub system: Option<i64>,
    /// The timeline that it writes; of a standby, one that it follows at least.
    pub timeline: Option<u32>,
    /// How far it has written, or replayed, in bytes.
    pub lsn: Option<u64>,
    /// Of a standby: how long ago the newest transaction that it has replayed was committed.
    pub age: Option<Duration>,
}

impl Answer {
    pub(super) fn position(self) -> Option<Position> {
        let (timeline, lsn) = (self.timeline?, self.lsn?);
        Some(Position { timeline, lsn })
    }
}

/// The part that a host plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "whoever routes must know them all")]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It replays what the primary writes.
    Standby,
    /// It takes itself for a primary and is none any more, or belongs to another database.
    Fenced,
    /// It was given up.
    Unreachable,
}

/// How far a replica is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there are two measures")]
pub struct Lag {
    /// In bytes of WAL.
    pub bytes: u64,
    /// For how long it has been behind; zero while it is not.
    pub age: Duration,
}

/// What is known of one host.
#[derive(Clone, Debug, Default)]
pub(super) struct Host {
    pub(super) role: Option<Role>,
    pub(super) answer: Option<Answer>,
    pub(super) seen: Option<Instant>,
    pub(super) lag: Option<Lag>,
    pub(super) lagging: bool,
    /// When the primary had written what this host was seen to have replayed last.
    caught_up: Option<Instant>,
    /// The furthest that it had replayed while it was a standby.
    pub(super) replayed: Option<u64>,
    /// The timeline that it wrote when it was the primary last.
    pub(super) timeline_as_primary: Option<u32>,
    misses: u32,
    missed_since: Option<Instant>,
    /// Of a primary: sessions don't write unless they say so.
    pub(super) refuses_writes: bool,
    /// Answers in a row that said the other thing about that.
    contradictions: u32,
}

impl Host {
    pub(super) fn answered(&mut self, answer: Answer, now: Instant) {
        if answer.standby {
            self.replayed = answer.lsn;
        }
        self.note_writing(answer.read_only && !answer.standby);
        self.answer = Some(answer);
        if self.role == Some(Role::Primary) && !answer.standby {
            self.timeline_as_primary = answer.timeline;
        }
        self.seen = Some(now);
        self.misses = 0;
        self.missed_since = None;
    }

    /// Says whether it is the first miss in a row.
    pub(super) fn missed(&mut self, now: Instant) -> bool {
        self.misses = self.misses.saturating_add(1);
        self.missed_since.get_or_insert(now);
        self.misses == 1
    }

    pub(super) fn is_lost(&self, rules: &Rules) -> bool {
        self.misses >= rules.misses_max || (self.answer.is_none() && self.misses > 0)
    }

    pub(super) fn was_asked(&self) -> bool {
        self.answer.is_some() || self.misses > 0
    }

    /// For how long it has not answered.
    pub(super) fn away(&self, now: Instant) -> Duration {
        self.missed_since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    pub(super) fn set_role(&mut self, role: Role) {
        self.role = Some(role);
        if role == Role::Primary {
            self.timeline_as_primary = self.answer.and_then(|answer| answer.timeline);
        }
        if role != Role::Standby {
            self.lag = None;
            self.lagging = false;
            self.caught_up = None;
        }
    }

    fn note_writing(&mut self, refuses: bool) {
        if refuses == self.refuses_writes {
            self.contradictions = 0;
            return;
        }
        self.contradictions += 1;
        if self.contradictions >= READ_ONLY_ANSWERS {
            self.refuses_writes = refuses;
            self.contradictions = 0;
        }
    }

    /// Measures how far it is behind what the primary had written, as the primary said at that time.
    ///
    /// What it lacks was written after it had last caught up. The age of its newest transaction alone
    /// would be large whenever the first change after a quiet time is on its way.
    pub(super) fn measure(&mut self, written: Option<(Position, Instant)>) {
        let Some(answer) = self.answer else {
            return;
        };
        let (Some((written, at)), Some(replayed)) = (written, answer.lsn) else {
            self.lag = None;
            return;
        };
        if position::has_passed(replayed, written.lsn) {
            self.caught_up = Some(at);
            self.lag = Some(Lag::default());
            return;
        }
        let behind = self.caught_up.zip(self.seen);
        let behind = behind.map(|(since, now)| now.saturating_duration_since(since));
        let age = behind.into_iter().chain(answer.age).min();
        self.lag = Some(Lag {
            bytes: written.lsn - replayed,
            age: age.unwrap_or_default(),
        });
    }
}
