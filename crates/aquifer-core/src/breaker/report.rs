//! What a breaker says about itself.

use std::fmt;
use std::time::Duration;

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Everything.
    Closed,
    /// Nothing.
    Open,
    /// A few, to see how they fare.
    HalfOpen,
    /// Nothing, because somebody said so.
    ForcedOpen,
    /// Everything, whatever becomes of it, because somebody said so.
    Disabled,
}

/// Why a breaker is in its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// So many calls or openings of connections in a row met no host.
    Cuts(u32),
    /// Too many calls failed.
    Failures {
        /// How many failed,
        failed: u64,
        /// of how many.
        calls: u64,
    },
    /// Too many calls were slow.
    Slow {
        /// How many were slow,
        slow: u64,
        /// of how many,
        calls: u64,
        /// being longer than this.
        limit: Duration,
    },
    /// A probe was answered.
    Probe,
    /// A call was answered.
    Call,
    /// A probe or a call failed while the breaker was half-open.
    Relapse,
    /// Somebody said so.
    Order,
    /// It has not changed yet.
    New,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
    /// Why.
    pub reason: Reason,
}

/// A call that may not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// The state that refuses it.
    pub state: State,
    /// Why the breaker opened.
    pub reason: Reason,
    /// For how long it has not been closed.
    pub open_for: Duration,
    /// When asking again may help; `None` when that is up to an operator.
    pub retry_after: Option<Duration>,
}

/// A breaker as it stands.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// What it lets through.
    pub state: State,
    /// Why it is in that state.
    pub reason: Reason,
    /// For how long it has been in that state.
    pub state_for: Duration,
    /// Calls of the last ten seconds that were made while it was closed.
    pub calls: u64,
    /// How many of them failed.
    pub failures: u64,
    /// How many of them were slow.
    pub slow: u64,
    /// Calls that it refused, ever.
    pub refused: u64,
    /// How often it opened, ever.
    pub openings: u64,
    /// What a call usually takes, once that is known.
    pub usual: Option<Duration>,
    /// While it is open: when it is to be probed.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cuts(cuts) => write!(formatter, "{cuts} calls in a row met no host"),
            Self::Failures { failed, calls } => {
                write!(formatter, "{failed} of {calls} calls failed")
            }
            Self::Slow { slow, calls, limit } => write!(
                formatter,
                "{slow} of {calls} calls took longer than {limit:?}"
            ),
            Self::Probe => formatter.write_str("a probe was answered"),
            Self::Call => formatter.write_str("calls were answered"),
            Self::Relapse => formatter.write_str("it failed again while it was tried"),
            Self::Order => formatter.write_str("an operator said so"),
            Self::New => formatter.write_str("it is new"),
        }
    }
}
