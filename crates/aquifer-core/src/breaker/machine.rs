//! The states of a breaker that lets not everything through, and how they follow from each other.

use std::time::{Duration, Instant};

use super::{Limits, Order, Reason, Refused, State};

/// How many calls may be under way in the half-open state at first, and then.
const PLACES_FIRST: u32 = 1;
const PLACES_THEN: u32 = 3;

/// A place whose call does not come back stands in the way of others for so long at most.
const PLACE_MAX: Duration = Duration::from_secs(1);

/// How often the last host is probed at least, whatever the wait.
const PROBED_EVERY: Duration = Duration::from_millis(500);

/// Who has been closed for so long has recovered: the next opening is a first one.
const REST: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Machine {
    limits: Limits,
    phase: Phase,
    /// Since when it is in this phase.
    since: Instant,
    /// Since when it has not been closed.
    outage: Instant,
    reason: Reason,
    /// Why it opened, the first time since it was closed.
    cause: Reason,
    /// Openings without a rest between.
    in_a_row: u32,
    openings: u64,
    chance: u64,
}

/// Closed → Open → Half-open → Closed or Open; from and to the other two by order only.
#[derive(Debug)]
enum Phase {
    Closed,
    /// To be probed at this time.
    Open(Instant),
    HalfOpen(Ramp),
    ForcedOpen,
    Disabled,
}

/// How far a host has come back.
#[derive(Debug)]
struct Ramp {
    /// Calls that may be under way.
    places: u32,
    taken: u32,
    /// Answers since there are so many places.
    answered: u32,
    /// When the last place was taken.
    taken_at: Instant,
}

impl Machine {
    pub(super) fn new(limits: Limits, seed: u64, now: Instant) -> Self {
        let phase = if limits.enabled {
            Phase::Closed
        } else {
            Phase::Disabled
        };
        Self {
            limits,
            phase,
            since: now,
            outage: now,
            reason: Reason::New,
            cause: Reason::New,
            in_a_row: 0,
            openings: 0,
            chance: seed,
        }
    }

    pub(super) fn state(&self) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open(_) => State::Open,
            Phase::HalfOpen(_) => State::HalfOpen,
            Phase::ForcedOpen => State::ForcedOpen,
            Phase::Disabled => State::Disabled,
        }
    }

    pub(super) fn reason(&self) -> Reason {
        self.reason
    }

    pub(super) fn state_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    pub(super) fn openings(&self) -> u64 {
        self.openings
    }

    pub(super) fn opened_as_slow(&self) -> bool {
        matches!(self.cause, Reason::Slow { .. })
    }

    pub(super) fn retry_after(&self, now: Instant) -> Option<Duration> {
        match self.phase {
            Phase::Open(until) => Some(until.saturating_duration_since(now)),
            _ => None,
        }
    }

    /// Whether a caller may call, and takes a place by that. `patience` is that of a caller who has
    /// no other host.
    pub(super) fn admit(
        &mut self,
        patience: Option<Duration>,
        now: Instant,
    ) -> Result<bool, Refused> {
        let outage = now.saturating_duration_since(self.outage);
        let retry_after = match &mut self.phase {
            Phase::Closed | Phase::Disabled => return Ok(false),
            Phase::ForcedOpen => None,
            Phase::HalfOpen(ramp) => {
                if ramp.take(now) {
                    return Ok(true);
                }
                if patience.is_some() {
                    return Ok(false);
                }
                Some(PLACE_MAX)
            }
            Phase::Open(until) => {
                let wait = until.saturating_duration_since(now);
                match patience {
                    Some(patience) if outage < patience => return Ok(false),
                    Some(_) => Some(wait.min(PROBED_EVERY)),
                    None => Some(wait),
                }
            }
        };
        Err(Refused {
            state: self.state(),
            reason: self.cause,
            open_for: outage,
            retry_after,
        })
    }

    /// As [`admit`](Self::admit) of a caller who has other hosts, but takes nothing.
    pub(super) fn may_admit(&self, now: Instant) -> bool {
        match &self.phase {
            Phase::Closed | Phase::Disabled => true,
            Phase::HalfOpen(ramp) => ramp.has_room(now),
            Phase::Open(_) | Phase::ForcedOpen => false,
        }
    }

    pub(super) fn probe_due(&self, now: Instant) -> bool {
        match &self.phase {
            Phase::Open(until) => now >= *until,
            Phase::HalfOpen(_) => true,
            Phase::Closed | Phase::ForcedOpen | Phase::Disabled => false,
        }
    }

    pub(super) fn probed(&mut self, answered: bool, now: Instant) {
        match &mut self.phase {
            Phase::Open(_) if answered => self.half_open(Reason::Probe, now),
            // One that comes early, since somebody waits, does not make the wait longer.
            Phase::Open(until) if now >= *until => {
                let wait = self.wait();
                self.phase = Phase::Open(now + wait);
            }
            Phase::HalfOpen(ramp) if answered => {
                if ramp.advance() {
                    self.close(Reason::Probe, now);
                }
            }
            Phase::HalfOpen(_) => self.open(Reason::Relapse, now),
            Phase::Closed | Phase::Open(_) | Phase::ForcedOpen | Phase::Disabled => {}
        }
    }

    /// A call ended that was made in this phase.
    pub(super) fn record(&mut self, has_place: bool, answered: bool, now: Instant) {
        if has_place {
            self.give_back();
        }
        match &mut self.phase {
            // Of somebody who had no other host to call: as good as a probe.
            Phase::Open(_) if answered => self.half_open(Reason::Call, now),
            Phase::HalfOpen(ramp) if answered => {
                if ramp.advance() {
                    self.close(Reason::Call, now);
                }
            }
            Phase::HalfOpen(_) => self.open(Reason::Relapse, now),
            Phase::Closed | Phase::Open(_) | Phase::ForcedOpen | Phase::Disabled => {}
        }
    }

    pub(super) fn give_back(&mut self) {
        if let Phase::HalfOpen(ramp) = &mut self.phase {
            ramp.taken = ramp.taken.saturating_sub(1);
        }
    }

    pub(super) fn order(&mut self, order: Order, now: Instant) {
        let phase = match order {
            Order::ForceOpen => Phase::ForcedOpen,
            Order::Disable => Phase::Disabled,
            Order::Reset => Phase::Closed,
        };
        if !matches!(self.phase, Phase::Open(_) | Phase::HalfOpen(_)) {
            self.outage = now;
        }
        self.in_a_row = 0;
        self.cause = Reason::Order;
        self.enter(phase, Reason::Order, now);
    }

    pub(super) fn open(&mut self, reason: Reason, now: Instant) {
        if matches!(self.phase, Phase::Closed) {
            if self.state_for(now) >= REST {
                self.in_a_row = 0;
            }
            self.outage = now;
            self.cause = reason;
        }
        self.openings += 1;
        let wait = self.wait();
        self.enter(Phase::Open(now + wait), reason, now);
    }

    fn half_open(&mut self, reason: Reason, now: Instant) {
        let ramp = Ramp {
            places: PLACES_FIRST,
            taken: 0,
            answered: 0,
            taken_at: now,
        };
        self.enter(Phase::HalfOpen(ramp), reason, now);
    }

    fn close(&mut self, reason: Reason, now: Instant) {
        self.enter(Phase::Closed, reason, now);
    }

    fn enter(&mut self, phase: Phase, reason: Reason, now: Instant) {
        self.phase = phase;
        self.reason = reason;
        self.since = now;
    }

    /// How long to stay open now: twice as long as before, and up to a fifth less by chance, so that
    /// many clients of one host do not come back together.
    fn wait(&mut self) -> Duration {
        let doubled = 2_u32.saturating_pow(self.in_a_row);
        self.in_a_row = self.in_a_row.saturating_add(1);
        let longest = self.limits.open_min.saturating_mul(doubled);
        let longest = longest.min(self.limits.open_max);
        // SplitMix64, by Sebastiano Vigna: even over all of u64.
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = self.chance;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let percent = u32::try_from((drawn ^ (drawn >> 31)) % 20).unwrap_or_default();
        longest - longest / 100 * percent
    }
}

impl Ramp {
    fn has_room(&self, now: Instant) -> bool {
        let is_stuck = now.saturating_duration_since(self.taken_at) >= PLACE_MAX;
        self.taken < self.places || is_stuck
    }

    fn take(&mut self, now: Instant) -> bool {
        let has_room = self.has_room(now);
        if has_room {
            self.taken += 1;
            self.taken_at = now;
        }
        has_room
    }

    /// Something was answered; whether that was the last of what is needed.
    fn advance(&mut self) -> bool {
        self.answered += 1;
        if self.answered < self.places {
            return false;
        }
        if self.places == PLACES_THEN {
            return true;
        }
        self.places = PLACES_THEN;
        self.answered = 0;
        false
    }
}
