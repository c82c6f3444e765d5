//! Which host is the primary, which may answer reads, and what the hosts together can still do.
//!
//! Whoever asks the hosts reports what came of it ([`Topology::answered`], [`Topology::missed`]);
//! what follows is decided here and told as a list of [`Change`]s. The rules:
//! - the primary is a host that is not in recovery, of the same system, on the highest timeline that
//!   was ever seen there: a host on a lower one is *fenced*, also while no other claims the part;
//! - of two hosts on the same timeline the one that is the primary already stays it;
//! - a host is given up after several misses in a row, so that a single slow answer changes nothing;
//! - at the start nobody is the primary before all hosts were heard, or had time to be;
//! - whatever changes, or looks as if it will, raises the *alarm*: hosts are asked more often until
//!   nothing has changed for a while.

mod change;
mod host;
mod mode;
mod position;
mod rules;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub use self::change::Change;
use self::host::Host;
pub use self::host::{Answer, Lag, Role};
pub use self::mode::Mode;
use self::mode::Writes;
pub use self::position::{History, Position};
pub use self::rules::{Rules, Wanted};

/// What is known about the hosts of one database.
#[derive(Clone, Debug)]
pub struct Topology {
    rules: Rules,
    hosts: Vec<Host>,
    /// Of the first primary: whoever has another one belongs to another database.
    system: Option<i64>,
    /// The highest timeline that was seen.
    timeline: Option<u32>,
    primary: Option<usize>,
    /// Who was the primary last, or is it.
    last_primary: Option<usize>,
    main: Option<usize>,
    /// Since when there has been no primary, or nobody to call; from the start on at first.
    missing_since: Option<Instant>,
    settled_at: Instant,
    alarm_until: Instant,
    writes: Writes,
    mode: Mode,
    history: History,
}

impl Topology {
    /// Nothing is known yet of so many hosts.
    #[must_use]
    pub fn new(hosts: usize, rules: Rules, now: Instant) -> Self {
        Self {
            rules,
            hosts: vec![Host::default(); hosts],
            system: None,
            timeline: None,
            primary: None,
            last_primary: None,
            main: None,
            missing_since: Some(now),
            settled_at: now + rules.settle,
            alarm_until: now,
            writes: Writes::default(),
            mode: Mode::Normal,
            history: History::default(),
        }
    }

    /// A host answered.
    pub fn answered(&mut self, host: usize, answer: Answer, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        let Some(known) = self.hosts.get_mut(host) else {
            return changes;
        };
        if known.is_lost(&self.rules) {
            let after = known.away(now);
            changes.push(Change::Back { host, after });
        }
        known.answered(answer, now);
        self.judge(now, &mut changes);
        self.measure(host, &mut changes);
        changes
    }

    /// A host did not answer in time, or could not be reached.
    pub fn missed(&mut self, host: usize, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        let Some(known) = self.hosts.get_mut(host) else {
            return changes;
        };
        let was_lost = known.is_lost(&self.rules);
        if known.missed(now) && !was_lost {
            self.alarm_until = now + self.rules.calm_after;
        }
        if !was_lost && known.is_lost(&self.rules) {
            changes.push(Change::Lost { host });
        }
        self.judge(now, &mut changes);
        changes
    }

    /// Something looks wrong: hosts are asked more often from now on.
    pub fn alarm(&mut self, now: Instant) {
        self.alarm_until = now + self.rules.calm_after;
    }

    /// Whether there is an alarm.
    #[must_use]
    pub fn is_alarmed(&self, now: Instant) -> bool {
        now < self.alarm_until || self.main.is_none()
    }

    /// How long to wait before a host is asked again.
    #[must_use]
    pub fn interval(&self, now: Instant) -> Duration {
        if self.is_alarmed(now) {
            self.rules.alarm_interval
        } else {
            self.rules.interval
        }
    }

    /// A write found the disk full.
    pub fn disk_full(&mut self, now: Instant) -> Vec<Change> {
        self.writes.disk_full(now);
        self.changed_mode(now)
    }

    /// A write succeeded; of interest only while writes are refused for a full disk.
    pub fn wrote(&mut self, now: Instant) -> Vec<Change> {
        self.writes.succeeded();
        self.changed_mode(now)
    }

    /// Whether a write is worth trying. While disks are full one is, now and then, to see whether
    /// there is room again.
    pub fn may_write(&mut self, now: Instant) -> bool {
        !self.writes.is_disk_full() || self.writes.try_one(now)
    }

    /// Whether writes are refused, since they found the disk full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.writes.is_disk_full()
    }

    /// Whether a call that finds nobody to go to may wait for one.
    #[must_use]
    pub fn may_wait(&self, now: Instant) -> bool {
        self.missing_since
            .is_none_or(|since| now.saturating_duration_since(since) < self.rules.primary_wait)
    }

    /// The host that takes writes.
    #[must_use]
    pub fn primary(&self) -> Option<usize> {
        self.primary
    }

    /// The host that calls go to which ask for none in particular.
    #[must_use]
    pub fn main(&self) -> Option<usize> {
        self.main
    }

    /// What is possible.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The highest timeline that was seen.
    #[must_use]
    pub fn timeline(&self) -> Option<u32> {
        self.timeline
    }

    /// Where timelines were seen to switch.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The part that a host plays; `None` before it was heard, or given up.
    #[must_use]
    pub fn role(&self, host: usize) -> Option<Role> {
        self.hosts.get(host)?.role
    }

    /// How far a replica is behind, if that is known.
    #[must_use]
    pub fn lag(&self, host: usize) -> Option<Lag> {
        let host = self.hosts.get(host)?;
        host.lag.filter(|_| host.role == Some(Role::Standby))
    }

    /// Whether a host may answer reads that need not be of this moment.
    #[must_use]
    pub fn is_readable(&self, host: usize) -> bool {
        self.hosts
            .get(host)
            .is_some_and(|host| host.role == Some(Role::Standby) && !host.lagging)
    }

    /// How far a host has written or replayed.
    #[must_use]
    pub fn position(&self, host: usize) -> Option<Position> {
        self.hosts.get(host)?.answer?.position()
    }

    /// When a host answered last.
    #[must_use]
    pub fn last_seen(&self, host: usize) -> Option<Instant> {
        self.hosts.get(host)?.seen
    }

    /// Whether each host was asked once, whatever came of it.
    #[must_use]
    pub fn were_all_asked(&self) -> bool {
        self.hosts.iter().all(Host::was_asked)
    }

    /// The first host that takes itself for a primary says of which system all must be. A timeline
    /// that one of the hosts follows exists, so lower ones are of the past.
    fn learn(&mut self) {
        let answers = || self.hosts.iter().filter_map(|host| host.answer);
        let mut primaries = answers().filter(|answer| !answer.standby);
        let system = self
            .system
            .or_else(|| primaries.find_map(|answer| answer.system));
        let ours = answers().filter(|answer| !is_other(system, answer.system));
        let timeline = ours.map(|answer| answer.timeline).max().flatten();
        self.system = system;
        self.timeline = self.timeline.max(timeline);
    }

    fn is_foreign(&self, answer: Answer) -> bool {
        is_other(self.system, answer.system)
    }

    fn judge(&mut self, now: Instant, changes: &mut Vec<Change>) {
        let settled = self.last_primary.is_some()
            || now >= self.settled_at
            || self.hosts.iter().all(Host::was_asked);
        if settled {
            self.learn();
            self.elect(now, changes);
            self.assign(now, changes);
        }
        self.choose_main(now);
        changes.extend(self.changed_mode(now));
    }

    /// Whether a host may be the primary by what it said last.
    fn claim(&self, host: &Host) -> Option<Option<u32>> {
        let answer = host.answer.filter(|_| !host.is_lost(&self.rules))?;
        let is_past = answer.timeline.is_some() && answer.timeline < self.timeline;
        (!answer.standby && !self.is_foreign(answer) && !is_past).then_some(answer.timeline)
    }

    fn elect(&mut self, now: Instant, changes: &mut Vec<Change>) {
        let claims = self.hosts.iter().enumerate();
        let claims = claims.filter_map(|(index, host)| Some((index, self.claim(host)?)));
        // Of equals the one that is it, or was it last, else the first.
        let known = self.primary.or(self.last_primary);
        let elected = claims
            .max_by_key(|(index, timeline)| (*timeline, Some(*index) == known, usize::MAX - *index))
            .map(|(index, _)| index);
        let before = std::mem::replace(&mut self.primary, elected);
        let Some(elected) = elected else {
            return;
        };
        if let Some(from) = self.last_primary.filter(|last| *last != elected) {
            let away = self
                .hosts
                .get(from)
                .map_or(Duration::ZERO, |host| host.away(now));
            let gap = match before {
                Some(_) => away,
                None => self
                    .missing_since
                    .map_or(away, |since| away.max(now.saturating_duration_since(since))),
            };
            let to = elected;
            changes.push(Change::Failover { from, to, gap });
            self.note_switch(from, to);
            self.writes = Writes::default();
        }
        self.last_primary = Some(elected);
    }

    /// Remembers up to where the histories of two primaries are the same: what the new one had
    /// replayed before is part of both.
    fn note_switch(&mut self, from: usize, to: usize) {
        let of = |host: usize| self.hosts.get(host);
        let before = of(from).and_then(|host| host.timeline_as_primary);
        let now = of(to).and_then(|host| host.answer?.timeline);
        let replayed = of(to).and_then(|host| host.replayed);
        if let (Some(before), Some(now), Some(replayed)) = (before, now, replayed) {
            self.history.switched(before, now, replayed);
        }
    }

    /// Gives each host its part.
    fn assign(&mut self, now: Instant, changes: &mut Vec<Change>) {
        for index in 0..self.hosts.len() {
            let Some(host) = self.hosts.get(index) else {
                continue;
            };
            let role = match host.answer {
                _ if host.is_lost(&self.rules) => Role::Unreachable,
                None => continue,
                Some(_) if self.primary == Some(index) => Role::Primary,
                Some(answer) if answer.standby && !self.is_foreign(answer) => Role::Standby,
                Some(_) => Role::Fenced,
            };
            let is_rival = host.answer.is_some_and(|answer| !answer.standby);
            let from = host.role;
            if from == Some(role) {
                continue;
            }
            if let Some(host) = self.hosts.get_mut(index) {
                host.set_role(role);
            }
            self.alarm_until = now + self.rules.calm_after;
            let (host, to) = (index, role);
            changes.push(Change::Role { host, from, to });
            if let (Role::Fenced, true, Some(primary)) = (role, is_rival, self.primary) {
                let fenced = index;
                changes.push(Change::SplitBrain { primary, fenced });
            }
        }
    }

    fn choose_main(&mut self, now: Instant) {
        let suits = |index: usize| self.suits(index, self.rules.wanted);
        let mut hosts = self.main.into_iter().chain(0..self.hosts.len());
        let mut main = hosts.find(|index| suits(*index));
        if main.is_none() && self.rules.wanted == Wanted::PreferStandby {
            main = (0..self.hosts.len()).find(|index| self.suits(*index, Wanted::Any));
        }
        self.main = main;
        if main.is_some() {
            self.missing_since = None;
        } else {
            self.missing_since.get_or_insert(now);
        }
    }

    fn suits(&self, index: usize, wanted: Wanted) -> bool {
        let Some(host) = self.hosts.get(index) else {
            return false;
        };
        let read_only = host.answer.is_some_and(|answer| answer.read_only);
        match (wanted, host.role) {
            (Wanted::Primary, Some(Role::Primary)) => true,
            (Wanted::Any, Some(Role::Primary | Role::Standby)) => true,
            (Wanted::ReadOnly, Some(Role::Primary)) => read_only,
            (Wanted::ReadOnly | Wanted::Standby | Wanted::PreferStandby, Some(Role::Standby)) => {
                true
            }
            _ => false,
        }
    }

    /// Compares what a host has replayed with what the primary has written, as far as was seen.
    fn measure(&mut self, index: usize, changes: &mut Vec<Change>) {
        let written = self
            .primary
            .or(self.last_primary)
            .and_then(|primary| self.position(primary).zip(self.last_seen(primary)));
        let (bytes_max, age_max) = (self.rules.lag_bytes_max, self.rules.lag_max);
        let Some(host) = self.hosts.get_mut(index) else {
            return;
        };
        if host.role != Some(Role::Standby) {
            host.lag = None;
            host.lagging = false;
            return;
        }
        host.measure(written);
        let Some(lag) = host.lag else {
            return;
        };
        let host = index;
        let exceeds =
            |share: u32| lag.bytes > bytes_max / u64::from(share) || lag.age > age_max / share;
        let Some(known) = self.hosts.get_mut(index) else {
            return;
        };
        // What is back must be well back.
        if known.lagging && !exceeds(2) {
            known.lagging = false;
            changes.push(Change::LagNormal { host });
        } else if !known.lagging && exceeds(1) {
            known.lagging = true;
            changes.push(Change::LagHigh { host, lag });
        }
    }

    fn changed_mode(&mut self, now: Instant) -> Vec<Change> {
        let from = self.mode;
        let to = self.mode_now(now);
        self.mode = to;
        if from == to {
            Vec::new()
        } else {
            vec![Change::Mode { from, to }]
        }
    }

    fn mode_now(&self, now: Instant) -> Mode {
        let primary = self.primary.and_then(|primary| self.hosts.get(primary));
        let answers = |host: &Host| !host.is_lost(&self.rules) && host.answer.is_some();
        if self.main.is_some() && self.rules.wanted != Wanted::Primary {
            return Mode::Normal;
        }
        match primary {
            Some(primary) if primary.refuses_writes => Mode::ReadOnly,
            Some(_) if self.writes.is_disk_full() => Mode::ReadOnly,
            Some(_) => Mode::Normal,
            // Nothing is known yet.
            None if self.last_primary.is_none() && !self.hosts.iter().all(Host::was_asked) => {
                self.mode
            }
            None if !self.hosts.iter().any(answers) => Mode::Down,
            None if self.may_wait(now) => Mode::PrimaryDown,
            None => Mode::ReadOnly,
        }
    }
}

fn is_other(ours: Option<i64>, other: Option<i64>) -> bool {
    matches!((ours, other), (Some(ours), Some(other)) if ours != other)
}
