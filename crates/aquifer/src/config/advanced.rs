//! The builder of the knobs that few services need.

use std::panic::Location;
use std::time::Duration;

use super::breaker::{OFF, ON};
use super::{Config, Pooler, knob};

/// Knobs that few services need, set within [`Config::advanced`]; in a file they stand in the
/// section `[advanced]`, and their variables begin with `AQUIFER_ADVANCED_`.
#[derive(Clone, Debug)]
pub struct Advanced(pub(super) Config);

impl Advanced {
    /// Connections that are shared by reads of several callers.
    ///
    /// Default: 2, or half of `connections_max` if that is less. Range: 0 to 4, and less than
    /// `connections_max`, so that one stays for writes and transactions. 0 turns sharing off.
    /// Don't touch it before a profile shows the lanes' processes on the server at their limit.
    #[must_use]
    #[track_caller]
    pub fn lanes(self, lanes: u32) -> Self {
        Self(self.0.with_count(&knob::LANES, lanes, Location::caller()))
    }

    /// Requests under way on one lane from which on it counts as full: a read beyond takes the other
    /// lane, else a connection of its own. While all of those are in use it waits on the lane after
    /// all, up to `requests_max`.
    ///
    /// Default: 128, which is a full group under way and another one ready to follow. Range: 1 to
    /// 4,096. Lower it if statements are sometimes slow without being known for it: fewer reads wait
    /// behind one then. Don't lower it otherwise: sharing is what makes many callers fast.
    #[must_use]
    #[track_caller]
    pub fn lane_requests_max(self, requests: u32) -> Self {
        Self(
            self.0
                .with_count(&knob::LANE_REQUESTS_MAX, requests, Location::caller()),
        )
    }

    /// How long one statement may run on a lane: then the server ends it there, and it is run again
    /// on a connection of its own, now and in future.
    ///
    /// Default: 250 ms. Range: 10 ms to 1 h. A lane on which nobody gets an answer for twice that
    /// time is retired, and its reads are run elsewhere: raise it where a round trip takes half a
    /// second. Don't raise it for slow reports: they are known to be slow after their first run, and
    /// never meet it.
    #[must_use]
    #[track_caller]
    pub fn lane_timeout(self, limit: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::LANE_TIMEOUT, limit, Location::caller()),
        )
    }

    /// Whether a pooler that lends sessions for one transaction stands before the server.
    ///
    /// Default: [`Pooler::Auto`]. Say [`Pooler::Transaction`] where the pooler is told to ignore
    /// start-up settings that it does not know (`ignore_startup_parameters`), for then it can't
    /// always be told from the server.
    #[must_use]
    #[track_caller]
    pub fn pooler(self, pooler: Pooler) -> Self {
        Self(
            self.0
                .with_text(&knob::POOLER, pooler.written(), Location::caller()),
        )
    }

    /// Replicas of the database, besides the hosts of the `url`: `host` or `host:port` each, without a
    /// port that of the first host.
    ///
    /// Default: none. Login, database and TLS are those of the `url`. Saying them here is the same as
    /// saying them in the `url`: which host is the primary is found out by asking all. With two hosts
    /// or more each has up to `connections_max` connections, and one more by which it is asked.
    #[must_use]
    #[track_caller]
    pub fn replicas<H: AsRef<str>>(self, hosts: impl IntoIterator<Item = H>) -> Self {
        let hosts: Vec<String> = hosts
            .into_iter()
            .map(|host| host.as_ref().to_owned())
            .collect();
        Self(
            self.0
                .with_text(&knob::REPLICAS, hosts.join(","), Location::caller()),
        )
    }

    /// For how long a replica may have been behind the primary that answers reads of
    /// [`Db::read`](crate::Db::read).
    ///
    /// Default: 10 s. Range: 1 ms to 1 h. One that is further behind leaves reads until it is at half
    /// of it. It is a bound on replicas that fall behind, seen at the next probe, not a promise to each
    /// read: for that see [`Db::at_least`](crate::Db::at_least).
    #[must_use]
    #[track_caller]
    pub fn lag_max(self, limit: Duration) -> Self {
        Self(self.0.with_time(&knob::LAG_MAX, limit, Location::caller()))
    }

    /// As [`lag_max`](Self::lag_max), in bytes of WAL.
    ///
    /// Default: 16,777,216 (16 MiB). Range: 1 to 4,294,967,295. Raise it where bulk loads are common
    /// and reads may be older meanwhile.
    #[must_use]
    #[track_caller]
    pub fn lag_bytes_max(self, bytes: u32) -> Self {
        Self(
            self.0
                .with_count(&knob::LAG_BYTES_MAX, bytes, Location::caller()),
        )
    }

    /// How long a read with a [`Consistency`](crate::Consistency) waits for a replica to catch up
    /// before it goes to the primary.
    ///
    /// Default: 50 ms. Range: 1 ms to 1 min. Replicas are rarely further behind than some
    /// milliseconds; raise it only to keep load from the primary at the price of slower reads.
    #[must_use]
    #[track_caller]
    pub fn catchup_timeout(self, limit: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::CATCHUP_TIMEOUT, limit, Location::caller()),
        )
    }

    /// How often each of several hosts is asked for its role while all is well; ten times a second
    /// while something is not, and for 30 s after.
    ///
    /// Default: 1 s. Range: 100 ms to 1 min. It bounds how late a silent failure is noticed, and how
    /// old figures on replicas are; a failure that any call meets is noticed at once. Don't touch it
    /// unless many services ask one small server.
    #[must_use]
    #[track_caller]
    pub fn probe_interval(self, interval: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::PROBE_INTERVAL, interval, Location::caller()),
        )
    }

    /// How long one of several hosts may take to say its role; after three times it is given up.
    ///
    /// Default: 500 ms. Range: 10 ms to 1 min. Raise it where a round trip takes that long: a host
    /// that is given up by mistake gets no calls until it answers.
    #[must_use]
    #[track_caller]
    pub fn probe_timeout(self, limit: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::PROBE_TIMEOUT, limit, Location::caller()),
        )
    }

    /// How long calls are held, within their own deadlines, after the primary of several hosts was
    /// lost; later ones fail at once until there is one.
    ///
    /// Default: 30 s. Range: 1 ms to 1 h. It should be longer than a failover takes. Don't raise it far
    /// above: callers that wait in vain use memory, and their users wait too.
    #[must_use]
    #[track_caller]
    pub fn primary_wait(self, limit: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::PRIMARY_WAIT, limit, Location::caller()),
        )
    }

    /// Connections that are kept open even if nobody uses them, the lanes among them; they are
    /// opened at the start, in the background.
    ///
    /// Default: 1. Range: 1 to 10,000, and at most `connections_max`. The lanes and one exclusive
    /// connection are kept in any case, so that only more than those makes a difference. Raise it
    /// for services whose load comes in bursts; don't set it to `connections_max` where many
    /// services share a server that counts its connections.
    #[must_use]
    #[track_caller]
    pub fn connections_min(self, connections: u32) -> Self {
        Self(
            self.0
                .with_count(&knob::CONNECTIONS_MIN, connections, Location::caller()),
        )
    }

    /// How long a connection is used before a new one takes its place.
    ///
    /// Default: 30 min. Range: 1 s to 8,760 h. Each connection's own is up to a fifth shorter, so
    /// that those that were opened together don't end together; one in use ends when it comes back.
    /// It bounds the memory of the server's processes, and brings changed addresses and passwords
    /// into use. Don't lower it below minutes: opening costs the server far more than a query.
    #[must_use]
    #[track_caller]
    pub fn lifetime_max(self, limit: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::LIFETIME_MAX, limit, Location::caller()),
        )
    }

    /// How long nobody may have used a connection before it is closed, down to `connections_min`.
    ///
    /// Default: 10 min. Range: 1 s to 8,760 h. Don't lower it below the pauses between bursts of
    /// load, or each burst opens its connections anew.
    #[must_use]
    #[track_caller]
    pub fn idle_timeout(self, limit: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::IDLE_TIMEOUT, limit, Location::caller()),
        )
    }

    /// How often an idle connection is asked for a sign of life.
    ///
    /// Default: 30 s, give or take a tenth. Range: 100 ms to 1 h. One that does not answer within
    /// four times `check_timeout` is closed. Keep it below the time after which firewalls and
    /// balancers on the way forget idle connections, often 5 min or less.
    #[must_use]
    #[track_caller]
    pub fn keepalive_interval(self, interval: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::KEEPALIVE_INTERVAL, interval, Location::caller()),
        )
    }

    /// How long a connection may take to answer before it is used, if nobody has used it for 500 ms
    /// or another one has failed.
    ///
    /// Default: 250 ms. Range: 1 ms to 1 min. One that is late is closed, and the call takes
    /// another. Where even the fastest opening of a connection took longer, that time holds instead,
    /// up to four times this one. Don't touch it unless the server is so far away that a round trip
    /// takes a second, or good connections are closed.
    #[must_use]
    #[track_caller]
    pub fn check_timeout(self, limit: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::CHECK_TIMEOUT, limit, Location::caller()),
        )
    }

    /// How long a connection may be held before [`Event::LeakSuspected`] and the log name the
    /// place that asked for it, once for each; nothing is taken away.
    ///
    /// Default: 60 s. Range: 1 ms to 24 h. The warning comes up to a quarter of it later. Don't
    /// raise it for the sake of one long report; its warning says so much.
    ///
    /// [`Event::LeakSuspected`]: crate::Event::LeakSuspected
    #[must_use]
    #[track_caller]
    pub fn leak_warning_after(self, time: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::LEAK_WARNING_AFTER, time, Location::caller()),
        )
    }

    /// The wait for a connection that is normal: if during a `queue_interval` nobody waited less,
    /// there is more load than the connections can carry, and those who have waited for more than
    /// twice this are refused, until somebody waits less again.
    ///
    /// Default: a tenth of `acquire_timeout`, 500 ms with its default. Range: 1 ms to 1 h. So callers
    /// of an overloaded service get an answer or an error soon, instead of all waiting for
    /// `acquire_timeout`. Lower it to 50 ms for services that must answer fast or not at all; don't
    /// where many tasks share few connections on purpose: their waits are long though nothing is
    /// wrong. `acquire_timeout` here turns it off.
    #[must_use]
    #[track_caller]
    pub fn queue_target(self, wait: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::QUEUE_TARGET, wait, Location::caller()),
        )
    }

    /// How long a burst may last before it counts as too much load; see
    /// [`queue_target`](Self::queue_target).
    ///
    /// Default: 2 s. Range: 1 ms to 1 h. Don't set it below several times `queue_target`, or short
    /// bursts are refused that would have been served.
    #[must_use]
    #[track_caller]
    pub fn queue_interval(self, interval: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::QUEUE_INTERVAL, interval, Location::caller()),
        )
    }

    /// Most callers that wait for a connection; those beyond fail at once.
    ///
    /// Default: 1,000. Range: 1 to 1,000,000. Don't raise it against errors under load: a longer
    /// queue serves nobody sooner.
    #[must_use]
    #[track_caller]
    pub fn waiters_max(self, waiters: u32) -> Self {
        Self(
            self.0
                .with_count(&knob::WAITERS_MAX, waiters, Location::caller()),
        )
    }

    /// How often one call is tried in all, the first time included; 1 turns retries off.
    ///
    /// Default: 3. Range: 1 to 100. Only what can't take effect twice is tried again, and all
    /// within `query_timeout`. Attempts whose session the server ended (57P01: a failover, an
    /// administrator) do not count, ten at most, unless this is 1. Don't raise it against failing servers: retries add to their load.
    #[must_use]
    #[track_caller]
    pub fn attempts_max(self, attempts: u32) -> Self {
        Self(
            self.0
                .with_count(&knob::ATTEMPTS_MAX, attempts, Location::caller()),
        )
    }

    /// Whether the circuit breakers work: one stands before each host's lanes, another before its
    /// exclusive connections, and one before each server of Redis. This knob and the other `breaker_*`
    /// hold for all of them.
    ///
    /// Default: true, written `on` and `off` in a file. A host that can't be reached, or fails most
    /// calls, gets none for a while; with one host callers wait as they would without, and are refused
    /// at once when that has lasted for `acquire_timeout`, and 5 s at least
    /// ([`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable)). Don't turn it off against such
    /// errors: without it they come later, each after its own wait.
    #[must_use]
    #[track_caller]
    pub fn breaker(self, works: bool) -> Self {
        let text = if works { ON } else { OFF };
        Self(self.0.with_text(&knob::BREAKER, text, Location::caller()))
    }

    /// A circuit breaker opens when of a hundred calls of the last ten seconds so many failed by the
    /// host's fault.
    ///
    /// Default: 50. Range: 1 to 100. What a statement is to blame for does not count. Don't lower it
    /// below 20: a restart of one of several processes on the way is no reason to stop all calls.
    #[must_use]
    #[track_caller]
    pub fn breaker_failure_percent(self, percent: u32) -> Self {
        Self(
            self.0
                .with_count(&knob::BREAKER_FAILURE_PERCENT, percent, Location::caller()),
        )
    }

    /// So many calls there must have been in the last ten seconds before a share of them opens a
    /// circuit breaker.
    ///
    /// Default: 10. Range: 1 to 10,000. Three calls in a row that met no host open it besides. Don't
    /// raise it above what the service sends in ten quiet seconds.
    #[must_use]
    #[track_caller]
    pub fn breaker_calls_min(self, calls: u32) -> Self {
        Self(
            self.0
                .with_count(&knob::BREAKER_CALLS_MIN, calls, Location::caller()),
        )
    }

    /// For how long a circuit breaker opens the first time; each further time is twice as long, less
    /// up to a fifth by chance.
    ///
    /// Default: 500 ms. Range: 1 ms to 1 h, and at most `breaker_open_max`. While a host is the only
    /// one it is tried each 300 ms whatever this says. Don't raise it to spare a server: one attempt
    /// costs it little.
    #[must_use]
    #[track_caller]
    pub fn breaker_open_min(self, time: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::BREAKER_OPEN_MIN, time, Location::caller()),
        )
    }

    /// For how long a circuit breaker opens at most, however often it did.
    ///
    /// Default: 15 s. Range: 1 ms to 1 h. It is how much later than necessary a host may be used
    /// again that was away for long. Don't raise it unless trying costs money.
    #[must_use]
    #[track_caller]
    pub fn breaker_open_max(self, time: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::BREAKER_OPEN_MAX, time, Location::caller()),
        )
    }

    /// How long a COMMIT may take before its outcome is reported as unknown, asking the server what
    /// became of it included.
    ///
    /// Default: 30 s. Range: 1 ms to 1 h. Don't lower it to make things faster: a COMMIT that is
    /// given up may still take effect. Raise it for synchronous replicas that are far away.
    #[must_use]
    #[track_caller]
    pub fn commit_timeout(self, limit: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::COMMIT_TIMEOUT, limit, Location::caller()),
        )
    }

    /// How long a shutdown waits for running work before it cancels and closes.
    ///
    /// Default: 10 s. Range: 1 ms to 1 h. Keep it below the time after which the service's
    /// supervisor kills it.
    #[must_use]
    #[track_caller]
    pub fn shutdown_timeout(self, limit: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::SHUTDOWN_TIMEOUT, limit, Location::caller()),
        )
    }

    /// How long a call may take before it is written to the log, with its place in the source.
    ///
    /// Default: 1 s. Range: 1 ms to 24 h. At most ten lines are written in a second; the next one
    /// says how many are missing. Lower it to what the service promises its own callers. To be rid
    /// of the lines, filter the target `aquifer::slow` out of the log.
    #[must_use]
    #[track_caller]
    pub fn slow_query_threshold(self, limit: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::SLOW_QUERY_THRESHOLD, limit, Location::caller()),
        )
    }

    /// How often a point of each metric is kept, and handed to the recorder of the feature `metrics`.
    ///
    /// Default: 1 min, which keeps 16 hours. Range: 100 ms to 1 h. What
    /// [`MetricsCollector::prometheus`](crate::MetricsCollector::prometheus) shows is always of now.
    /// Lower it to the interval at which the recorder's figures are asked for.
    #[must_use]
    #[track_caller]
    pub fn metrics_interval(self, interval: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::METRICS_INTERVAL, interval, Location::caller()),
        )
    }

    /// How often the [`ConnectionMonitor`](crate::ConnectionMonitor) asks each service how it does.
    ///
    /// Default: 30 s. Range: 10 ms to 24 h. Real traffic tells sooner: a connection that is lost
    /// makes it ask at once. Don't lower it for the sake of a faster alarm.
    #[must_use]
    #[track_caller]
    pub fn health_interval(self, interval: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::HEALTH_INTERVAL, interval, Location::caller()),
        )
    }

    /// How often it asks while a service is not up.
    ///
    /// Default: 1 s, or `health_interval` if that is less. Range: 10 ms to 1 h. Three bad answers
    /// in a row are an outage and two good ones its end, so each is told of after two or three
    /// times this.
    #[must_use]
    #[track_caller]
    pub fn health_interval_alarm(self, interval: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::HEALTH_INTERVAL_ALARM, interval, Location::caller()),
        )
    }

    /// How long a service may take to say how it does before it counts as down.
    ///
    /// Default: 1 s. Range: 1 ms to 1 min. Don't set it below what an answer takes under full load.
    #[must_use]
    #[track_caller]
    pub fn health_timeout(self, limit: Duration) -> Self {
        Self(
            self.0
                .with_time(&knob::HEALTH_TIMEOUT, limit, Location::caller()),
        )
    }

    /// For how long the cache keeps that there is no value, unless its call says otherwise.
    ///
    /// Default: 5 s. Range: 1 ms to 8,760 h. What comes to exist is seen at once when whoever makes it
    /// deletes its key from the cache; raise it where that is so everywhere.
    #[must_use]
    #[track_caller]
    pub fn cache_negative_ttl(self, ttl: Duration) -> Self {
        let caller = Location::caller();
        Self(self.0.with_time(&knob::CACHE_NEGATIVE_TTL, ttl, caller))
    }

    /// How long a loader of the cache may take, unless its call says otherwise; then it is dropped.
    ///
    /// Default: 30 s. Range: 1 ms to 24 h. A load has a place among `cache_loads_max` for as long, so don't
    /// raise it for the sake of a few: they have `CacheOptions::load_timeout`.
    #[must_use]
    #[track_caller]
    pub fn cache_load_timeout(self, limit: Duration) -> Self {
        let caller = Location::caller();
        Self(self.0.with_time(&knob::CACHE_LOAD_TIMEOUT, limit, caller))
    }

    /// Most loaders of the cache that run at a time in this process; others wait for 5 s at most. Those
    /// that other loaders wait for are not counted.
    ///
    /// Default: 64. Range: 1 to 10,000. It bounds the work that the database gets when everything is a miss,
    /// as after an outage of Redis. Raise it where loaders wait for something else than the database; lower
    /// it to a few times `connections_max` where they do nothing else.
    #[must_use]
    #[track_caller]
    pub fn cache_loads_max(self, loads: u32) -> Self {
        let caller = Location::caller();
        Self(self.0.with_count(&knob::CACHE_LOADS_MAX, loads, caller))
    }

    /// About how many bytes the cache takes in the memory of this process, by the encoded length of its
    /// values; without Redis twice as many.
    ///
    /// Default: 67,108,864 (64 MiB). Range: 65,536 to 4,294,967,295. Values above 256 KiB are kept in
    /// Redis only. Raise it where the hit rate shows that the values in use don't fit.
    #[must_use]
    #[track_caller]
    pub fn cache_memory_max(self, bytes: u32) -> Self {
        let caller = Location::caller();
        Self(self.0.with_count(&knob::CACHE_MEMORY_MAX, bytes, caller))
    }

    /// How often the database's log is read for what others write, with
    /// [`cache_foreign_writes`](crate::Config::cache_foreign_writes).
    ///
    /// Default: 50 ms. Range: 5 ms to 60 s. Where a look takes long and finds little, because a
    /// transaction has written for long, looks are made less often: a tenth of one processor of the server at
    /// most. Raise it only if writes of others may be seen later.
    #[must_use]
    #[track_caller]
    pub fn cache_foreign_interval(self, interval: Duration) -> Self {
        let caller = Location::caller();
        Self(
            self.0
                .with_time(&knob::CACHE_FOREIGN_INTERVAL, interval, caller),
        )
    }

    /// Most statements that are kept prepared on each connection; the least used goes first.
    ///
    /// Default: 256. Range: 1 to 10,000. Each costs memory on the server, once per connection.
    /// Raise it only if a service runs more different statements all the time.
    #[must_use]
    #[track_caller]
    pub fn statements_max(self, statements: u32) -> Self {
        Self(
            self.0
                .with_count(&knob::STATEMENTS_MAX, statements, Location::caller()),
        )
    }

    /// Most requests that wait on one connection.
    ///
    /// Default: 4,096. Range: 1 to 1,000,000. It bounds memory; there is nothing to gain from it
    /// otherwise.
    #[must_use]
    #[track_caller]
    pub fn requests_max(self, requests: u32) -> Self {
        Self(
            self.0
                .with_count(&knob::REQUESTS_MAX, requests, Location::caller()),
        )
    }

    /// Longest message that is taken from the server, in bytes: no row can be longer.
    ///
    /// Default: 1,073,741,824 (1 GiB), which the server does not exceed. Range: 65,536 to
    /// 2,147,483,647. Lower it to bound memory if no honest row is that long; a longer one ends
    /// its connection.
    #[must_use]
    #[track_caller]
    pub fn message_max(self, bytes: u32) -> Self {
        Self(
            self.0
                .with_count(&knob::MESSAGE_MAX, bytes, Location::caller()),
        )
    }
}
