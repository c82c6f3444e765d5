use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aquifer_core::slots::Permit;
use aquifer_wire::{Client, TransactionStatus};

use super::{Connection, Inner};
use crate::deadline::Deadline;

/// How long a connection may take to be put in order before it is closed instead.
const CLEANUP: Duration = Duration::from_secs(2);

/// Everything that a session may have changed, back to its start. Prepared statements go too: among
/// ours there may be some that SQL made.
const RESET: &str = "close all; set session authorization default; reset role; reset all; \
    deallocate all; unlisten *; select pg_advisory_unlock_all(); discard temp; discard sequences";

/// An exclusive connection until it is dropped.
///
/// Dropping never waits: a connection in good order goes back at once, any other is put in order by
/// a task within 2 s or closed. The permit is held no longer than that.
#[derive(Debug)]
pub(crate) struct Checkout {
    pool: Arc<Inner>,
    pub(super) held: Option<(Permit, Connection)>,
    holder: u64,
    /// Close instead of putting back.
    pub(super) discard: AtomicBool,
}

impl Checkout {
    pub(super) fn new(
        pool: &Arc<Inner>,
        permit: Permit,
        connection: Connection,
        location: &'static Location<'static>,
    ) -> Self {
        let holder = pool.holders.add(&connection.client, location);
        Self {
            pool: Arc::clone(pool),
            held: Some((permit, connection)),
            holder,
            discard: AtomicBool::new(false),
        }
    }

    /// It was handed over to whoever waited for it there.
    pub(super) fn set_location(&mut self, location: &'static Location<'static>) {
        self.pool.holders.set_location(self.holder, location);
    }

    /// The connection and its permit, which the caller now answers for.
    pub(super) fn dissolve(mut self) -> Option<(Permit, Connection)> {
        self.pool.holders.remove(self.holder);
        self.held.take()
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
        if client.in_flight() > 0 && client.cancel().await.is_err() {
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

fn is_clean(connection: &Connection) -> bool {
    let client = &connection.client;
    !connection.dirty.load(Ordering::Acquire)
        && client.in_flight() == 0
        && client.status() == TransactionStatus::Idle
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let Some((permit, connection)) = self.held.take() else {
            return;
        };
        if *self.discard.get_mut() || connection.client.ended().is_some() {
            self.pool.holders.remove(self.holder);
            connection.client.close();
            self.pool.lost(permit);
        } else if is_clean(&connection) {
            connection.client.rejoin();
            self.pool.holders.remove(self.holder);
            self.pool.release(permit, connection);
        } else {
            let pool = Arc::clone(&self.pool);
            let held = Some((permit, connection));
            // From here on a drop discards: when the task can't run, is aborted, or is too late.
            let checkout = Self {
                pool,
                held,
                holder: self.holder,
                discard: AtomicBool::new(true),
            };
            self.pool.tasks.spawn(async move {
                let cleaned = Deadline::after(CLEANUP).run(checkout.clean()).await;
                if matches!(cleaned, Ok(true)) {
                    checkout.put_back();
                }
            });
        }
    }
}
