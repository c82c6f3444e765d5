//! The task that asks one host, again and again, by a connection of its own: an exhausted pool must
//! not hide a host that is well, nor a full one keep it from being asked.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use aquifer_core::topology::Answer;
use aquifer_wire::{Client, Driver, Sharing, SqlState};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Connector, Inner, now};
use crate::deadline::Deadline;
use crate::{Error, ErrorKind, Retry, clock};

/// All there is to know, in one row. A standby tells a timeline that it follows at least: the one
/// that it receives may not be told to everybody, the ones of its last restart point and of its last
/// flush come later.
const FULL: &str = "\
    select recovery.is_on, \
           pg_catalog.current_setting('transaction_read_only') = 'on', \
           (select system_identifier from pg_catalog.pg_control_system()), \
           case when recovery.is_on then greatest( \
                    (select received_tli from pg_catalog.pg_stat_wal_receiver)::bigint, \
                    (select timeline_id from pg_catalog.pg_control_checkpoint())::bigint, \
                    (select min_recovery_end_timeline from pg_catalog.pg_control_recovery())::bigint) \
                else ('x' || substr(pg_catalog.pg_walfile_name( \
                    pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::bigint end, \
           pg_catalog.pg_wal_lsn_diff(case when recovery.is_on \
               then pg_catalog.pg_last_wal_replay_lsn() \
               else pg_catalog.pg_current_wal_lsn() end, '0/0')::bigint, \
           (extract(epoch from pg_catalog.clock_timestamp() \
               - pg_catalog.pg_last_xact_replay_timestamp()) * 1000000)::bigint \
    from (select pg_catalog.pg_is_in_recovery()) as recovery (is_on)";

/// Without the control file, which managed servers may hide: a primary tells its timeline all the
/// same, by which an old one is fenced; which system a host is of is not known.
const WITHOUT_CONTROL: &str = "\
    select recovery.is_on, \
           pg_catalog.current_setting('transaction_read_only') = 'on', \
           null::bigint, \
           case when recovery.is_on \
                then (select received_tli from pg_catalog.pg_stat_wal_receiver)::bigint \
                else ('x' || substr(pg_catalog.pg_walfile_name( \
                    pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::bigint end, \
           pg_catalog.pg_wal_lsn_diff(case when recovery.is_on \
               then pg_catalog.pg_last_wal_replay_lsn() \
               else pg_catalog.pg_current_wal_lsn() end, '0/0')::bigint, \
           (extract(epoch from pg_catalog.clock_timestamp() \
               - pg_catalog.pg_last_xact_replay_timestamp()) * 1000000)::bigint \
    from (select pg_catalog.pg_is_in_recovery()) as recovery (is_on)";

/// Without positions in the WAL, which servers that store it elsewhere don't have. The timeline is that
/// of the last checkpoint: a host that was just promoted tells its new one some moments late, and an
/// old primary is fenced so much later. Lags are not known.
const WITHOUT_WAL: &str = "\
    select pg_catalog.pg_is_in_recovery(), \
           pg_catalog.current_setting('transaction_read_only') = 'on', \
           (select system_identifier from pg_catalog.pg_control_system()), \
           (select timeline_id from pg_catalog.pg_control_checkpoint())::bigint, \
           null::bigint, null::bigint";

/// For servers that refuse all of that: of two that take themselves for the primary the one stays that
/// was it first, since nothing tells which one is of the past.
const PLAIN: &str = "\
    select pg_catalog.pg_is_in_recovery(), \
           pg_catalog.current_setting('transaction_read_only') = 'on', \
           null::bigint, null::bigint, null::bigint, null::bigint";

/// The one after another, until the server answers one; that one is asked from then on.
const QUESTIONS: [&str; 4] = [FULL, WITHOUT_CONTROL, WITHOUT_WAL, PLAIN];

type Told = (
    bool,
    bool,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

/// Least time between two questions, however many wait for the answer.
const PAUSE: Duration = Duration::from_millis(1);

/// Least time after a login was refused: servers count those, and lock accounts.
const LOGIN_WAIT: Duration = Duration::from_secs(1);

struct Prober {
    topology: Weak<Inner>,
    host: usize,
    connector: Connector,
    limit: Duration,
    /// Of [`QUESTIONS`].
    question: usize,
    session: Option<Session>,
    /// It has answered, or could not be reached, before.
    known: bool,
    /// It has answered before.
    answered: bool,
}

struct Session {
    client: Client,
    driver: Pin<Box<Driver>>,
}

/// Asks until the topology is gone or closed.
pub(super) async fn run(topology: Weak<Inner>, host: usize, connector: Connector, limit: Duration) {
    let mut prober = Prober {
        topology,
        host,
        connector,
        limit,
        question: 0,
        session: None,
        known: false,
        answered: false,
    };
    loop {
        let asked_at = clock::now();
        let outcome = prober.ask().await;
        let Some(inner) = prober.topology() else {
            return;
        };
        let refused = matches!(&outcome, Err(error) if error.kind() == ErrorKind::Authentication);
        prober.report(&inner, outcome);
        let interval = inner.lock().interval(now());
        let interval = if refused {
            interval.max(LOGIN_WAIT)
        } else {
            interval
        };
        let told = inner
            .probers
            .get(host)
            .map(|asking| Arc::clone(&asking.told));
        let told = told.unwrap_or_default();
        drop(inner);
        prober.rest(asked_at + interval, &told, refused).await;
    }
}

impl Prober {
    fn topology(&self) -> Option<Arc<Inner>> {
        self.topology.upgrade().filter(|inner| !inner.is_closed())
    }

    fn report(&mut self, inner: &Inner, outcome: Result<Answer, Error>) {
        self.known = true;
        match outcome {
            Ok(answer) => {
                self.answered = true;
                inner.succeeded(self.host);
                inner.report(|state| state.answered(self.host, answer, now()));
            }
            Err(error) if self.is_there(&error) => inner.failed(self.host, error),
            Err(error) => {
                inner.failed(self.host, error);
                inner.report(|state| state.missed(self.host, now()));
            }
        }
    }

    /// Whether the server answers and admits no session more: for want of room, or of the password of
    /// today. The sessions that are open live on.
    fn is_there(&self, error: &Error) -> bool {
        error.sqlstate().is_some_and(|state| {
            *state == SqlState::TOO_MANY_CONNECTIONS || self.answered && state.class() == "28"
        })
    }

    async fn ask(&mut self) -> Result<Answer, Error> {
        if self.session.is_none() {
            self.session = Some(self.connect().await?);
        }
        let Some(session) = &mut self.session else {
            return Err(silent(self.limit));
        };
        let asked = session.ask(QUESTIONS.get(self.question).unwrap_or(&PLAIN));
        let error = match Deadline::after(self.limit).run(asked).await {
            Ok(Ok(told)) => return Ok(answer(told)),
            Ok(Err(error)) => error,
            Err(_elapsed) => silent(self.limit),
        };
        let may_ask_less = self.question + 1 < QUESTIONS.len() && is_too_much(&error);
        if session.client.ended().is_none() && may_ask_less {
            self.question += 1;
            return Box::pin(self.ask()).await;
        }
        self.session = None;
        Err(error)
    }

    /// Opens a session, and reports a miss each time that another answer would have been due. A host
    /// that is far away may take longer than that to let somebody in for the first time.
    async fn connect(&mut self) -> Result<Session, Error> {
        let connector = self.connector.clone();
        let mut opening = pin!(connector.open(false));
        loop {
            match Deadline::after(self.limit).run(opening.as_mut()).await {
                Ok(opened) => {
                    let (client, driver) = opened?;
                    let driver = Box::pin(driver);
                    return Ok(Session { client, driver });
                }
                Err(_elapsed) => {
                    let Some(inner) = self.topology() else {
                        return Err(silent(self.limit));
                    };
                    if self.known {
                        self.report(&inner, Err(silent(self.limit)));
                    }
                }
            }
        }
    }

    /// Waits until the next question is due, somebody asks for it, or the session ends.
    async fn rest(&mut self, due: Instant, told: &Notify, refused: bool) {
        let mut woken = pin!(told.notified());
        let session = &mut self.session;
        let woken = poll_fn(|context| {
            if let Some(open) = session
                && open.driver.as_mut().poll(context).is_ready()
            {
                *session = None;
                return Poll::Ready(());
            }
            woken.as_mut().poll(context)
        });
        let due = Deadline::at(due);
        let early = due.run(woken).await.is_ok();
        if early && refused {
            tokio::time::sleep(due.left()).await;
        } else if early {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Session {
    async fn ask(&mut self, question: &str) -> Result<Told, Error> {
        let mut asked = pin!(self.client.query(question, &(), Sharing::Own));
        let driver = &mut self.driver;
        let mut ended = false;
        let reply = poll_fn(|context| {
            ended = ended || driver.as_mut().poll(context).is_ready();
            asked.as_mut().poll(context)
        });
        let reply = reply
            .await
            .map_err(|error| Error::from_wire(error, false))?;
        reply.decode_first::<Told>()?.ok_or_else(|| {
            Error::new(
                ErrorKind::Protocol,
                "a host that was asked answered with no row",
            )
        })
    }
}

/// Whether the server has no such function, or does not tell everybody.
fn is_too_much(error: &Error) -> bool {
    let class = error.sqlstate().map(SqlState::class);
    matches!(class, Some("42" | "0A"))
}

fn answer((standby, read_only, system, timeline, lsn, age): Told) -> Answer {
    Answer {
        standby,
        read_only,
        system,
        timeline: timeline.and_then(|timeline| u32::try_from(timeline).ok()),
        lsn: lsn.and_then(|lsn| u64::try_from(lsn).ok()),
        // Its clock is behind the primary's then, and tells nothing.
        age: age
            .and_then(|age| u64::try_from(age).ok())
            .map(Duration::from_micros),
    }
}

fn silent(limit: Duration) -> Error {
    let text = format!("the host gave no answer within {limit:?} (probe_timeout)");
    Error::new(ErrorKind::Timeout, text).with_retry(Retry::Safe)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::answer;

    #[test]
    fn a_standby_whose_clock_is_behind_is_not_taken_for_up_to_date() {
        let age = |micros| answer((true, true, None, Some(1), Some(8), micros)).age;
        assert_eq!(age(Some(-1)), None);
        assert_eq!(age(Some(2_000_000)), Some(Duration::from_secs(2)));
        assert_eq!(age(None), None);
    }
}
