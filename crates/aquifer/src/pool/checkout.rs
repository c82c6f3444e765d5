use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aquifer_core::breaker::{Fault, Outcome};
use aquifer_core::slots::{self, Claimed, Permit};
use aquifer_wire::{Client, TransactionStatus};
use tokio::time::Instant;

use super::breakers::CallPermit;
use super::{Connection, Inner, now};
use crate::deadline::Deadline;

/// How long a connection may take to be put in order before it is closed instead.
const CLEANUP: Duration = Duration::from_secs(2);

/// Everything that a session may have changed, back to its start. Prepared statements go too: among
/// ours there may be some that SQL made.
const RESET: &str = "close all; set session authorization default; reset role; reset all; \
    deallocate all; unlisten *; select pg_advisory_unlock_all(); discard temp; discard sequences";

/// The number of no holder.
const NOBODY: u64 = u64::MAX;

/// An exclusive connection until it is dropped.
///
/// Dropping never waits: a connection in good order goes back at once, any other is put in order by
/// a task within 2 s or closed. The permit is held no longer than that.
#[derive(Debug)]
pub(crate) struct Checkout {
    pool: Arc<Inner>,
    pub(super) held: Option<(Place, Connection)>,
    holder: u64,
    /// It must answer before it is used.
    doubtful: bool,
    /// All that is under way on it is the question whether it answers.
    asking: bool,
    /// The call for which it was asked, until it is known how that ended.
    call: Mutex<Option<CallPermit>>,
    /// Close instead of putting back.
    pub(super) discard: AtomicBool,
}

/// The permit, until it is given up; see [`Checkout::make_room`].
pub(super) type Place = Mutex<Option<Permit>>;

impl Checkout {
    /// `None` if the connection has ended, which is noted.
    pub(super) fn of(
        pool: &Arc<Inner>,
        claimed: Claimed<Connection>,
        call: CallPermit,
        (location, since): (&'static Location<'static>, Instant),
    ) -> Option<Self> {
        let holder = |client: &Arc<Client>| pool.holders.add(client, location, since);
        Self::held_by(pool, claimed, Some(call), holder)
    }

    /// Of a connection that is asked whether it answers, and by nobody else.
    pub(super) fn to_probe(pool: &Arc<Inner>, claimed: Claimed<Connection>) -> Option<Self> {
        Self::held_by(pool, claimed, None, |_client| NOBODY)
    }

    fn held_by(
        pool: &Arc<Inner>,
        claimed: Claimed<Connection>,
        call: Option<CallPermit>,
        holder: impl FnOnce(&Arc<Client>) -> u64,
    ) -> Option<Self> {
        let (permit, connection) = (claimed.permit, claimed.connection);
        if connection.client.ended().is_some() {
            pool.lost(permit);
            return None;
        }
        let holder = holder(&connection.client);
        // Whoever cuts a pool off says so first and looks for holders then.
        if pool.cut.load(Ordering::Acquire) {
            connection.client.close();
        }
        Some(Self {
            pool: Arc::clone(pool),
            held: Some((Place::new(Some(permit)), connection)),
            holder,
            doubtful: claimed.doubtful,
            asking: false,
            call: Mutex::new(call),
            discard: AtomicBool::new(false),
        })
    }

    pub(super) fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// Whether the connection answers in time; else it is closed.
    ///
    /// Cancellation: a task waits for the answer.
    pub(super) async fn answers(&mut self) -> bool {
        let generation = self.pool.desk.lock().generation();
        self.asking = true;
        let deadline = Deadline::after(self.pool.check_timeout());
        let answer = deadline.run(self.client().barrier()).await;
        self.asking = false;
        if matches!(answer, Ok(Ok(()))) {
            if let Some((place, _connection)) = &mut self.held
                && let Ok(Some(permit)) = place.get_mut()
            {
                permit.answered(generation);
            }
            return true;
        }
        self.discard.store(true, Ordering::Release);
        // One that has ended was reported by who drives it.
        if answer.is_err() {
            self.blame(Fault::Silent);
            self.pool.give_up(self.client());
        }
        false
    }

    /// The session.
    #[expect(
        clippy::expect_used,
        reason = "`held` is taken only where the checkout is consumed"
    )]
    pub(crate) fn client(&self) -> &Client {
        let (_, connection) = self.held.as_ref().expect("a checkout holds its connection");
        &connection.client
    }

    /// The host that it leads to, as in the configuration.
    pub(crate) fn host(&self) -> &Arc<str> {
        self.pool.breakers.name()
    }

    /// The call failed by the host's fault.
    pub(crate) fn blame(&self, fault: Fault) {
        let call = self
            .call
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.pool.record_write(call, Outcome::Failed(fault));
    }

    /// The session's settings may be changed from now on: they are reset when it goes back.
    pub(crate) fn mark_dirty(&self) {
        if let Some((_, connection)) = &self.held {
            connection.dirty.store(true, Ordering::Release);
            connection.client.keep_apart();
        }
    }

    /// Names may mean something else from now on, until it goes back.
    pub(crate) fn keep_apart(&self) {
        if let Some((_, connection)) = &self.held {
            connection.client.keep_apart();
        }
    }

    /// From now on it only listens: a shutdown closes it at once instead of waiting for its user.
    pub(crate) fn only_listens(&self) {
        self.pool.holders.set_listens(self.holder);
        if self.pool.is_closed() {
            self.client().close();
            self.pool.came_back.notify_waiters();
        }
    }

    /// Stops what runs in the session; where that can't be known to have been done, closes it, since
    /// a cancel that comes late would hit what runs there next.
    ///
    /// Cancellation: the session is closed.
    pub(crate) async fn stop(&self) {
        let client = self.client();
        let mut closing = Closing(Some(client));
        let cancelled = Deadline::after(CLEANUP).run(Box::pin(client.cancel()));
        if matches!(cancelled.await, Ok(Ok(()))) {
            closing.0 = None;
        }
    }

    /// Closes the connection, without touching what it may still carry out; its place is free once
    /// this is dropped.
    pub(crate) fn discard(&self) {
        self.discard.store(true, Ordering::Release);
        self.client().close();
    }

    /// Of a connection that has ended: frees its place for another one, which whoever has this
    /// checkout may need while it still has it.
    pub(crate) fn make_room(&self) {
        let Some((place, connection)) = &self.held else {
            return;
        };
        if connection.client.ended().is_none() {
            return;
        }
        let permit = place.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(permit) = permit {
            self.pool.holders.remove(self.holder);
            self.pool.lost(permit);
        }
    }

    /// For a checkout that would be discarded: its connection is in order again.
    fn put_back(self) {
        self.discard.store(false, Ordering::Release);
    }

    /// Ends what still runs, rolls back, resets; true when the session is as new.
    async fn clean(&self) -> bool {
        let Some((_, connection)) = &self.held else {
            return false;
        };
        let client = &connection.client;
        if self.asking {
            // There is nothing to cancel.
            if client.barrier().await.is_err() {
                return false;
            }
        } else if client.in_flight() > 0 && client.cancel().await.is_err() {
            return false;
        }
        if client.status() != TransactionStatus::Idle && client.control("rollback").await.is_err() {
            return false;
        }
        if connection.dirty.load(Ordering::Acquire) {
            if client.script(RESET).await.is_err() {
                return false;
            }
            client.forget_prepared();
            connection.dirty.store(false, Ordering::Release);
        }
        is_clean(connection)
    }
}

/// Closes its session when it is dropped.
struct Closing<'a>(Option<&'a Client>);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.0 {
            client.close();
        }
    }
}

fn is_clean(connection: &Connection) -> bool {
    let client = &connection.client;
    !connection.dirty.load(Ordering::Acquire)
        && client.in_flight() == 0
        && client.status() == TransactionStatus::Idle
}

/// How a call ended that nobody complained about, by what became of its connection.
fn outcome(client: &Client) -> Outcome {
    let of_host = client.ended().is_some_and(|ended| {
        let code = ended.last_words().map(|words| words.code().code());
        !ended.by_us() && slots::is_of_host(code)
    });
    if of_host {
        Outcome::Failed(Fault::Cut)
    } else {
        Outcome::Answered
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let Some((place, connection)) = self.held.take() else {
            return;
        };
        let permit = place.into_inner().unwrap_or_else(PoisonError::into_inner);
        let call = self.call.get_mut().unwrap_or_else(PoisonError::into_inner);
        let call = call.take();
        let Some(permit) = permit else {
            self.pool.record_write(call, outcome(&connection.client));
            return;
        };
        if *self.discard.get_mut() || connection.client.ended().is_some() {
            self.pool.holders.remove(self.holder);
            self.pool.record_write(call, outcome(&connection.client));
            connection.client.close();
            self.pool.lost(permit);
        } else if is_clean(&connection) {
            connection.client.rejoin();
            self.pool.holders.remove(self.holder);
            let time = now();
            self.pool.record_write_at(call, Outcome::Answered, time);
            self.pool.release(permit, connection, time);
        } else {
            let pool = Arc::clone(&self.pool);
            let held = Some((Place::new(Some(permit)), connection));
            // From here on a drop discards: when the task can't run, is aborted, or is too late.
            let checkout = Self {
                pool,
                held,
                holder: self.holder,
                doubtful: false,
                asking: self.asking,
                call: Mutex::new(call),
                discard: AtomicBool::new(true),
            };
            self.pool.tasks.spawn(async move {
                let cleaned = Deadline::after(CLEANUP).run(checkout.clean()).await;
                match cleaned {
                    Ok(true) => checkout.put_back(),
                    Ok(false) => {}
                    Err(_elapsed) => checkout.blame(Fault::Silent),
                }
            });
        }
    }
}
