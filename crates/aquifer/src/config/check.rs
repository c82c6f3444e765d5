//! The one place that refuses values: what passes is a [`Settings`], which nothing checks again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aquifer_core::breaker;
use aquifer_wire as wire;

use super::knob::{self, Knob};
use super::origin::Sourced;
use super::quantity::Quantity;
use super::{
    CacheSettings, Config, Hosts, Origin, PasswordProvider, Pooler, RedisSettings, refusal,
};
use crate::Error;
#[cfg(feature = "testing")]
use crate::ErrorKind;
use crate::metrics::MetricsCollector;
use crate::observe::Observer;

type ObserverList = Vec<Arc<dyn Observer>>;

/// Settings that have been checked, alone and together.
pub(crate) struct Settings {
    pub(crate) wire: wire::Config,
    pub(crate) hosts: Hosts,
    pub(crate) lag_max: Duration,
    pub(crate) lag_bytes_max: u32,
    pub(crate) catchup_timeout: Duration,
    pub(crate) probe_interval: Duration,
    pub(crate) probe_timeout: Duration,
    pub(crate) primary_wait: Duration,
    pub(crate) password: Option<PasswordProvider>,
    /// For each host, and for the password provider.
    pub(crate) connect_timeout: Duration,
    pub(crate) connections_max: usize,
    /// Less than `connections_max`.
    pub(crate) lanes: usize,
    pub(crate) lane_requests_max: usize,
    pub(crate) lane_timeout: Duration,
    pub(crate) pooler: Pooler,
    /// At most `connections_max`.
    pub(crate) connections_min: usize,
    pub(crate) lifetime_max: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) keepalive_interval: Duration,
    pub(crate) check_timeout: Duration,
    pub(crate) leak_warning_after: Duration,
    pub(crate) queue_target: Duration,
    pub(crate) queue_interval: Duration,
    pub(crate) waiters_max: usize,
    pub(crate) attempts_max: u32,
    pub(crate) breaker: breaker::Limits,
    /// At most `query_timeout`.
    pub(crate) acquire_timeout: Duration,
    pub(crate) query_timeout: Duration,
    pub(crate) commit_timeout: Duration,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) slow_query_threshold: Duration,
    pub(crate) metrics_interval: Duration,
    pub(crate) health_interval: Duration,
    pub(crate) health_interval_alarm: Duration,
    pub(crate) health_timeout: Duration,
    pub(crate) statements_max: usize,
    pub(crate) requests_max: usize,
    pub(crate) message_max: usize,
    pub(crate) redis: Option<RedisSettings>,
    pub(crate) cache: CacheSettings,
    pub(crate) observers: ObserverList,
    pub(crate) metrics: MetricsCollector,
}

impl Config {
    /// Turns what was given into settings that hold.
    pub(crate) fn check(&self) -> Result<Settings, Error> {
        let connections_max = self.count(&knob::CONNECTIONS_MAX)?;
        let query_timeout = self.time(&knob::QUERY_TIMEOUT)?;
        let wire = self.connection()?.check()?;
        Ok(Settings {
            hosts: self.hosts(&wire)?,
            wire,
            lag_max: self.time(&knob::LAG_MAX)?,
            lag_bytes_max: self.count(&knob::LAG_BYTES_MAX)?,
            catchup_timeout: self.time(&knob::CATCHUP_TIMEOUT)?,
            probe_interval: self.time(&knob::PROBE_INTERVAL)?,
            probe_timeout: self.time(&knob::PROBE_TIMEOUT)?,
            primary_wait: self.time(&knob::PRIMARY_WAIT)?,
            password: self
                .password
                .as_ref()
                .map(|password| Arc::clone(&password.value)),
            connect_timeout: self.connection()?.connect_timeout().0,
            connections_max: size(connections_max),
            lanes: size(self.lanes(connections_max)?),
            lane_requests_max: size(self.count(&knob::LANE_REQUESTS_MAX)?),
            lane_timeout: self.time(&knob::LANE_TIMEOUT)?,
            pooler: self.pooler()?,
            connections_min: size(self.connections_min(connections_max)?),
            lifetime_max: self.time(&knob::LIFETIME_MAX)?,
            idle_timeout: self.time(&knob::IDLE_TIMEOUT)?,
            keepalive_interval: self.time(&knob::KEEPALIVE_INTERVAL)?,
            check_timeout: self.time(&knob::CHECK_TIMEOUT)?,
            leak_warning_after: self.time(&knob::LEAK_WARNING_AFTER)?,
            queue_target: self.time(&knob::QUEUE_TARGET)?,
            queue_interval: self.time(&knob::QUEUE_INTERVAL)?,
            waiters_max: size(self.count(&knob::WAITERS_MAX)?),
            attempts_max: self.count(&knob::ATTEMPTS_MAX)?,
            breaker: self.breaker()?,
            acquire_timeout: self.acquire(query_timeout)?,
            query_timeout,
            commit_timeout: self.time(&knob::COMMIT_TIMEOUT)?,
            shutdown_timeout: self.time(&knob::SHUTDOWN_TIMEOUT)?,
            slow_query_threshold: self.time(&knob::SLOW_QUERY_THRESHOLD)?,
            metrics_interval: self.time(&knob::METRICS_INTERVAL)?,
            health_interval: self.time(&knob::HEALTH_INTERVAL)?,
            health_interval_alarm: self.time(&knob::HEALTH_INTERVAL_ALARM)?,
            health_timeout: self.time(&knob::HEALTH_TIMEOUT)?,
            statements_max: size(self.count(&knob::STATEMENTS_MAX)?),
            requests_max: size(self.count(&knob::REQUESTS_MAX)?),
            message_max: size(self.count(&knob::MESSAGE_MAX)?),
            redis: self.check_redis()?,
            cache: self.check_cache()?,
            observers: self.all_observers()?,
            metrics: self.metrics.clone().unwrap_or_default(),
        })
    }

    /// Those of the configuration and, in tests, the one that collects statements for `aquifer check`.
    fn all_observers(&self) -> Result<ObserverList, Error> {
        #[cfg_attr(
            not(feature = "testing"),
            expect(unused_mut, reason = "nothing is added")
        )]
        let mut observers = self.observers.clone();
        #[cfg(feature = "testing")]
        if let Some(path) = super::environment::collected_into() {
            let collector = crate::observe::Collector::open(&path).map_err(|error| {
                let text = format!(
                    "AQUIFER_COLLECT names {}, which can't be written: {error}",
                    path.display()
                );
                Error::new(ErrorKind::Config, text)
            })?;
            observers.push(Arc::new(collector));
        }
        Ok(observers)
    }

    /// The value of a number, with its default, before it is checked.
    pub(super) fn count_unchecked(&self, knob: &Knob<u32>) -> (u32, Origin) {
        let default = match knob.name {
            name if name == knob::LANES.name => {
                let (connections_max, _) = self.count_unchecked(&knob::CONNECTIONS_MAX);
                knob.default.min(connections_max / 2)
            }
            _ => knob.default,
        };
        given(&self.counts, knob, default)
    }

    /// The value of a time, with its default, before it is checked.
    pub(super) fn time_unchecked(&self, knob: &Knob<Duration>) -> (Duration, Origin) {
        let default = match knob.name {
            name if name == knob::ACQUIRE_TIMEOUT.name => {
                let (query_timeout, _) = self.time_unchecked(&knob::QUERY_TIMEOUT);
                knob.default.min(query_timeout)
            }
            name if name == knob::HEALTH_INTERVAL_ALARM.name => {
                let (health_interval, _) = self.time_unchecked(&knob::HEALTH_INTERVAL);
                knob.default.min(health_interval)
            }
            name if name == knob::QUEUE_TARGET.name => {
                let (acquire_timeout, _) = self.time_unchecked(&knob::ACQUIRE_TIMEOUT);
                (acquire_timeout / 10).clamp(knob.least, knob.most)
            }
            _ => knob.default,
        };
        given(&self.times, knob, default)
    }

    /// The value of a truth value, with its default.
    pub(super) fn flag_unchecked(&self, knob: &Knob<bool>) -> (bool, Origin) {
        given(&self.flags, knob, knob.default)
    }

    pub(super) fn flag(&self, knob: &Knob<bool>) -> bool {
        self.flag_unchecked(knob).0
    }

    pub(super) fn count(&self, knob: &Knob<u32>) -> Result<u32, Error> {
        let (value, origin) = self.count_unchecked(knob);
        knob.check(value, &origin)
    }

    pub(super) fn time(&self, knob: &Knob<Duration>) -> Result<Duration, Error> {
        let (value, origin) = self.time_unchecked(knob);
        knob.check(value, &origin)
    }

    fn lanes(&self, connections_max: u32) -> Result<u32, Error> {
        let lanes = self.count(&knob::LANES)?;
        if lanes < connections_max {
            return Ok(lanes);
        }
        let problem = format!(
            "is {lanes}, but must be less than connections_max, which is {connections_max}, so \
             that a connection stays for writes and transactions; lower the one or raise the other"
        );
        Err(refusal(
            knob::LANES.name,
            &self.count_unchecked(&knob::LANES).1,
            problem,
        ))
    }

    fn connections_min(&self, connections_max: u32) -> Result<u32, Error> {
        let connections_min = self.count(&knob::CONNECTIONS_MIN)?;
        if connections_min <= connections_max {
            return Ok(connections_min);
        }
        let problem = format!(
            "is {connections_min}, but must be at most connections_max, which is \
             {connections_max}; lower the one or raise the other"
        );
        let (_, origin) = self.count_unchecked(&knob::CONNECTIONS_MIN);
        Err(refusal(knob::CONNECTIONS_MIN.name, &origin, problem))
    }

    fn acquire(&self, query_timeout: Duration) -> Result<Duration, Error> {
        let acquire_timeout = self.time(&knob::ACQUIRE_TIMEOUT)?;
        if acquire_timeout <= query_timeout {
            return Ok(acquire_timeout);
        }
        let problem = format!(
            "is {}, but must be at most query_timeout, which is {} and covers it; lower the one \
             or raise the other",
            acquire_timeout.written(),
            query_timeout.written()
        );
        let (_, origin) = self.time_unchecked(&knob::ACQUIRE_TIMEOUT);
        Err(refusal(knob::ACQUIRE_TIMEOUT.name, &origin, problem))
    }
}

/// A new `connections_max` for a pool with so many lanes.
pub(crate) fn check_resize(connections_max: u32, lanes: usize) -> Result<usize, Error> {
    let knob = &knob::CONNECTIONS_MAX;
    let connections = size(knob.check(connections_max, &Origin::Default)?);
    if connections > lanes {
        return Ok(connections);
    }
    let problem = format!(
        "is {connections}, but must be more than the {lanes} lanes that are open, so that a \
         connection stays for writes and transactions"
    );
    Err(refusal(knob.name, &Origin::Default, problem))
}

fn given<T: Copy>(
    values: &BTreeMap<&'static str, Sourced<T>>,
    knob: &Knob<T>,
    default: T,
) -> (T, Origin) {
    match values.get(knob.name) {
        Some(given) => (given.value, given.origin.clone()),
        None => (default, Origin::Default),
    }
}

impl<T: Quantity> Knob<T> {
    /// Refuses what is out of range.
    pub(super) fn check(&self, value: T, origin: &Origin) -> Result<T, Error> {
        if (self.least..=self.most).contains(&value) {
            return Ok(value);
        }
        let problem = format!(
            "is {}, but must be {}; leave it out for the default, {}",
            value.written(),
            self.range(),
            self.default.written()
        );
        Err(refusal(self.name, origin, problem))
    }
}

/// No platform with a tokio has a `usize` of less than 32 bits.
pub(super) fn size(count: u32) -> usize {
    count as usize
}
