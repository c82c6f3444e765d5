//! What the layer says about itself: typed events, what is counted of them, and the one place that
//! knows `tracing`.

mod cache_counts;
#[cfg(feature = "testing")]
mod collect;
mod event;
mod events;
mod log;
mod measures;
mod slow;
mod spans;
mod statement_table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
#[cfg(feature = "testing")]
use std::sync::{OnceLock, Weak};
use std::time::Duration;

pub(crate) use self::cache_counts::CacheCounts;
#[cfg(feature = "testing")]
use aquifer_wire::Catalog;

#[cfg(feature = "testing")]
pub(crate) use self::collect::Collector;
pub use self::event::{BreakerState, Event, HostRole, Mode, Service, Status};
use tokio::sync::Notify;

use self::events::Bus;
pub use self::events::Events;
pub(crate) use self::measures::{Measures, Operations, ReportedPool, State};
use self::slow::SlowLog;
pub(crate) use self::spans::{CallSpan, Endpoint};
pub(crate) use self::statement_table::StatementEntry;
use crate::Error;
use crate::wait::caught;

/// Receives what happens often, at once and borrowed; every method has an empty default.
///
/// Methods are called on the task in which the event happened and must not block. One that panics
/// is logged; the layer and its caller go on.
pub trait Observer: Send + Sync + 'static {
    /// A call ended, whether with rows or an error.
    fn query_finished(&self, _event: &QueryFinished<'_>) {}

    /// A connection was opened.
    fn connection_opened(&self, _event: &ConnectionOpened) {}

    /// A connection ended, or could not be opened.
    fn connection_lost(&self, _event: &ConnectionLost<'_>) {}

    /// A transaction ended.
    fn transaction_finished(&self, _event: &TransactionFinished) {}

    /// A call to Redis ended.
    fn redis_finished(&self, _event: &RedisFinished<'_>) {}
}

/// A call that ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct QueryFinished<'a> {
    /// The statement's text, of a batch all texts; values are never part of it.
    pub sql: &'a str,
    /// From the call to its result, retries and waiting for a connection included.
    pub elapsed: Duration,
    /// Of that, waiting for a connection of its own; zero for reads on a lane.
    pub queue: Duration,
    /// Rows that were returned or changed, of a batch all together; 0 where nobody counted.
    pub rows: u64,
    /// Whether it was a part of a transaction.
    pub in_transaction: bool,
    /// How often it was tried, from 1.
    pub attempts: u32,
    /// Where the call stands in the source.
    pub location: &'static Location<'static>,
    /// Why it failed; `None` when it did not.
    pub error: Option<&'a Error>,
    /// The text's hash, where the caller knows it.
    pub(crate) fingerprint: Option<u64>,
    /// What is known of statements where it was run.
    #[cfg(feature = "testing")]
    pub(crate) known: Known<'a>,
}

/// Descriptions of statements.
#[cfg(feature = "testing")]
#[derive(Clone, Copy)]
pub(crate) struct Known<'a>(Option<&'a Catalog>);

#[cfg(feature = "testing")]
impl fmt::Debug for Known<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of all statements, where an event is about one.
        formatter.debug_struct("Known").finish_non_exhaustive()
    }
}

impl<'a> QueryFinished<'a> {
    /// A call at the first attempt, of which no more is known.
    pub(crate) fn new(
        sql: &'a str,
        location: &'static Location<'static>,
        elapsed: Duration,
        error: Option<&'a Error>,
    ) -> Self {
        Self {
            sql,
            elapsed,
            queue: Duration::ZERO,
            rows: 0,
            in_transaction: false,
            attempts: 1,
            location,
            error,
            fingerprint: None,
            #[cfg(feature = "testing")]
            known: Known(None),
        }
    }

    /// The time that did not pass in waiting for a connection.
    #[must_use]
    pub fn execute(&self) -> Duration {
        self.elapsed.saturating_sub(self.queue)
    }

    fn fingerprint(&self) -> u64 {
        self.fingerprint
            .unwrap_or_else(|| aquifer_wire::fingerprint(self.sql))
    }
}

/// A connection that was opened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ConnectionOpened {
    /// The server process behind it.
    pub process_id: i32,
    /// Whether it is a shared read lane.
    pub shared: bool,
    /// How long opening took.
    pub elapsed: Duration,
}

/// A connection that ended or could not be opened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ConnectionLost<'a> {
    /// The server process behind it; `None` when it was never opened.
    pub process_id: Option<i32>,
    /// Why, in words.
    pub cause: &'a str,
}

/// A transaction that ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TransactionFinished {
    /// Whether it was committed; `None` when that is unknown, since COMMIT was not answered.
    pub committed: Option<bool>,
    /// From BEGIN to the end.
    pub elapsed: Duration,
    /// Where it was begun.
    pub location: &'static Location<'static>,
}

/// A call to Redis that ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RedisFinished<'a> {
    /// The command's name in capitals, of a pipeline that of its first; keys and values are never
    /// part of it.
    pub command: &'a str,
    /// How many commands it had.
    pub commands: usize,
    /// From the call to its result, further attempts included.
    pub elapsed: Duration,
    /// Of GET, GETEX and HGET: whether there was something.
    pub hit: Option<bool>,
    /// Why it failed, of a pipeline why the first that did failed; `None` when it did not.
    pub error: Option<&'a Error>,
}

/// All observers of one `Db`, those who listen to its events, what counts, and the log.
#[derive(Clone)]
pub(crate) struct Observers {
    list: Arc<[Arc<dyn Observer>]>,
    events: Bus,
    watch: Arc<Watch>,
    /// Told when there is reason to ask how the services do.
    suspicion: Arc<Notify>,
}

struct Watch {
    measures: Arc<Measures>,
    slow: SlowLog,
    endpoint: Endpoint,
    #[cfg(feature = "testing")]
    catalog: OnceLock<Weak<Catalog>>,
}

impl Observers {
    pub(crate) fn new(
        list: &[Arc<dyn Observer>],
        measures: Arc<Measures>,
        slow_query_threshold: Duration,
        endpoint: Endpoint,
    ) -> Self {
        Self {
            list: list.into(),
            events: Bus::default(),
            watch: Arc::new(Watch {
                measures,
                slow: SlowLog::new(slow_query_threshold),
                endpoint,
                #[cfg(feature = "testing")]
                catalog: OnceLock::new(),
            }),
            suspicion: Arc::default(),
        }
    }

    /// Where statements are known, for those who collect them.
    #[cfg(feature = "testing")]
    pub(crate) fn set_catalog(&self, catalog: &Arc<Catalog>) {
        // Whoever was first is right: there is one.
        self.watch.catalog.get_or_init(|| Arc::downgrade(catalog));
    }

    /// Tells an event to all who listen, to the figures, and to the log.
    pub(crate) fn publish(&self, event: Event) {
        self.watch.measures.happened(&event);
        log::event(&event);
        self.events.send(event);
    }

    /// How a service does now, changed or not.
    pub(crate) fn found(&self, service: Service, status: Status) {
        self.watch.measures.set_health(service, status);
    }

    /// There are no circuit breakers before a host any more.
    pub(crate) fn forget_breakers(&self, service: Service, host: &str) {
        self.watch.measures.forget_breakers(service, host);
    }

    /// What the cache counts.
    pub(crate) fn cache_counts(&self) -> &CacheCounts {
        &self.watch.measures.cache
    }

    /// There will be no more events.
    pub(crate) fn close(&self) {
        self.events.close();
    }

    /// Told when there is reason to ask how the services do.
    pub(crate) fn suspicion(&self) -> Arc<Notify> {
        Arc::clone(&self.suspicion)
    }

    /// The events from now on.
    pub(crate) fn events(&self) -> Events {
        self.events.subscribe()
    }

    /// Whether calls are to be run in a [`span`](Self::span).
    pub(crate) fn wants_spans(&self) -> bool {
        spans::are_wanted()
    }

    /// The span of a call; it does nothing while nobody wants spans.
    pub(crate) fn span(&self, sql: &str) -> CallSpan {
        spans::of(&self.watch.endpoint, sql)
    }

    /// The call in whose span this is called is answered by this host, of several.
    pub(crate) fn answered_by(&self, host: &str) {
        if spans::are_wanted() {
            spans::answered_by(host);
        }
    }

    /// Calls each observer; a panic of one must not end a task of the layer half-way.
    fn tell(&self, event: impl Fn(&dyn Observer)) {
        for observer in self.list.iter() {
            let told = caught(|| event(observer.as_ref()));
            if told.is_none() {
                log::observer_panicked();
            }
        }
    }

    pub(crate) fn query_finished(&self, event: &QueryFinished<'_>) {
        let watch = &*self.watch;
        watch.measures.query_finished(event);
        // One look for all who might be told besides: mostly there are none.
        let is_plain = event.error.is_none() && !watch.slow.is_slow(event.elapsed);
        if !is_plain || !self.list.is_empty() || log::is_verbose() {
            self.tell_of_query(event);
        }
    }

    /// As [`query_finished`](Self::query_finished), of a read that succeeded at the first attempt.
    #[inline]
    pub(crate) fn read_finished(
        &self,
        (sql, location): (&str, &'static Location<'static>),
        fingerprint: u64,
        rows: u64,
        elapsed: Duration,
    ) {
        let watch = &*self.watch;
        watch
            .measures
            .read_finished((fingerprint, sql), rows, elapsed);
        if watch.slow.is_slow(elapsed) || !self.list.is_empty() || log::is_verbose() {
            self.tell_of_query(&QueryFinished {
                rows,
                fingerprint: Some(fingerprint),
                ..QueryFinished::new(sql, location, elapsed, None)
            });
        }
    }

    #[cold]
    fn tell_of_query(&self, event: &QueryFinished<'_>) {
        #[cfg(feature = "testing")]
        let catalog = self.watch.catalog.get().and_then(Weak::upgrade);
        #[cfg(feature = "testing")]
        let event = &QueryFinished {
            known: Known(catalog.as_deref()),
            ..*event
        };
        self.tell(|observer| observer.query_finished(event));
        if self.watch.slow.is_slow(event.elapsed)
            && let Some(suppressed) = self.watch.slow.admit()
        {
            log::slow_query(event, suppressed);
        }
        match event.error {
            None => log::query_finished(event),
            Some(error) => log::query_failed(event, error),
        }
        if spans::are_wanted() {
            spans::finish(event);
        }
    }

    /// Reading a result of many rows took so long; the call was told before.
    pub(crate) fn rows_decoded(
        &self,
        (sql, location): (&str, &'static Location<'static>),
        rows: usize,
        elapsed: Duration,
    ) {
        let fingerprint = aquifer_wire::fingerprint(sql);
        self.watch.measures.rows_decoded(fingerprint, sql, elapsed);
        if self.watch.slow.is_slow(elapsed)
            && let Some(suppressed) = self.watch.slow.admit()
        {
            log::slow_decoding(sql, (rows, elapsed), location, suppressed);
        }
    }

    /// A caller waited so long for a connection of its own, whether it got one or not.
    pub(crate) fn waited(&self, elapsed: Duration) {
        self.watch.measures.queue.record_duration(elapsed);
    }

    /// A caller got no connection.
    pub(crate) fn refused(&self) {
        self.watch.measures.refused();
    }

    pub(crate) fn connection_opened(&self, event: &ConnectionOpened) {
        self.watch.measures.connection_opened(event);
        self.tell(|observer| observer.connection_opened(event));
        log::connection_opened(event);
    }

    pub(crate) fn connection_lost(&self, event: &ConnectionLost<'_>) {
        self.watch.measures.connection_lost();
        self.suspicion.notify_one();
        self.tell(|observer| observer.connection_lost(event));
        log::connection_lost(event);
    }

    pub(crate) fn hook_failed(&self, location: &'static Location<'static>, failure: &str) {
        log::hook_failed(location, failure);
    }

    pub(crate) fn redis_finished(&self, event: &RedisFinished<'_>) {
        let failed = event.error.is_some();
        self.watch
            .measures
            .redis_finished(event.elapsed, failed, event.hit);
        self.tell(|observer| observer.redis_finished(event));
    }

    pub(crate) fn transaction_finished(&self, event: &TransactionFinished) {
        self.watch.measures.transaction_finished(event);
        self.tell(|observer| observer.transaction_finished(event));
        log::transaction_finished(event);
    }
}

pub(crate) fn listener_panicked() {
    tracing::error!(target: "aquifer::events", "a listener panicked and is not called again");
}

impl fmt::Debug for Observers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Observers({})", self.list.len())
    }
}
