//! What happens rarely and an operator wants to know: values that can be kept, sent on, printed.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use aquifer_core::breaker;

/// A service that the layer depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Service {
    /// The database; required.
    Postgres,
    /// Redis; optional unless the configuration says otherwise.
    Redis,
    /// One that the user watches with a probe of their own, by its name.
    Custom(&'static str),
}

/// How a service does; greater is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Status {
    /// It answers and can do all that is asked of it.
    Up,
    /// It answers, but not everything works: a server in recovery takes no writes.
    Degraded,
    /// It does not answer.
    Down,
}

/// What the layer as a whole can still do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// Everything.
    #[default]
    Normal,
    /// Reads; writes wait for a new primary until their deadline.
    PrimaryDown,
    /// Reads only: there is no primary, or it takes no writes.
    ReadOnly,
    /// Nothing: no host answers.
    Down,
}

/// The part that a host plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostRole {
    /// It takes writes.
    Primary,
    /// It replays what a primary writes.
    Standby,
    /// It takes itself for a primary, but another one has replaced it: nothing is sent there.
    Fenced,
    /// It does not answer.
    Unreachable,
}

/// What a circuit breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
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

impl From<breaker::State> for BreakerState {
    fn from(state: breaker::State) -> Self {
        match state {
            breaker::State::Open => Self::Open,
            breaker::State::HalfOpen => Self::HalfOpen,
            breaker::State::ForcedOpen => Self::ForcedOpen,
            breaker::State::Disabled => Self::Disabled,
            _ => Self::Closed,
        }
    }
}

/// Something that happened to the layer or to what it depends on.
///
/// Received by [`Db::events`](crate::Db::events). Hosts are written as in the configuration; no event
/// holds a password or a value of a statement.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A service does better or worse than before.
    #[non_exhaustive]
    HealthChange {
        /// Which one.
        service: Service,
        /// How it did.
        from: Status,
        /// How it does.
        to: Status,
        /// What that was concluded from, in words.
        evidence: Arc<str>,
    },
    /// A service could not be reached, or stopped to answer. Told once until it recovers.
    #[non_exhaustive]
    ConnectionError {
        /// Which one.
        service: Service,
        /// Its host, where it has several.
        host: Option<Arc<str>>,
        /// Why, in words.
        error: Arc<str>,
    },
    /// A service answers again.
    #[non_exhaustive]
    ConnectionRecovery {
        /// Which one.
        service: Service,
        /// Its host, where it has several.
        host: Option<Arc<str>>,
        /// How long it was away.
        after: Duration,
    },
    /// Another host takes the writes from now on.
    #[non_exhaustive]
    Failover {
        /// Of which service.
        service: Service,
        /// Who took them before, if anybody did.
        from: Option<Arc<str>>,
        /// Who takes them now.
        to: Arc<str>,
        /// How long nobody did, as far as the layer saw.
        gap: Duration,
    },
    /// A host plays another part.
    #[non_exhaustive]
    RoleChange {
        /// Which one.
        host: Arc<str>,
        /// Its part before; `None` the first time.
        from: Option<HostRole>,
        /// Its part now.
        to: HostRole,
    },
    /// Two hosts take themselves for the primary; the one of the older timeline is fenced.
    #[non_exhaustive]
    SplitBrain {
        /// Who is taken for the primary.
        primary: Arc<str>,
        /// Who is fenced.
        fenced: Arc<str>,
    },
    /// A replica is further behind than reads may be.
    #[non_exhaustive]
    LagHigh {
        /// Which one.
        host: Arc<str>,
        /// How far it is behind, in bytes of WAL.
        bytes: u64,
        /// For how long it has been behind.
        age: Duration,
    },
    /// A replica has caught up.
    #[non_exhaustive]
    LagNormal {
        /// Which one.
        host: Arc<str>,
    },
    /// A circuit breaker changed its state.
    #[non_exhaustive]
    BreakerChange {
        /// What it guards.
        service: Service,
        /// Which host of it.
        host: Arc<str>,
        /// What of that host: `reads`, `writes`, `commands`.
        lane: &'static str,
        /// Its state before.
        from: BreakerState,
        /// Its state now.
        to: BreakerState,
        /// Why, in words.
        reason: Arc<str>,
    },
    /// Callers wait in vain for a connection; told once until somebody gets one without waiting.
    #[non_exhaustive]
    PoolExhausted {
        /// The host whose connections they are.
        host: Arc<str>,
        /// How many are in use.
        in_use: usize,
        /// How many callers wait.
        waiting: usize,
    },
    /// A connection has been held for long, perhaps by mistake.
    #[non_exhaustive]
    LeakSuspected {
        /// Where it was asked for.
        location: &'static Location<'static>,
        /// For how long it has been held.
        held: Duration,
        /// The server process behind it, as in `pg_stat_activity`.
        process_id: i32,
    },
    /// A login was refused, and the password provider was asked for a new password.
    #[non_exhaustive]
    CredentialRefresh {
        /// Of which service.
        service: Service,
        /// Whether the new one was accepted.
        accepted: bool,
    },
    /// The layer as a whole can do more or less than before.
    #[non_exhaustive]
    ModeChange {
        /// What it could do.
        from: Mode,
        /// What it can do.
        to: Mode,
        /// Why, in words.
        reason: Arc<str>,
    },
    /// Redis may not tell the cache of changes: until it does, values in memory are used only after asking
    /// Redis. Told once until they are told again.
    #[non_exhaustive]
    CacheInDoubt {
        /// Why, in words.
        cause: Arc<str>,
    },
    /// Redis tells the cache of changes again.
    #[non_exhaustive]
    CacheLinked {},
    /// A change of the cache did not reach Redis. It is remembered; other processes that reach Redis see
    /// it when this one does. Told once until it did.
    #[non_exhaustive]
    CacheBumpMissed {
        /// Why, in words.
        cause: Arc<str>,
    },
    /// What others write to the database is not seen by the cache, although `cache_foreign_writes` is set:
    /// values that they change stay until their time is over. Told once until it is seen.
    #[non_exhaustive]
    ForeignWritesUnseen {
        /// Why, in words, and what can be done about it.
        cause: Arc<str>,
    },
    /// What others write to the database is seen by the cache from now on: this process, or another one
    /// for it, reads the database's log.
    #[non_exhaustive]
    ForeignWritesSeen {},
    /// Messages of a channel may have been missed: the connection was lost and it is listened to again, or
    /// a subscriber was too slow.
    #[non_exhaustive]
    SubscriptionGap {
        /// The channel, or the pattern.
        channel: Arc<str>,
        /// How many a slow subscriber lost; 0 when nobody knows how many there were.
        dropped: u64,
    },
    /// A message can't be read as what a callback takes. Told once until one can.
    #[non_exhaustive]
    MessageUnreadable {
        /// Where it came.
        channel: Arc<str>,
        /// Why, in words.
        cause: Arc<str>,
    },
    /// A data point of each metric was kept: see
    /// [`MetricsCollector::collect`](crate::MetricsCollector::collect).
    #[non_exhaustive]
    MetricsCollected {
        /// Each by its name.
        values: Arc<[(String, f64)]>,
    },
}

impl Event {
    /// What kind of event it is, as in logs and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::HealthChange { .. } => "health_change",
            Self::ConnectionError { .. } => "connection_error",
            Self::ConnectionRecovery { .. } => "connection_recovery",
            Self::Failover { .. } => "failover",
            Self::RoleChange { .. } => "role_change",
            Self::SplitBrain { .. } => "split_brain",
            Self::LagHigh { .. } => "lag_high",
            Self::LagNormal { .. } => "lag_normal",
            Self::BreakerChange { .. } => "breaker_change",
            Self::PoolExhausted { .. } => "pool_exhausted",
            Self::LeakSuspected { .. } => "leak_suspected",
            Self::CredentialRefresh { .. } => "credential_refresh",
            Self::ModeChange { .. } => "mode_change",
            Self::CacheInDoubt { .. } => "cache_in_doubt",
            Self::CacheLinked { .. } => "cache_linked",
            Self::CacheBumpMissed { .. } => "cache_bump_missed",
            Self::ForeignWritesUnseen { .. } => "foreign_writes_unseen",
            Self::ForeignWritesSeen { .. } => "foreign_writes_seen",
            Self::SubscriptionGap { .. } => "subscription_gap",
            Self::MessageUnreadable { .. } => "message_unreadable",
            Self::MetricsCollected { .. } => "metrics_collected",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Custom(name) => name,
        })
    }
}
