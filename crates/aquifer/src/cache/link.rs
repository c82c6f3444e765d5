//! By what this process learns that stamps in Redis have changed: a connection to each master that
//! tells of every change of a stamp.
//!
//! A PING every so often proves that they tell: what changed before it was sent is known when it is
//! answered. While one of them does not, nothing in memory is used without asking Redis for its stamps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use ::redis::{PushInfo, PushKind, Value};
use aquifer_core::backoff;
use aquifer_core::stamps::{Board, Stamp};
use tokio::sync::Notify;

use super::Inner;
use super::key::{tag_of, tag_of_bytes};
use super::remote::make_by;
use super::store::{StampFor, Store};
use crate::deadline::Deadline;
use crate::observe::Event;
use crate::redis::{Link, Redis};
use crate::wait::{self, Either, first};
use crate::{Error, ErrorKind, clock};

/// How often each link is asked for a sign of life, and how long it has to answer.
const INTERVAL: Duration = Duration::from_millis(250);
const LIMIT: Duration = Duration::from_millis(500);

/// For how long after a PING was sent that was answered values in memory are used. So much later than
/// its write was acknowledged nobody sees an old value any more.
pub(super) const LEASE: Duration = Duration::from_secs(1);

/// The wait before another attempt: evenly from zero up to this, doubled each time.
const BACKOFF: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// The wait where a server can't or may not tell of changes, which rarely passes by itself.
const REFUSED: Duration = Duration::from_secs(15);

/// One master that tells of changes.
struct Tracked {
    address: String,
    link: Arc<Link>,
    /// Which run of the server it is; another one may have lost what it was told last.
    server: String,
    lost: Arc<AtomicBool>,
}

/// Keeps the links of one cache.
pub(super) struct Keeper {
    inner: Weak<Inner>,
    wake: Arc<Notify>,
    tracked: Vec<Tracked>,
    /// Whether it was told that there is no link.
    told: bool,
}

impl Keeper {
    pub(super) fn new(inner: &Arc<Inner>) -> Self {
        Self {
            inner: Arc::downgrade(inner),
            wake: Arc::clone(&inner.wake),
            tracked: Vec::new(),
            told: false,
        }
    }

    /// Runs until Redis is shut down or the cache is no more.
    pub(super) async fn run(mut self, closed: impl Future<Output = ()>) {
        let mut keeping = Box::pin(self.keep());
        match first(keeping.as_mut(), closed).await {
            Either::Left(()) | Either::Right(()) => {}
        }
        drop(keeping);
        if let Some(inner) = self.inner.upgrade() {
            inner.board.link_lost();
            inner.links.set(Vec::new());
        }
    }

    async fn keep(&mut self) {
        let mut failures = 0;
        loop {
            let Some(inner) = self.inner.upgrade() else {
                return;
            };
            let begun = clock::now();
            let made = Box::pin(self.make(&inner)).await;
            let pause = match made {
                Ok(()) => {
                    failures = 0;
                    self.recovered(&inner);
                    INTERVAL.saturating_sub(clock::now() - begun)
                }
                Err(error) => {
                    inner.board.link_lost();
                    inner.links.set(Vec::new());
                    self.failed(&inner, &error);
                    let is_away = Box::pin(seek(&inner, &error)).await;
                    // Also where no link can be made: Redis itself may be there. If not, again later.
                    let _settled_or_due = Box::pin(inner.settle()).await;
                    failures += 1;
                    let can_tell = inner.redis().is_none_or(Redis::has_pushes);
                    match error.redis_code() {
                        _ if !can_tell && !is_away => REFUSED,
                        Some("ERR" | "NOPERM" | "NOPROTO") if !is_away => REFUSED,
                        _ => backoff::delay(failures, BACKOFF, BACKOFF_MAX, clock::random()),
                    }
                }
            };
            drop(inner);
            let woken = Deadline::after(pause).run(self.wake.notified()).await;
            if woken.is_ok() && failures > 0 {
                // Whoever wakes it is in a hurry, but not so much as to be asked all the time.
                tokio::time::sleep(pause.min(BACKOFF)).await;
            }
        }
    }

    /// Sees to it that every master tells of changes, as far as that is known now.
    async fn make(&mut self, inner: &Arc<Inner>) -> Result<(), Error> {
        let Some(redis) = inner.redis() else {
            return Ok(());
        };
        // Without, the server takes the command all the same, and tells nothing.
        if !redis.has_pushes() {
            let text = "redis_url says protocol=resp2, by which Redis can't tell of changes, so every read \
                        asks it; leave it out with Redis 6.0 or newer";
            return Err(Error::new(ErrorKind::Usage, text));
        }
        let masters = redis.masters();
        if masters.is_empty() {
            return Err(unknown_masters());
        }
        self.tracked.retain(|tracked| {
            masters.contains(&tracked.address) && !tracked.lost.load(Ordering::Acquire)
        });
        for address in &masters {
            if !self.tracked.iter().any(|one| one.address == *address) {
                // Until it tells of changes there may be some that nobody hears of.
                inner.board.link_lost();
                self.tracked.push(track(inner, redis, address).await?);
            }
        }
        let links = self.tracked.iter();
        let links = links.map(|one| (one.address.clone(), Arc::clone(&one.link)));
        inner.links.set(links.collect());
        if !inner.board.is_linked() {
            self.check_servers(inner, redis).await?;
        }
        inner.settle().await?;
        // Last: what was changed for this is announced before the answer, not to a load that begins then.
        let asked = clock::now();
        self.ask().await?;
        inner.lease.extend(asked, LEASE);
        inner.store.set_away(false);
        inner.board.link_made();
        if self
            .tracked
            .iter()
            .any(|one| one.lost.load(Ordering::Acquire))
        {
            return Err(lost("the server ended the connection"));
        }
        Ok(())
    }

    /// Asks each for a sign of life; forgets those that give none.
    async fn ask(&mut self) -> Result<(), Error> {
        let asked = self.tracked.iter().map(|one| async {
            let ping = one.link.command("PING").timeout(LIMIT);
            ping.run::<Value>().await.map(drop)
        });
        let mut answers = wait::all(asked).await.into_iter();
        let mut failed = Ok(());
        self.tracked.retain(|_| match answers.next() {
            Some(Err(error)) => {
                failed = Err(error);
                false
            }
            _ => true,
        });
        failed
    }

    /// Servers that were not there when somebody last looked may have lost the last stamps: a replica
    /// that was promoted, or one that was started again. Then versions may come again that there were
    /// before, under lives that go on; so nothing of before is good any more.
    async fn check_servers(&self, inner: &Inner, redis: &Redis) -> Result<(), Error> {
        let mut servers: Vec<&str> = self.tracked.iter().map(|one| &*one.server).collect();
        servers.sort_unstable();
        let servers = servers.join(",");
        let place = inner.names.servers();
        let known: Option<String> = redis.command("GET").arg(&place).run().await?;
        if known.as_ref() != Some(&servers) {
            inner.renew().await?;
            let note = redis.command("SET").arg(&place).arg(servers);
            note.run::<()>().await?;
        }
        Ok(())
    }

    fn recovered(&mut self, inner: &Inner) {
        if std::mem::take(&mut self.told) {
            inner.observers.publish(Event::CacheLinked {});
        }
    }

    fn failed(&mut self, inner: &Inner, error: &Error) {
        if !std::mem::replace(&mut self.told, true) {
            inner.observers.publish(Event::CacheInDoubt {
                cause: error.to_string().into(),
            });
        }
    }
}

/// Finds out whether Redis is there at all, after its link was lost; returns whether it is away. Nobody
/// waits for that: until it is known it counts as away. A cluster is seldom away as a whole, and its nodes
/// have breakers of their own.
async fn seek(inner: &Inner, cause: &Error) -> bool {
    let Some(redis) = inner.redis().filter(|redis| !redis.is_cluster()) else {
        return false;
    };
    if !is_refusal(cause) {
        inner.store.set_away(true);
    }
    let ping = redis.command("PING").timeout(LIMIT);
    let is_away = match ping.run::<Value>().await {
        Ok(_) => false,
        Err(error) => !is_refusal(&error),
    };
    inner.store.set_away(is_away);
    is_away
}

/// Whether a server is there that said so, or this process said it for it.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Redis | ErrorKind::Usage)
}

/// Opens a connection on which a master tells of every change of a stamp.
async fn track(inner: &Arc<Inner>, redis: &Redis, address: &str) -> Result<Tracked, Error> {
    let lost = Arc::new(AtomicBool::new(false));
    let heard = {
        let (lost, board, wake) = (
            Arc::clone(&lost),
            Arc::clone(&inner.board),
            Arc::clone(&inner.wake),
        );
        move |push| hear(&push, &board, &lost, &wake)
    };
    let link = redis.link(address, heard).await?;
    let tracking = link.command("CLIENT").arg("TRACKING").arg("ON");
    let tracking = tracking.arg("BCAST").arg("NOLOOP");
    let tracking = tracking.arg("PREFIX").arg(inner.names.stamps());
    tracking.timeout(LIMIT).run::<Value>().await?;
    let information = link.command("INFO").arg("server").timeout(LIMIT);
    // One that may not be asked is told by its address.
    let server = match information.run::<String>().await {
        Ok(text) => text
            .lines()
            .find_map(|line| line.strip_prefix("run_id:"))
            .unwrap_or(address)
            .trim()
            .to_owned(),
        Err(error) if error.kind() == ErrorKind::Redis => address.to_owned(),
        Err(error) => return Err(error),
    };
    Ok(Tracked {
        address: address.to_owned(),
        link: Arc::new(link),
        server,
        lost,
    })
}

/// Called in the connection's task, in the order in which the server says it, and before what it
/// answers to a later PING.
fn hear(push: &PushInfo, board: &Board, lost: &AtomicBool, wake: &Notify) {
    match push.kind {
        PushKind::Invalidate => match push.data.first() {
            Some(Value::Array(names)) => {
                for name in names {
                    if let Value::BulkString(name) = name {
                        board.announced(tag_of_bytes(name));
                    }
                }
            }
            // All keys were flushed.
            _ => board.all_changed(),
        },
        PushKind::Disconnection => {
            lost.store(true, Ordering::Release);
            board.link_lost();
            wake.notify_one();
        }
        _ => {}
    }
}

/// The links that there are, for what must not be announced to this process.
#[derive(Default)]
pub(super) struct Links(Mutex<Vec<Placed>>);

/// Where a link leads to, and the link.
type Placed = (String, Arc<Link>);

impl Links {
    fn set(&self, links: Vec<Placed>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = links;
    }

    fn to(&self, address: &str) -> Option<Arc<Link>> {
        let links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let link = links.iter().find(|(place, _)| place == address);
        link.map(|(_, link)| Arc::clone(link))
    }
}

impl Inner {
    /// The stamps, after those were made that there were not, without that being announced to this
    /// process: its loads would be in doubt from the beginning. Nothing where that is not possible now.
    ///
    /// A server that has several changes of a key to announce at once leaves all of them out if the last
    /// one was ours; so may be hidden that a stamp was removed, and what changed before. But whoever comes
    /// here has found that it is not there, and has told the board.
    pub(super) async fn ensure_unannounced(&self, stamps: &[StampFor]) -> Option<Vec<Stamp>> {
        let Store::Remote(remote, away) = &self.store else {
            return self.store.ensure(stamps).await.ok();
        };
        let mut asked = Vec::with_capacity(stamps.len());
        for stamp in stamps {
            let link = self.links.to(&remote.redis.master_of(&stamp.name)?)?;
            asked.push(async move { make_by(link.pipeline(), stamp).await });
        }
        let made = away
            .unless(async { Ok(wait::all(asked).await) })
            .await
            .ok()?;
        made.into_iter().map(Result::ok).collect()
    }

    /// Makes up for all changes that Redis was not told of.
    pub(super) async fn settle(&self) -> Result<(), Error> {
        let Some(due) = self.debts.due() else {
            return Ok(());
        };
        self.renew().await?;
        self.debts.pay(due);
        Ok(())
    }

    /// Makes everything that is stored, here or anywhere, a miss.
    pub(super) async fn renew(&self) -> Result<(), Error> {
        let name = self.names.stamp_of_all();
        let renewed = self.store.renew(&name, Stamp::first(clock::random())).await;
        self.board.changed(tag_of(&name));
        renewed
    }
}

fn unknown_masters() -> Error {
    let text = "no master of Redis is known now";
    Error::new(ErrorKind::Connection, text)
}

fn lost(why: &str) -> Error {
    let text = format!("the link by which Redis tells of changes was lost: {why}");
    Error::new(ErrorKind::Connection, text)
}

/// An answer that comes at the last moment still comes before the lease is over.
const _: () = assert!(LIMIT.as_millis() + INTERVAL.as_millis() < LEASE.as_millis());
