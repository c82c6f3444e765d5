use std::sync::Arc;
use std::time::Instant;

use aquifer_core::topology::{self as core, History, Lag, Position, Role, Topology};

use crate::observe::{HostRole, Mode};
use crate::{Error, ErrorKind};

/// What is known about the hosts at one moment; never changed.
#[derive(Debug)]
pub(crate) struct View {
    /// The host that calls go to which ask for none in particular.
    pub(crate) main: Option<usize>,
    /// The host that takes writes.
    pub(crate) primary: Option<usize>,
    pub(crate) mode: Mode,
    /// Writes are refused, since the primary's disk is full.
    pub(crate) disk_full: bool,
    pub(crate) hosts: Box<[Seen]>,
    /// The hosts that may answer reads which need not be of this moment.
    pub(crate) readable: Box<[usize]>,
    /// Each host was asked once.
    pub(crate) all_asked: bool,
    timeline: Option<u32>,
    history: History,
}

/// One host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) role: Option<HostRole>,
    pub(crate) lag: Option<Lag>,
    pub(crate) last_seen: Option<Instant>,
    position: Option<Position>,
}

impl View {
    pub(super) fn of(topology: &Topology, hosts: usize) -> Self {
        let seen = |host| Seen {
            role: topology.role(host).map(role),
            lag: topology.lag(host),
            last_seen: topology.last_seen(host),
            position: topology.position(host),
        };
        Self {
            main: topology.main(),
            primary: topology.primary(),
            mode: mode(topology.mode()),
            disk_full: topology.is_disk_full(),
            hosts: (0..hosts).map(seen).collect(),
            readable: (0..hosts)
                .filter(|host| topology.is_readable(*host))
                .collect(),
            all_asked: topology.were_all_asked(),
            timeline: topology.timeline(),
            history: topology.history().clone(),
        }
    }

    /// Whether a host is known to have replayed all that was before `wanted`.
    pub(crate) fn has(&self, host: usize, wanted: Position) -> bool {
        let position = self.hosts.get(host).and_then(|host| host.position);
        position.is_some_and(|position| self.history.includes(position, wanted))
    }

    /// Whether `wanted` is of a timeline that none of the hosts has told of yet.
    pub(crate) fn is_unheard(&self, wanted: Position) -> bool {
        self.timeline
            .is_some_and(|timeline| timeline < wanted.timeline)
    }

    /// Whether a replica may ever have all that was before `wanted`, as far as is known: not when
    /// the primary's history leaves it out.
    pub(crate) fn may_reach(&self, wanted: Position) -> bool {
        self.timeline.is_none_or(|timeline| {
            timeline < wanted.timeline || self.history.leads_to(timeline, wanted)
        })
    }
}

pub(super) fn role(role: Role) -> HostRole {
    match role {
        Role::Primary => HostRole::Primary,
        Role::Standby => HostRole::Standby,
        Role::Fenced => HostRole::Fenced,
        Role::Unreachable => HostRole::Unreachable,
    }
}

pub(super) fn mode(mode: core::Mode) -> Mode {
    match mode {
        core::Mode::Normal => Mode::Normal,
        core::Mode::PrimaryDown => Mode::PrimaryDown,
        core::Mode::ReadOnly => Mode::ReadOnly,
        core::Mode::Down => Mode::Down,
    }
}

/// Says of each host why it can't be called.
pub(super) fn no_host(names: &[Arc<str>], failures: &[Option<Error>], view: &View) -> Error {
    let hosts = names.iter().zip(&view.hosts).zip(failures);
    let reasons: Vec<String> = hosts
        .map(|((name, seen), failure)| match (seen.role, failure) {
            (Some(HostRole::Standby), _) => format!("{name} is a standby"),
            (Some(HostRole::Fenced), _) => {
                format!("{name} was replaced as the primary, or belongs to another database")
            }
            (_, Some(failure)) => failure.to_string(),
            (Some(HostRole::Primary), None) => format!("{name} is the primary"),
            (_, None) => format!("{name} has not answered yet"),
        })
        .collect();
    let reasons = reasons.join("; ");
    let stop = if reasons.ends_with(['.', '?']) {
        ""
    } else {
        "."
    };
    let mut text = format!(
        "none of {} hosts can take this call: {reasons}{stop}",
        names.len()
    );
    let never_seen = view.hosts.iter().all(|host| host.last_seen.is_none());
    if !never_seen {
        text.push_str(
            " Calls are held until their deadline, for `primary_wait` at most; hosts are asked ten \
             times a second meanwhile",
        );
    }
    let (kind, source) = kind(failures, never_seen);
    let error = Error::new(kind, text);
    match source {
        Some(source) => error.with_source(source.clone()),
        None => error,
    }
}

/// What kind of failure it is that no host takes calls, and which of the hosts' own says most of it.
fn kind(failures: &[Option<Error>], never_seen: bool) -> (ErrorKind, Option<&Error>) {
    let all = || failures.iter().flatten();
    let is_same = |kind| {
        let mut failures = failures.iter();
        failures.all(|failure| failure.as_ref().map(Error::kind) == Some(kind))
    };
    // A wrong password is wrong everywhere, and waiting does not help. At the start a host that answers
    // says more than those that are away.
    let is_refusal = |kind| matches!(kind, ErrorKind::Authentication | ErrorKind::Tls);
    match all().find(|failure| is_refusal(failure.kind())) {
        Some(refusal) if never_seen || is_same(refusal.kind()) => (refusal.kind(), Some(refusal)),
        _ if is_same(ErrorKind::Timeout) => (ErrorKind::Timeout, all().next_back()),
        _ => (ErrorKind::Connection, all().next_back()),
    }
}
