use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use aquifer_wire::{Client, Reply};

use super::{Terms, TransactionOptions};
use crate::execute::{Changes, Engine};
use crate::pool::{Checkout, Destination};

/// What a transaction shares with its savepoints.
pub(super) struct Root {
    pub(super) engine: Arc<Engine>,
    /// Of the transaction as a whole.
    pub(super) options: TransactionOptions,
    /// The host that it is done on.
    pub(super) destination: Destination,
    /// A write was refused by a host that was taken for the primary.
    pub(super) met_standby: AtomicBool,
    pub(super) key: Option<Arc<str>>,
    pub(super) begin: Cow<'static, str>,
    /// Held by whoever sends BEGIN, until the server has confirmed it.
    pub(super) opening: tokio::sync::Mutex<()>,
    /// The connection's turn before BEGIN was sent: a later one tells that it was.
    turn_before: AtomicU64,
    /// The server has confirmed BEGIN.
    begun: AtomicBool,
    /// The transaction's number; 0 while it is not known to have one.
    xid: AtomicU64,
    /// Something that may have written was sent, and the number did not ride with it.
    unasked: AtomicBool,
    /// The key's row was written.
    pub(super) claimed: AtomicBool,
    /// COMMIT was sent, and it is not known that it was refused.
    pub(super) may_be_committed: AtomicBool,
    /// What its statements change, those of savepoints that were taken back too.
    pub(super) changes: Changes,
}

impl Root {
    pub(super) fn new(
        engine: &Arc<Engine>,
        terms: &Terms,
        destination: Destination,
        client: &Client,
    ) -> Self {
        Self {
            engine: Arc::clone(engine),
            options: terms.options,
            destination,
            met_standby: AtomicBool::new(false),
            key: terms.key.clone(),
            begin: terms.options.begin(),
            opening: tokio::sync::Mutex::default(),
            turn_before: AtomicU64::new(client.turn()),
            begun: AtomicBool::new(false),
            xid: AtomicU64::new(0),
            unasked: AtomicBool::new(false),
            claimed: AtomicBool::new(false),
            may_be_committed: AtomicBool::new(false),
            changes: Changes::default(),
        }
    }

    /// Whether the server has confirmed BEGIN.
    pub(super) fn is_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    pub(super) fn set_begun(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// Whether BEGIN was sent, answered or not.
    pub(super) fn is_sent(&self, client: &Client) -> bool {
        self.is_begun() || client.turn() != self.turn_before.load(Ordering::Acquire)
    }

    /// Nothing of the transaction is on this connection.
    pub(super) fn start_over(&self, client: &Client) {
        self.turn_before.store(client.turn(), Ordering::Release);
    }

    /// Whether to ask for the transaction's number behind a statement that may have written.
    pub(super) fn asks_for_xid(&self, checkout: &Checkout) -> bool {
        !self.options.is_read_only()
            && self.xid.load(Ordering::Relaxed) == 0
            && checkout.lineage().is_some()
    }

    /// Takes the number out of the answers, of which it is the last one.
    pub(super) fn take_xid(&self, replies: &mut Vec<Reply>) {
        let number = replies.pop().and_then(|reply| {
            let row = reply.rows().next()?;
            let text: Option<String> = row.get(0).ok()?;
            text?.parse().ok()
        });
        if let Some(number) = number {
            self.xid.store(number, Ordering::Relaxed);
        }
    }

    /// About to ask for the number.
    pub(super) fn question(&self) -> Question<'_> {
        let (root, ended) = (self, false);
        Question { root, ended }
    }

    /// The transaction's number, if it is known to have written something.
    pub(super) fn xid(&self) -> Option<u64> {
        let xid = self.xid.load(Ordering::Relaxed);
        (xid != 0).then_some(xid)
    }

    /// Something was sent that may have written, and the number could not ride with it.
    pub(super) fn set_unasked(&self) {
        self.unasked.store(true, Ordering::Relaxed);
    }

    /// Whether it can't have written anything.
    pub(super) fn only_reads(&self) -> bool {
        self.options.is_read_only() && !self.unasked.load(Ordering::Relaxed)
    }

    /// Whether to ask for the number before COMMIT is sent.
    pub(super) fn asks_before_commit(&self, checkout: &Checkout) -> bool {
        self.unasked.load(Ordering::Relaxed) && self.asks_for_xid(checkout)
    }
}

/// A question for the transaction's number that is under way behind a write.
///
/// Dropped without its end, since the caller went away, the write may be done all the same; then the
/// number is asked for before COMMIT.
#[must_use]
pub(super) struct Question<'a> {
    root: &'a Root,
    ended: bool,
}

impl Question<'_> {
    /// Takes the number out of the answers, of which it is the last one; without answers nothing was
    /// done.
    pub(super) fn end(mut self, replies: Option<&mut Vec<Reply>>) {
        self.ended = true;
        if let Some(replies) = replies {
            self.root.take_xid(replies);
        }
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.root.set_unasked();
        }
    }
}
