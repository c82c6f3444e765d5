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
    round: Vec<Fault>,
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
    /// Those too, and one process can't open another for a while; all else that it has with Redis goes on.
    LinkGone,
    /// The server ends all connections.
    ClientsKilled,
    /// One process stands still.
    Paused,
    /// All connections to the database end.
    DatabaseCut,
}

/// Those that few rules stand against come twice.
const ALL: [Fault; 22] = [
    Fault::Blip,
    Fault::Cut,
    Fault::Unreachable,
    Fault::Silence,
    Fault::Unheard,
    Fault::Late,
    Fault::Killed,
    Fault::OldCopy,
    Fault::OldCopy,
    Fault::Hangs,
    Fault::Flushed,
    Fault::Evicted,
    Fault::StampsLost,
    Fault::StampsLost,
    Fault::Garbage,
    Fault::LinksKilled,
    Fault::LinkGone,
    Fault::LinkGone,
    Fault::ClientsKilled,
    Fault::Paused,
    Fault::Paused,
    Fault::DatabaseCut,
];

/// After what is seen only when it was not made good by something else for longer than the bound.
const LEFT_ALONE: Duration = Duration::from_millis(500);

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
    pub(super) fn one(&mut self, processes: &Processes) {
        if self.round.is_empty() {
            self.round.extend(ALL);
        }
        let count = u64::try_from(self.round.len()).unwrap_or(1);
        let chosen = usize::try_from(self.numbers.below(count)).unwrap_or(0);
        let fault = self.round.swap_remove(chosen);
        let begun = now();
        let whom = self.on_one(fault, processes);
        let name = whom.map_or_else(
            || format!("{fault:?}"),
            |whom| format!("{fault:?} of {whom}"),
        );
        self.told.push((name, begun, now()));
        *self.done.entry(fault.name()).or_default() += 1;
    }

    /// The time until the next: sometimes too short to recover.
    pub(super) fn respite(&mut self) -> Duration {
        self.numbers.milliseconds(0, 500)
    }

    pub(super) fn done(&self) -> BTreeMap<&'static str, u64> {
        self.done.clone()
    }

    /// Each with when it began and ended.
    pub(super) fn told(&self) -> Vec<(String, u64, u64)> {
        self.told.clone()
    }

    /// Returns the process that it was done to.
    fn on_one(&mut self, fault: Fault, processes: &Processes) -> Option<usize> {
        let process = self.numbers.below(u64::try_from(PROCESSES).unwrap_or(1));
        let process = usize::try_from(process).unwrap_or(0);
        let network = self.servers.networks.get(process)?;
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
                network.refuse();
                self.kill_links();
                // Not for so long that what is in memory is not used any more.
                self.span(50, 600);
                network.accept();
                thread::sleep(BOUND + LEFT_ALONE);
            }
            Fault::Paused => {
                processes.signal(process, Signal::STOP);
                self.span(500, 3_000);
                processes.signal(process, Signal::CONT);
            }
            fault => {
                self.on_all(fault);
                return None;
            }
        }
        Some(process)
    }

    fn on_all(&mut self, fault: Fault) {
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
            Fault::Hangs => {
                redis.pause();
                self.span(100, 2_000);
                redis.resume();
            }
            Fault::Flushed => self.ask(&["FLUSHALL"]),
            Fault::StampsLost => {
                // So many writes come after the second time as between both, and some more.
                let between = self.numbers.milliseconds(400, 1_200);
                self.ask(&["EVAL", FORGET, "0"]);
                thread::sleep(between);
                self.ask(&["EVAL", FORGET, "0"]);
                thread::sleep(between + BOUND + LEFT_ALONE);
            }
            Fault::Evicted => self.ask(&["EVAL", EVICT, "0"]),
            Fault::Garbage => self.ask(&["EVAL", SPOIL, "0"]),
            Fault::LinksKilled => self.kill_links(),
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

    fn kill_links(&self) {
        // Those that track others' changes have a `t` among their flags.
        let list = self.servers.redis.try_command(&["CLIENT", "LIST"]);
        for client in list.unwrap_or_default().lines() {
            let field = |name: &str| {
                let mut fields = client.split(' ');
                fields.find_map(|field| field.strip_prefix(name))
            };
            let tracks = field("flags=").is_some_and(|flags| flags.contains(['t', 'P']));
            if let (true, Some(id)) = (tracks, field("id=")) {
                self.ask(&["CLIENT", "KILL", "ID", id]);
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
            Self::Hangs => "hangs",
            Self::Flushed => "flushed",
            Self::Evicted => "evicted",
            Self::StampsLost => "stamps_lost",
            Self::Garbage => "garbage",
            Self::LinksKilled => "links_killed",
            Self::LinkGone => "link_gone",
            Self::ClientsKilled => "clients_killed",
            Self::Paused => "paused",
            Self::DatabaseCut => "database_cut",
        }
    }
}
