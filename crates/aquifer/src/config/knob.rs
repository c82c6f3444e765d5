//! Every knob, one entry each: its name, default and limits. All else is derived from these.

use std::time::Duration;

use super::quantity::Quantity;

/// A number, a time or a yes or no that can be set.
///
/// The builder, the file, the environment, the check and the listing all go by this entry.
#[derive(Debug)]
pub(super) struct Knob<T: 'static> {
    /// As in a file; a dot stands before what is in its section `advanced`.
    pub(super) name: &'static str,
    /// Unless [`Config::check`](super::Config::check) derives it from other knobs, as it says there.
    pub(super) default: T,
    pub(super) least: T,
    pub(super) most: T,
}

/// A text that can be set; what it may be is checked where it is used.
#[derive(Debug)]
pub(super) struct TextKnob {
    pub(super) name: &'static str,
}

/// A knob of any type.
#[derive(Clone, Copy, Debug)]
pub(super) enum AnyKnob {
    Count(&'static Knob<u32>),
    Time(&'static Knob<Duration>),
    Flag(&'static Knob<bool>),
    Text(&'static TextKnob),
}

pub(super) static URL: TextKnob = TextKnob { name: "url" };
pub(super) static REDIS_URL: TextKnob = TextKnob { name: "redis_url" };
pub(super) static REDIS_TIMEOUT: Knob<Duration> = time("redis_timeout", 1, 3600);
pub(super) static REDIS_REQUIRED: Knob<bool> = Knob {
    name: "redis_required",
    default: false,
    least: false,
    most: true,
};
pub(super) static CACHE_NAMESPACE: TextKnob = TextKnob {
    name: "cache_namespace",
};
pub(super) static CACHE_FORMAT: TextKnob = TextKnob {
    name: "cache_format",
};
pub(super) static CACHE_TTL: Knob<Duration> = time("cache_ttl", 3600, 365 * 24 * 3600);
pub(super) static CACHE_FOREIGN_WRITES: Knob<bool> = Knob {
    name: "cache_foreign_writes",
    default: false,
    least: false,
    most: true,
};
pub(super) static CONNECTIONS_MAX: Knob<u32> = count("connections_max", 10, 1, 10_000);
pub(super) static ACQUIRE_TIMEOUT: Knob<Duration> = time("acquire_timeout", 5, 3600);
pub(super) static QUERY_TIMEOUT: Knob<Duration> = time("query_timeout", 30, 24 * 3600);
pub(super) static CONNECT_TIMEOUT: Knob<Duration> = time("connect_timeout", 5, 3600);
pub(super) static APPLICATION_NAME: TextKnob = TextKnob {
    name: "application_name",
};
pub(super) static SSLROOTCERT: TextKnob = TextKnob {
    name: "sslrootcert",
};

pub(super) static LANES: Knob<u32> = count("advanced.lanes", 2, 0, 4);
pub(super) static LANE_REQUESTS_MAX: Knob<u32> = count("advanced.lane_requests_max", 128, 1, 4096);
pub(super) static LANE_TIMEOUT: Knob<Duration> = Knob {
    name: "advanced.lane_timeout",
    default: Duration::from_millis(250),
    least: Duration::from_millis(10),
    most: Duration::from_secs(3600),
};
pub(super) static POOLER: TextKnob = TextKnob {
    name: "advanced.pooler",
};
pub(super) static REPLICAS: TextKnob = TextKnob {
    name: "advanced.replicas",
};
pub(super) static LAG_MAX: Knob<Duration> = time("advanced.lag_max", 10, 3600);
pub(super) static LAG_BYTES_MAX: Knob<u32> = count("advanced.lag_bytes_max", 16 << 20, 1, u32::MAX);
pub(super) static CATCHUP_TIMEOUT: Knob<Duration> = Knob {
    default: Duration::from_millis(50),
    ..time("advanced.catchup_timeout", 0, 60)
};
pub(super) static PROBE_INTERVAL: Knob<Duration> = Knob {
    least: Duration::from_millis(100),
    ..time("advanced.probe_interval", 1, 60)
};
pub(super) static PROBE_TIMEOUT: Knob<Duration> = Knob {
    default: Duration::from_millis(500),
    least: Duration::from_millis(10),
    ..time("advanced.probe_timeout", 0, 60)
};
pub(super) static PRIMARY_WAIT: Knob<Duration> = time("advanced.primary_wait", 30, 3600);
pub(super) static CONNECTIONS_MIN: Knob<u32> = count("advanced.connections_min", 1, 1, 10_000);
pub(super) static LIFETIME_MAX: Knob<Duration> = long_time("advanced.lifetime_max", 30 * 60);
pub(super) static IDLE_TIMEOUT: Knob<Duration> = long_time("advanced.idle_timeout", 10 * 60);
pub(super) static KEEPALIVE_INTERVAL: Knob<Duration> = Knob {
    least: Duration::from_millis(100),
    ..time("advanced.keepalive_interval", 30, 3600)
};
pub(super) static CHECK_TIMEOUT: Knob<Duration> = Knob {
    default: Duration::from_millis(250),
    ..time("advanced.check_timeout", 0, 60)
};
pub(super) static LEAK_WARNING_AFTER: Knob<Duration> =
    time("advanced.leak_warning_after", 60, 24 * 3600);
pub(super) static QUEUE_TARGET: Knob<Duration> = Knob {
    default: Duration::from_millis(500),
    ..time("advanced.queue_target", 0, 3600)
};
pub(super) static QUEUE_INTERVAL: Knob<Duration> = time("advanced.queue_interval", 2, 3600);
pub(super) static WAITERS_MAX: Knob<u32> = count("advanced.waiters_max", 1000, 1, 1_000_000);
pub(super) static ATTEMPTS_MAX: Knob<u32> = count("advanced.attempts_max", 3, 1, 100);
pub(super) static BREAKER: TextKnob = TextKnob {
    name: "advanced.breaker",
};
pub(super) static BREAKER_FAILURE_PERCENT: Knob<u32> =
    count("advanced.breaker_failure_percent", 50, 1, 100);
pub(super) static BREAKER_CALLS_MIN: Knob<u32> = count("advanced.breaker_calls_min", 10, 1, 10_000);
pub(super) static BREAKER_OPEN_MIN: Knob<Duration> = Knob {
    default: Duration::from_millis(500),
    ..time("advanced.breaker_open_min", 0, 3600)
};
pub(super) static BREAKER_OPEN_MAX: Knob<Duration> = time("advanced.breaker_open_max", 15, 3600);
pub(super) static COMMIT_TIMEOUT: Knob<Duration> = time("advanced.commit_timeout", 30, 3600);
pub(super) static SHUTDOWN_TIMEOUT: Knob<Duration> = time("advanced.shutdown_timeout", 10, 3600);
pub(super) static SLOW_QUERY_THRESHOLD: Knob<Duration> =
    time("advanced.slow_query_threshold", 1, 24 * 3600);
pub(super) static METRICS_INTERVAL: Knob<Duration> = Knob {
    least: Duration::from_millis(100),
    ..time("advanced.metrics_interval", 60, 3600)
};
pub(super) static HEALTH_INTERVAL: Knob<Duration> = Knob {
    least: Duration::from_millis(10),
    ..time("advanced.health_interval", 30, 24 * 3600)
};
pub(super) static HEALTH_INTERVAL_ALARM: Knob<Duration> = Knob {
    least: Duration::from_millis(10),
    ..time("advanced.health_interval_alarm", 1, 3600)
};
pub(super) static HEALTH_TIMEOUT: Knob<Duration> = time("advanced.health_timeout", 1, 60);
pub(super) static CACHE_NEGATIVE_TTL: Knob<Duration> =
    time("advanced.cache_negative_ttl", 5, 365 * 24 * 3600);
pub(super) static CACHE_LOAD_TIMEOUT: Knob<Duration> =
    time("advanced.cache_load_timeout", 30, 24 * 3600);
pub(super) static CACHE_LOADS_MAX: Knob<u32> = count("advanced.cache_loads_max", 64, 1, 10_000);
pub(super) static CACHE_MEMORY_MAX: Knob<u32> =
    count("advanced.cache_memory_max", 64 << 20, 1 << 16, u32::MAX);
pub(super) static CACHE_FOREIGN_INTERVAL: Knob<Duration> = Knob {
    name: "advanced.cache_foreign_interval",
    default: Duration::from_millis(50),
    least: Duration::from_millis(5),
    most: Duration::from_secs(60),
};
pub(super) static STATEMENTS_MAX: Knob<u32> = count("advanced.statements_max", 256, 1, 10_000);
pub(super) static REQUESTS_MAX: Knob<u32> = count("advanced.requests_max", 4096, 1, 1_000_000);
pub(super) static MESSAGE_MAX: Knob<u32> =
    count("advanced.message_max", 1 << 30, 1 << 16, (1 << 31) - 1);

/// All knobs, the essential ones first, in the order in which they are listed.
pub(super) static ALL: [AnyKnob; 55] = [
    AnyKnob::Text(&URL),
    AnyKnob::Text(&REDIS_URL),
    AnyKnob::Time(&REDIS_TIMEOUT),
    AnyKnob::Flag(&REDIS_REQUIRED),
    AnyKnob::Text(&CACHE_NAMESPACE),
    AnyKnob::Text(&CACHE_FORMAT),
    AnyKnob::Time(&CACHE_TTL),
    AnyKnob::Flag(&CACHE_FOREIGN_WRITES),
    AnyKnob::Count(&CONNECTIONS_MAX),
    AnyKnob::Time(&ACQUIRE_TIMEOUT),
    AnyKnob::Time(&QUERY_TIMEOUT),
    AnyKnob::Time(&CONNECT_TIMEOUT),
    AnyKnob::Text(&APPLICATION_NAME),
    AnyKnob::Text(&SSLROOTCERT),
    AnyKnob::Count(&LANES),
    AnyKnob::Count(&LANE_REQUESTS_MAX),
    AnyKnob::Time(&LANE_TIMEOUT),
    AnyKnob::Text(&POOLER),
    AnyKnob::Text(&REPLICAS),
    AnyKnob::Time(&LAG_MAX),
    AnyKnob::Count(&LAG_BYTES_MAX),
    AnyKnob::Time(&CATCHUP_TIMEOUT),
    AnyKnob::Time(&PROBE_INTERVAL),
    AnyKnob::Time(&PROBE_TIMEOUT),
    AnyKnob::Time(&PRIMARY_WAIT),
    AnyKnob::Count(&CONNECTIONS_MIN),
    AnyKnob::Time(&LIFETIME_MAX),
    AnyKnob::Time(&IDLE_TIMEOUT),
    AnyKnob::Time(&KEEPALIVE_INTERVAL),
    AnyKnob::Time(&CHECK_TIMEOUT),
    AnyKnob::Time(&LEAK_WARNING_AFTER),
    AnyKnob::Time(&QUEUE_TARGET),
    AnyKnob::Time(&QUEUE_INTERVAL),
    AnyKnob::Count(&WAITERS_MAX),
    AnyKnob::Count(&ATTEMPTS_MAX),
    AnyKnob::Text(&BREAKER),
    AnyKnob::Count(&BREAKER_FAILURE_PERCENT),
    AnyKnob::Count(&BREAKER_CALLS_MIN),
    AnyKnob::Time(&BREAKER_OPEN_MIN),
    AnyKnob::Time(&BREAKER_OPEN_MAX),
    AnyKnob::Time(&COMMIT_TIMEOUT),
    AnyKnob::Time(&SHUTDOWN_TIMEOUT),
    AnyKnob::Time(&SLOW_QUERY_THRESHOLD),
    AnyKnob::Time(&METRICS_INTERVAL),
    AnyKnob::Time(&HEALTH_INTERVAL),
    AnyKnob::Time(&HEALTH_INTERVAL_ALARM),
    AnyKnob::Time(&HEALTH_TIMEOUT),
    AnyKnob::Time(&CACHE_NEGATIVE_TTL),
    AnyKnob::Time(&CACHE_LOAD_TIMEOUT),
    AnyKnob::Count(&CACHE_LOADS_MAX),
    AnyKnob::Count(&CACHE_MEMORY_MAX),
    AnyKnob::Time(&CACHE_FOREIGN_INTERVAL),
    AnyKnob::Count(&STATEMENTS_MAX),
    AnyKnob::Count(&REQUESTS_MAX),
    AnyKnob::Count(&MESSAGE_MAX),
];

const fn count(name: &'static str, default: u32, least: u32, most: u32) -> Knob<u32> {
    Knob {
        name,
        default,
        least,
        most,
    }
}

/// A time of `default` seconds, from 1 ms to `most` seconds.
const fn time(name: &'static str, default: u64, most: u64) -> Knob<Duration> {
    Knob {
        name,
        default: Duration::from_secs(default),
        least: Duration::from_millis(1),
        most: Duration::from_secs(most),
    }
}

/// A time of `default` seconds, from 1 s to a year.
const fn long_time(name: &'static str, default: u64) -> Knob<Duration> {
    Knob {
        least: Duration::from_secs(1),
        ..time(name, default, 365 * 24 * 3600)
    }
}

impl<T: Quantity> Knob<T> {
    /// What it takes, for people.
    pub(super) fn range(&self) -> String {
        format!(
            "{} from {} to {}",
            T::KIND,
            self.least.written(),
            self.most.written()
        )
    }
}

impl AnyKnob {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Count(knob) => knob.name,
            Self::Time(knob) => knob.name,
            Self::Flag(knob) => knob.name,
            Self::Text(knob) => knob.name,
        }
    }

    /// The environment variable that sets it.
    pub(super) fn variable(self) -> String {
        match self.name() {
            "url" => "DATABASE_URL".to_owned(),
            "redis_url" => "REDIS_URL".to_owned(),
            name => format!("AQUIFER_{}", name.to_uppercase().replace('.', "_")),
        }
    }
}
