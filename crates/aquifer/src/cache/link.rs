//! By what this process learns that stamps in Redis have changed: a connection to each master that
//! tells of every change of a stamp (CLIENT TRACKING). Where a server can't or may not do that, whoever
//! changes a stamp has the stamp's master say so on a channel, which is listened to on each of them.
//!
//! A PING every so often proves that they tell: what changed before it was sent is known when it is
//! answered. While one of them does not, nothing in memory is used without asking Redis for its stamps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use ::redis::{PushInfo, PushKind, Value};
use aquifer_core::backoff;
use aquifer_core::stamps::{Board, Stamp};
use tokio::sync::{Notify, watch};

use super::Inner;
use super::key::{tag_of, tag_of_bytes};
use super::remote::make_by;
use super::rules::{Rule, keeps};
use super::store::{StampFor, Store};
use crate::deadline::Deadline;
use crate::observe::Event;
use crate::redis::{Link, Published, Redis, Subscriber};
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
    /// What tells of changes, if it is not the link.
    subscriber: Option<Subscriber>,
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
            doubt(&inner.board);
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
            inner.links.attempted();
            let pause = match made {
                Ok(()) => {
                    failures = 0;
                    self.recovered(&inner);
                    INTERVAL.saturating_sub(clock::now() - begun)
                }
                Err(error) => {
                    doubt(&inner.board);
                    inner.fence.losses().add();
                    inner.links.set(Vec::new());
                    self.failed(&inner, &error);
                    let is_away = Box::pin(seek(&inner, &error)).await;
                    Box::pin(inner.raise_fence()).await;
                    // Also where no link can be made: Redis itself may be there. If not, again later.
                    let _settled_or_due = Box::pin(inner.settle()).await;
                    let _compared_or_away = Box::pin(inner.check_fence()).await;
                    failures += 1;
                    match error.redis_code() {
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
                doubt(&inner.board);
                inner.fence.losses().add();
                self.tracked.push(track(inner, redis, address).await?);
            }
        }
        let links = self.tracked.iter();
        let links = links.map(|one| (one.address.clone(), Arc::clone(&one.link)));
        inner.links.set(links.collect());
        Box::pin(inner.check_fence()).await?;
        inner.settle().await?;
        // Last: what was changed for this is announced before the answer, not to a load that begins then.
        let asked = clock::now();
        if keeps(Rule::PongExtends) {
            self.ask(inner).await?;
        }
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
    async fn ask(&mut self, inner: &Inner) -> Result<(), Error> {
        let asked = self.tracked.iter().map(|one| async {
            let Some(subscriber) = &one.subscriber else {
                let ping = one.link.command("PING").timeout(LIMIT);
                return ping.run::<Value>().await.map(drop);
            };
            one.look_for_flush(inner).await?;
            subscriber.ping(LIMIT).await
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

impl Tracked {
    /// A channel does not tell that all keys were flushed. Then the stamp is gone that every value
    /// depends on.
    async fn look_for_flush(&self, inner: &Inner) -> Result<(), Error> {
        let stamp = inner.names.stamp_of_all();
        let is_here = |redis: &Redis| redis.master_of(&stamp).as_ref() == Some(&self.address);
        if !inner.redis().is_some_and(is_here) {
            return Ok(());
        }
        let exists = self.link.command("EXISTS").arg(&stamp).timeout(LIMIT);
        if exists.run::<i64>().await? == 0 {
            inner.board.all_changed();
        }
        Ok(())
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
        let losses = Arc::clone(inner.fence.losses());
        move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                losses.add();
            }
            hear(&push, &board, &lost, &wake);
        }
    };
    let link = redis.link(address, heard).await?;
    let is_tracked = match redis.has_pushes() {
        true => begin_tracking(inner, &link).await?,
        // The server would take the command all the same, and tell nothing.
        false => false,
    };
    let subscriber = match is_tracked {
        true => None,
        false => Some(listen(inner, redis, (address, &lost)).await?),
    };
    Ok(Tracked {
        address: address.to_owned(),
        link: Arc::new(link),
        subscriber,
        lost,
    })
}

/// Returns whether the server tells of changes; not if it can't or may not.
async fn begin_tracking(inner: &Inner, link: &Link) -> Result<bool, Error> {
    let tracking = link.command("CLIENT").arg("TRACKING").arg("ON");
    let tracking = tracking.arg("BCAST").arg("NOLOOP");
    let tracking = tracking.arg("PREFIX").arg(inner.names.stamps());
    match tracking.timeout(LIMIT).run::<Value>().await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Redis => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens a connection on which changes are told by those who make them.
async fn listen(
    inner: &Inner,
    redis: &Redis,
    (address, lost): (&str, &Arc<AtomicBool>),
) -> Result<Subscriber, Error> {
    let ending = Ending {
        board: Arc::clone(&inner.board),
        lost: Arc::clone(lost),
        wake: Arc::clone(&inner.wake),
    };
    let heard = move |told: Published| ending.board.changed(tag_of_bytes(&told.payload));
    let subscriber = redis.subscriber(address, heard).await?;
    subscriber.subscribe(&inner.names.changes(), LIMIT).await?;
    Ok(subscriber)
}

/// Dropped with the task of a connection, when nothing is told by it any more.
struct Ending {
    board: Arc<Board>,
    lost: Arc<AtomicBool>,
    wake: Arc<Notify>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.lost.store(true, Ordering::Release);
        self.board.link_lost();
        self.wake.notify_one();
    }
}

/// Called in the connection's task, in the order in which the server says it, and before what it
/// answers to a later PING.
fn hear(push: &PushInfo, board: &Board, lost: &AtomicBool, wake: &Notify) {
    match push.kind {
        PushKind::Invalidate if !keeps(Rule::AnnouncementsHeard) => {}
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
            doubt(board);
            wake.notify_one();
        }
        _ => {}
    }
}

/// The links that there are, for what must not be announced to this process.
#[derive(Default)]
pub(super) struct Links {
    made: Mutex<Vec<Placed>>,
    /// Whether it was tried once to make them.
    attempted: watch::Sender<bool>,
}

/// Where a link leads to, and the link.
type Placed = (String, Arc<Link>);

impl Links {
    fn set(&self, links: Vec<Placed>) {
        *self.made.lock().unwrap_or_else(PoisonError::into_inner) = links;
    }

    fn to(&self, address: &str) -> Option<Arc<Link>> {
        let links = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let link = links.iter().find(|(place, _)| place == address);
        link.map(|(_, link)| Arc::clone(link))
    }
}

impl Links {
    /// Waits until it was tried once to make links: whoever is the first on a server renews the
    /// namespace, and what was stored before would be gone.
    pub(super) async fn begun(&self) {
        if *self.attempted.borrow() {
            return;
        }
        let mut attempted = self.attempted.subscribe();
        // A cache that does without links for so long does without the wait too.
        let _made_or_not = Deadline::after(LIMIT)
            .run(attempted.wait_for(|attempted| *attempted))
            .await;
    }

    pub(super) fn attempted(&self) {
        self.attempted
            .send_if_modified(|attempted| !std::mem::replace(attempted, true));
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

    /// Makes up for all changes that Redis was not told of, or has forgotten.
    pub(super) async fn settle(&self) -> Result<(), Error> {
        self.know_servers().await?;
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

/// Announcements may not come, or may have been lost.
fn doubt(board: &Board) {
    if keeps(Rule::LossDoubts) {
        board.link_lost();
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
