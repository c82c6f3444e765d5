//! A small world: a database with a replica, Redis, two processes that keep values in memory, readers
//! and writers in both. Each step of each is made in random order, through the code under test; what a
//! reader may not see is checked at each read, and at the end, when all announcements have come, every
//! process must find what the database holds.

mod process;

use self::process::{Process, Push, Wire};
use super::super::{Mark, Noted, Stamp, Ticket};
use super::TAG;
use super::rules::LeftOut;

/// The same order of steps for the same seed.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or(0) % limit
    }
}

#[derive(Default)]
struct Redis {
    stamp: Option<Stamp>,
    entry: Option<(u64, Mark)>,
    lives: u64,
}

enum Reading {
    Begin,
    Ask { noted: Noted, renews: bool },
    Load(Option<Filling>),
    Keep(u64, Option<Filling>),
}

struct Filling {
    ticket: Ticket,
    stamp: Stamp,
    /// Where the primary was, if it had to be asked.
    position: Option<u64>,
}

#[derive(Clone, Copy)]
enum Writing {
    First,
    Second(u64),
    Change(u64),
    Tell(u64),
}

enum Work {
    Read { at: Reading, least: u64 },
    Write(Writing),
}

struct Actor {
    process: usize,
    left: usize,
    work: Work,
}

pub(super) struct World {
    left_out: LeftOut,
    chance: Chance,
    committed: u64,
    replica: u64,
    redis: Redis,
    processes: [Process; 2],
    actors: Vec<Actor>,
}

/// What a reader saw that it may not see.
#[derive(Debug)]
pub(super) struct Stale {
    pub(super) seen: u64,
    pub(super) least: u64,
}

impl World {
    pub(super) fn new(left_out: LeftOut, seed: u64) -> Self {
        let reader = |process| Actor {
            process,
            left: 3,
            work: Work::Read {
                at: Reading::Begin,
                least: 0,
            },
        };
        let writer = |process| Actor {
            process,
            left: 2,
            work: Work::Write(Writing::First),
        };
        Self {
            left_out,
            chance: Chance::new(seed),
            committed: 0,
            replica: 0,
            redis: Redis::default(),
            processes: [Process::new(), Process::new()],
            actors: vec![
                reader(0),
                reader(0),
                reader(1),
                reader(1),
                writer(0),
                writer(1),
            ],
        }
    }

    /// Lets everybody work to the end, then all announcements arrive, and all must know the truth.
    pub(super) fn run(mut self) -> Result<(), Stale> {
        while !self.actors.is_empty() {
            match self.chance.below(8) {
                0 => self.trouble(),
                1 => self.replica += u64::from(self.replica < self.committed),
                2 | 3 => self.deliver(),
                _ => {
                    let index = self.chance.below(self.actors.len());
                    let mut actor = self.actors.swap_remove(index);
                    self.step(&mut actor)?;
                    if actor.left > 0 {
                        self.actors.push(actor);
                    }
                }
            }
        }
        for process in 0..self.processes.len() {
            while self.processes[process].wire != Wire::Tracking {
                self.processes[process].turn_wire(self.left_out);
            }
            while let Some(push) = self.processes[process].inbox.pop_front() {
                self.processes[process].hear(push);
            }
            let least = self.committed;
            let mut at = Reading::Begin;
            loop {
                match self.read(process, at) {
                    Ok(seen) if seen == least => break,
                    Ok(seen) => return Err(Stale { seen, least }),
                    Err(next) => at = next,
                }
            }
        }
        Ok(())
    }

    fn step(&mut self, actor: &mut Actor) -> Result<(), Stale> {
        let process = actor.process;
        match &mut actor.work {
            Work::Read { at, least } => {
                let now = std::mem::replace(at, Reading::Begin);
                if matches!(now, Reading::Begin) {
                    *least = self.processes[process].told;
                }
                match self.read(process, now) {
                    Ok(seen) if seen < *least => {
                        return Err(Stale {
                            seen,
                            least: *least,
                        });
                    }
                    Ok(_) => actor.left -= 1,
                    Err(next) => *at = next,
                }
            }
            Work::Write(at) => match self.write(process, *at) {
                Some(next) => *at = next,
                None => {
                    *at = Writing::First;
                    actor.left -= 1;
                }
            },
        }
        Ok(())
    }

    /// A step of a read: the value, or what is next.
    fn read(&mut self, process: usize, at: Reading) -> Result<u64, Reading> {
        let place = &mut self.processes[process];
        match at {
            Reading::Begin => {
                let (noted, renews) = match &place.local {
                    Some((value, proof)) if proof.holds(&place.board) => return Ok(*value),
                    Some((_, proof)) => (proof.note(&place.board), true),
                    None => (place.board.note([TAG]), false),
                };
                Err(Reading::Ask { noted, renews })
            }
            Reading::Ask { noted, renews } => self.ask(process, noted, renews),
            Reading::Load(mut filling) => {
                let position = filling.as_ref().map_or(Some(0), |it| it.ticket.position());
                let knows = position.is_some_and(|position| self.replica >= position)
                    || self.left_out == LeftOut::PositionOfTheReplica;
                let replica = knows && self.chance.below(2) == 0;
                let value = if replica {
                    self.replica
                } else {
                    self.committed
                };
                if let Some(filling) = &mut filling {
                    // Who has to ask the primary asks it for its position as well.
                    filling.position = position.is_none().then_some(self.committed);
                }
                Err(Reading::Keep(value, filling))
            }
            Reading::Keep(value, filling) => {
                let filling = filling.unwrap_or_else(|| {
                    let stamp = self.stamp();
                    let noted = self.processes[process].board.note([TAG]);
                    Filling::new(noted, stamp)
                });
                Ok(self.keep(process, value, filling))
            }
        }
    }

    /// The stamps and the value from Redis.
    fn ask(&mut self, process: usize, noted: Noted, renews: bool) -> Result<u64, Reading> {
        let stamp = self.stamp();
        let entry = self.redis.entry;
        let place = &mut self.processes[process];
        let mut filling = Filling::new(noted, stamp);
        if renews && let Some((value, proof)) = place.local.take() {
            let proof = if self.left_out == LeftOut::StampsOnRenewal {
                Ok(filling.ticket.proof())
            } else {
                proof.renewed(filling.ticket)
            };
            match proof {
                Ok(proof) => {
                    place.local = Some((value, proof));
                    return Ok(value);
                }
                Err(ticket) => filling.ticket = ticket,
            }
        }
        match entry {
            Some((value, kept)) if kept == stamp.mark() || self.left_out == LeftOut::Stamps => {
                place.local = Some((value, filling.ticket.proof()));
                Ok(value)
            }
            _ if self.left_out == LeftOut::StampsBeforeTheRead => Err(Reading::Load(None)),
            _ => Err(Reading::Load(Some(filling))),
        }
    }

    fn keep(&mut self, process: usize, value: u64, filling: Filling) -> u64 {
        let mark = filling.stamp.mark();
        self.redis.entry = Some((value, mark));
        if let (Some(position), Some(stamp)) = (filling.position, self.redis.stamp)
            && (stamp.is_of_the_life_of(mark) || self.left_out == LeftOut::LifeOfAKnownPosition)
        {
            self.redis.stamp = Some(stamp.known(position));
        }
        let place = &mut self.processes[process];
        let ticket = if self.left_out == LeftOut::NoteBeforeTheStamps {
            Filling::new(place.board.note([TAG]), filling.stamp).ticket
        } else {
            filling.ticket
        };
        place.local = Some((value, ticket.proof()));
        value
    }

    /// A step of a write: what is next.
    fn write(&mut self, process: usize, at: Writing) -> Option<Writing> {
        match at {
            Writing::First if self.left_out == LeftOut::CommitBeforeTheBump => {
                self.bump(process, self.committed + 1);
                Some(Writing::Second(0))
            }
            Writing::First => Some(Writing::Second(self.commit())),
            Writing::Second(_) if self.left_out == LeftOut::CommitBeforeTheBump => {
                Some(Writing::Change(self.commit()))
            }
            Writing::Second(value) if self.left_out == LeftOut::BumpBeforeTheCallerIsTold => {
                self.processes[process].told = value;
                self.bump(process, value);
                Some(Writing::Change(value))
            }
            Writing::Second(value) if self.left_out == LeftOut::ChangeAfterTheBump => {
                self.processes[process].board.changed(TAG);
                Some(Writing::Tell(value))
            }
            Writing::Second(value) => {
                self.bump(process, value);
                Some(Writing::Change(value))
            }
            Writing::Change(value) => {
                self.processes[process].board.changed(TAG);
                self.processes[process].told = value.max(self.processes[process].told);
                None
            }
            Writing::Tell(value) => {
                self.bump(process, value);
                self.processes[process].told = value.max(self.processes[process].told);
                None
            }
        }
    }

    fn commit(&mut self) -> u64 {
        self.committed += 1;
        self.committed
    }

    /// The current stamp, made where there is none.
    fn stamp(&mut self) -> Stamp {
        if self.left_out != LeftOut::NewLifeForALostStamp {
            self.redis.lives += u64::from(self.redis.stamp.is_none());
        }
        let first = Stamp::first(self.redis.lives);
        let first = if self.left_out == LeftOut::PositionOfALostStamp {
            first.known(0)
        } else {
            first
        };
        *self.redis.stamp.get_or_insert(first)
    }

    /// The next stamp. The process that asked for it is not told, as with NOLOOP.
    fn bump(&mut self, by: usize, position: u64) {
        let stamp = self.stamp();
        let forgets = self.left_out == LeftOut::PositionsUntilOneIsKnown;
        let position = match stamp.position() {
            None if forgets => 0,
            _ => position,
        };
        self.redis.stamp = Some(stamp.next(position));
        if self.left_out == LeftOut::Stamps {
            self.redis.entry = None;
        }
        for (index, process) in self.processes.iter_mut().enumerate() {
            if index != by {
                process.announce(Push::Changed);
            }
        }
    }

    fn trouble(&mut self) {
        let process = self.chance.below(2);
        match self.chance.below(4) {
            // Nobody is told of an eviction: what was true before it is so after it.
            0 => self.redis.stamp = None,
            1 => {
                self.redis.stamp = None;
                self.redis.entry = None;
                for process in &mut self.processes {
                    process.announce(Push::Flushed);
                }
            }
            _ => self.processes[process].turn_wire(self.left_out),
        }
    }

    fn deliver(&mut self) {
        let index = self.chance.below(2);
        let process = &mut self.processes[index];
        if let Some(push) = process.inbox.pop_front() {
            process.hear(push);
        }
    }
}

impl Filling {
    fn new(noted: Noted, stamp: Stamp) -> Self {
        Self {
            ticket: noted.with(&[stamp]).expect("one stamp"),
            stamp,
            position: None,
        }
    }
}
