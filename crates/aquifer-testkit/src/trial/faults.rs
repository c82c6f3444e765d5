use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::processes::Processes;
use super::record::now;
use super::{BOUND, PROCESSES, Servers};
use crate::numbers::Numbers;
use crate::{Direction, Ending, Mode, Proxy};

/// What is done to the system, one after the other.
pub(super) struct Faults<'a> {
    servers: &'a Servers,
    numbers: Numbers,
    /// Those of this round that are still to come.
    round: Vec<Kind>,
    told: Vec<(String, u64, u64)>,
    done: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// All connections of all processes to Redis end at once.
    Blip,
    /// Those of one process, which comes back at once.
    Cut,
    /// One process can't reach Redis.
    Unreachable,
    /// One process hears nothing from Redis, and then everything.
    Silence,
    /// Redis hears nothing from one process, and then everything.
    Unheard,
    /// One process hears everything late.
    Late,
    /// Redis is killed, and comes back empty.
    Killed,
    /// Redis is killed, and comes back with what it had some time ago.
    OldCopy,
    /// The same while nobody writes, so that nobody misses it.
    OldCopyAtRest,
    /// Redis hangs.
    Hangs,
    Flushed,
    /// Some keys of Redis are lost.
    Evicted,
    /// All stamps are lost, values are not; and again when new ones have come.
    StampsLost,
    /// Some keys of Redis hold garbage.
    Garbage,
    /// The server ends the connections that tell of changes.
    LinksKilled,
    /// Those too, and one process has to wait for another; all else that it has with Redis goes on.
    LinkGone,
    /// The link of one process falls silent for ever; all else that it has with Redis goes on.
    LinkSilent,
    /// The server ends all connections.
    ClientsKilled,
    /// Redis takes no writes, and answers reads.
    WritesRefused,
    /// One process stands still.
    Paused,
    /// One process is killed, wherever it is, and another takes its place.
    Ended,
    /// As soon as it has loaded a value that others wait for.
    EndedLoading,
    /// As soon as a write is committed that nobody knows of.
    EndedWriting,
    /// All connections to the database end.
    DatabaseCut,
}

/// Each with whether the writers of whom it is done to make a pause meanwhile: what they can't tell Redis
/// would be made up for, and with it all that others have missed.
type Kind = (Fault, bool);

/// Those that few rules stand against, so that they come first.
const TELLING: [Kind; 9] = [
    (Fault::OldCopyAtRest, false),
    (Fault::StampsLost, false),
    (Fault::LinkGone, true),
    (Fault::LinkSilent, false),
    (Fault::WritesRefused, false),
    (Fault::WritesRefused, false),
    (Fault::Paused, false),
    (Fault::Paused, true),
    (Fault::Unreachable, false),
];

const OTHERS: [Kind; 17] = [
    (Fault::Blip, false),
    (Fault::Cut, false),
    (Fault::Silence, false),
    (Fault::Unheard, false),
    (Fault::Late, false),
    (Fault::Killed, false),
    (Fault::OldCopy, false),
    (Fault::Hangs, false),
    (Fault::Flushed, false),
    (Fault::Evicted, false),
    (Fault::Garbage, false),
    (Fault::LinksKilled, false),
    (Fault::ClientsKilled, false),
    (Fault::Ended, false),
    (Fault::EndedLoading, false),
    (Fault::EndedWriting, false),
    (Fault::DatabaseCut, false),
];

/// Writes that are under way have ended by then.
const WRITTEN_WITHIN: Duration = Duration::from_millis(150);

/// After what is seen only when it was not made good by something else for longer than the bound.
const LEFT_ALONE: Duration = Duration::from_millis(500);

/// Redis takes writes only with so many replicas, of which it has none.
const TAKEN_BY_REPLICAS: [&str; 3] = ["CONFIG", "SET", "min-replicas-to-write"];

/// Some keys, whatever they are.
const EVICT: &str = "for _ = 1, 10 do local key = redis.call('RANDOMKEY') \
                     if key then redis.call('DEL', key) end end";
const FORGET: &str =
    "for _, key in ipairs(redis.call('KEYS', '*#*')) do redis.call('DEL', key) end";
const SPOIL: &str = "for _ = 1, 5 do local key = redis.call('RANDOMKEY') \
                     if key then redis.call('SET', key, 'garbage', 'PX', 60000) end end";

impl<'a> Faults<'a> {
    pub(super) fn new(servers: &'a Servers, numbers: Numbers) -> Self {
        Self {
            servers,
            numbers,
            round: Vec::new(),
            told: Vec::new(),
            done: BTreeMap::new(),
        }
    }

    /// Each is done once before any is done again.
    pub(super) fn one(&mut self, processes: &mut Processes<'_>) {
        if self.round.is_empty() {
            self.shuffle_in(&OTHERS);
            self.shuffle_in(&TELLING);
        }
        let Some((fault, at_rest)) = self.round.pop() else {
            return;
        };
        let whom = fault.is_of_one().then(|| self.process());
        if at_rest {
            processes.rest(whom, true);
            thread::sleep(WRITTEN_WITHIN);
        }
        let begun = now();
        match whom {
            Some(whom) => self.on_one(fault, whom, processes),
            None => self.on_all(fault, processes),
        }
        if at_rest {
            processes.rest(whom, false);
        }
        let name = whom.map_or_else(
            || format!("{fault:?}"),
            |whom| format!("{fault:?} of {whom}"),
        );
        self.told.push((name, begun, now()));
        *self.done.entry(fault.name()).or_default() += 1;
    }

    /// The time until the next: sometimes too short to recover.
    pub(super) fn respite(&mut self) -> Duration {
        self.numbers.milliseconds(0, 300)
    }

    pub(super) fn done(&self) -> BTreeMap<&'static str, u64> {
        self.done.clone()
    }

    /// Each with when it began and ended.
    pub(super) fn told(&self) -> Vec<(String, u64, u64)> {
        self.told.clone()
    }

    fn shuffle_in(&mut self, faults: &[Kind]) {
        let mut faults = faults.to_vec();
        while !faults.is_empty() {
            let left = u64::try_from(faults.len()).unwrap_or(1);
            let chosen = usize::try_from(self.numbers.below(left)).unwrap_or(0);
            self.round.push(faults.swap_remove(chosen));
        }
    }

    fn process(&mut self) -> usize {
        let processes = u64::try_from(PROCESSES).unwrap_or(1);
        usize::try_from(self.numbers.below(processes)).unwrap_or(0)
    }

    fn on_one(&mut self, fault: Fault, process: usize, processes: &mut Processes<'_>) {
        let Some(network) = self.servers.networks.get(process) else {
            return;
        };
        match fault {
            Fault::Cut => network.cut_all(self.ending()),
            Fault::Unreachable => {
                network.refuse();
                network.cut_all(Ending::Reset);
                self.span(100, 2_500);
                network.accept();
            }
            Fault::Silence => self.hold(network, Direction::ToClient),
            Fault::Unheard => self.hold(network, Direction::ToServer),
            Fault::Late => {
                let (least, most) = (Duration::ZERO, self.numbers.milliseconds(50, 900));
                network.set_direction(Direction::ToClient, Mode::Jitter { least, most });
                self.span(500, 2_500);
                network.set(Mode::Pass);
            }
            Fault::LinkGone => {
                network.keep_waiting();
                self.each_link(|id, _| self.ask(&["CLIENT", "KILL", "ID", id]));
                // Not for so long that the process gives it up, or uses nothing in memory any more.
                self.span(50, 400);
                network.accept();
                thread::sleep(BOUND + LEFT_ALONE);
            }
            Fault::LinkSilent => {
                self.each_link(|_, port| {
                    let _or_it_is_another_process = network.end_from(port, Ending::Silence);
                });
                thread::sleep(BOUND + LEFT_ALONE);
            }
            Fault::Paused => {
                processes.signal(process, Signal::STOP);
                self.span(500, 2_000);
                processes.signal(process, Signal::CONT);
            }
            Fault::Ended => processes.replace(process, None),
            Fault::EndedLoading => processes.replace(process, Some("loaded")),
            Fault::EndedWriting => processes.replace(process, Some("committed")),
            fault => panic!("{fault:?} is done to all"),
        }
    }

    fn on_all(&mut self, fault: Fault, processes: &Processes<'_>) {
        let redis = &self.servers.redis;
        match fault {
            Fault::Blip => {
                let ending = self.ending();
                for network in &self.servers.networks {
                    network.cut_all(ending);
                }
            }
            Fault::Killed => {
                // An old copy would be found otherwise.
                redis.forget_copy();
                redis.kill();
                self.span(0, 2_000);
                redis.start_again();
            }
            Fault::OldCopy => {
                redis.keep_copy();
                self.span(200, 1_500);
                redis.kill();
                // Mostly so soon that nobody else has noticed.
                if self.numbers.one_in(3) {
                    self.span(0, 500);
                }
                redis.start_again();
                redis.forget_copy();
            }
            Fault::OldCopyAtRest => self.old_copy_at_rest(processes),
            Fault::Hangs => {
                redis.pause();
                self.span(100, 2_000);
                redis.resume();
            }
            Fault::WritesRefused => {
                for _ in 0..3 {
                    self.ask(&[&TAKEN_BY_REPLICAS[..], &["1"]].concat());
                    self.span(50, 200);
                    self.ask(&[&TAKEN_BY_REPLICAS[..], &["0"]].concat());
                    self.span(50, 200);
                }
            }
            Fault::Flushed => self.ask(&["FLUSHALL"]),
            Fault::StampsLost => self.lose_stamps(),
            Fault::Evicted => self.ask(&["EVAL", EVICT, "0"]),
            Fault::Garbage => self.ask(&["EVAL", SPOIL, "0"]),
            Fault::LinksKilled => {
                self.each_link(|id, _| self.ask(&["CLIENT", "KILL", "ID", id]));
            }
            Fault::ClientsKilled => self.ask(&["CLIENT", "KILL", "TYPE", "normal"]),
            Fault::DatabaseCut => self.servers.database.cut_all(Ending::Reset),
            fault => panic!("{fault:?} is done to one process"),
        }
    }

    /// What is sent meanwhile arrives afterwards, or is lost with its connection.
    fn hold(&mut self, network: &Proxy, direction: Direction) {
        network.set_direction(direction, Mode::BlackHole);
        self.span(100, 2_500);
        if self.numbers.one_in(3) {
            network.cut_all(Ending::Reset);
        }
        network.set(Mode::Pass);
    }

    fn old_copy_at_rest(&mut self, processes: &Processes<'_>) {
        let redis = &self.servers.redis;
        redis.keep_copy();
        self.span(500, 1_500);
        processes.rest(None, true);
        thread::sleep(WRITTEN_WITHIN);
        redis.kill();
        redis.start_again();
        redis.forget_copy();
        thread::sleep(LEFT_ALONE);
        processes.rest(None, false);
    }

    fn lose_stamps(&mut self) {
        // So many writes come after the second time as between both, and some more.
        let between = self.numbers.milliseconds(400, 1_200);
        self.ask(&["EVAL", FORGET, "0"]);
        thread::sleep(between);
        self.ask(&["EVAL", FORGET, "0"]);
        thread::sleep(between + BOUND + LEFT_ALONE);
    }

    /// Each connection that tells of changes, with its number and the port that it comes from.
    fn each_link(&self, link: impl Fn(&str, u16)) {
        let list = self.servers.redis.try_command(&["CLIENT", "LIST"]);
        for client in list.unwrap_or_default().lines() {
            let field = |name: &str| {
                let mut fields = client.split(' ');
                fields.find_map(|field| field.strip_prefix(name))
            };
            // Those that track others' changes have a `t` among their flags.
            let tells = field("flags=").is_some_and(|flags| flags.contains(['t', 'P']));
            let port = field("addr=").and_then(|addr| addr.rsplit(':').next()?.parse().ok());
            if let (true, Some(id), Some(port)) = (tells, field("id="), port) {
                link(id, port);
            }
        }
    }

    fn ending(&mut self) -> Ending {
        match self.numbers.below(2) {
            0 => Ending::Close,
            _ => Ending::Reset,
        }
    }

    fn span(&mut self, least: u64, most: u64) {
        thread::sleep(self.numbers.milliseconds(least, most));
    }

    /// A client that was to be ended may have ended by itself.
    fn ask(&self, command: &[&str]) {
        let _answer = self.servers.redis.try_command(command);
    }
}

impl Fault {
    fn is_of_one(self) -> bool {
        matches!(
            self,
            Self::Cut
                | Self::Unreachable
                | Self::Silence
                | Self::Unheard
                | Self::Late
                | Self::LinkGone
                | Self::LinkSilent
                | Self::Paused
                | Self::Ended
                | Self::EndedLoading
                | Self::EndedWriting
        )
    }

    fn name(self) -> &'static str {
        match self {
            Self::Blip => "blip",
            Self::Cut => "cut",
            Self::Unreachable => "unreachable",
            Self::Silence => "silence",
            Self::Unheard => "unheard",
            Self::Late => "late",
            Self::Killed => "killed",
            Self::OldCopy => "old_copy",
            Self::OldCopyAtRest => "old_copy_at_rest",
            Self::Hangs => "hangs",
            Self::Flushed => "flushed",
            Self::Evicted => "evicted",
            Self::StampsLost => "stamps_lost",
            Self::Garbage => "garbage",
            Self::LinksKilled => "links_killed",
            Self::LinkGone => "link_gone",
            Self::LinkSilent => "link_silent",
            Self::ClientsKilled => "clients_killed",
            Self::WritesRefused => "writes_refused",
            Self::Paused => "paused",
            Self::Ended => "ended",
            Self::EndedLoading => "ended_loading",
            Self::EndedWriting => "ended_writing",
            Self::DatabaseCut => "database_cut",
        }
    }
}
