//! BEGIN, which rides with the first thing that a transaction does.
//!
//! Until then nothing is sent, and a transaction that ends before costs no round trip. Whoever sends
//! BEGIN holds [`Root::opening`] until the server has confirmed it, so that nothing can run behind
//! a BEGIN that failed, where it would take effect on its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aquifer_wire::{Client, Reply, Sharing, TransactionStatus};

use super::Transaction;
use super::root::Root;
use crate::Error;
use crate::deadline::Deadline;
use crate::execute::{Attempts, announce, may_help_transaction, may_write};
use crate::pool::{Checkout, XID};
use crate::settings::Settings;
use crate::statement::Prepared;

/// What a transaction does first.
#[derive(Clone, Copy)]
pub(super) enum First<'a> {
    Statements(&'a [Prepared<'a>]),
    /// A savepoint, as a text of the simple protocol; notes that it was sent.
    Savepoint {
        text: &'a str,
        sent: &'a AtomicBool,
    },
    /// What can't travel with BEGIN.
    Apart,
}

/// Begins the transaction on the server, unless it has begun; with the answers to what was sent
/// along, or `None` when that is still to be sent.
///
/// A connection that ended unnoticed is replaced: nothing has been done on it, or the server has
/// rolled it back.
///
/// Cancellation: the next one to come finds out by the connection's turn whether BEGIN was sent.
pub(super) async fn open(
    transaction: &Transaction,
    first: First<'_>,
    deadline: Deadline,
) -> Result<Option<Vec<Reply>>, Error> {
    let root = &transaction.0.root;
    let _only_one = root.opening.lock().await;
    let mut attempts = Attempts::first(root.engine.attempts_max);
    loop {
        if root.is_begun() {
            return Ok(None);
        }
        let checkout = transaction.0.link.active()?;
        let client = checkout.client();
        if root.is_sent(client) {
            settle(root, client).await;
            continue;
        }
        if !root.options.is_read_only() {
            // A connection that ended meanwhile is met by what comes next.
            drop(checkout.learn_lineage().await);
        }
        let error = match send(root, &checkout, first).await {
            Ok(replies) => {
                root.set_begun();
                return Ok(replies);
            }
            Err(error) => error,
        };
        let ended = client.ended().is_some();
        if ended
            && may_help_transaction(false, &error)
            && attempts.allow_another(&error)
            && root.engine.can_afford_another()
        {
            attempts.next();
            let (pools, destination) = (&root.engine.pools, root.destination);
            let location = transaction.0.location;
            checkout.make_room();
            let other = pools.checkout(destination, deadline, location, true);
            match other.await {
                Ok(other) => {
                    root.engine.note_answer(other.host());
                    replace(transaction, &Arc::new(other));
                    continue;
                }
                Err(error) => {
                    // Something was asked for and not done, so it must not be committed.
                    root.set_begun();
                    return Err(error);
                }
            }
        }
        let refused = error.kind() == aquifer_wire::Kind::Database && !ended;
        if refused && client.status() == TransactionStatus::Idle {
            return Err(not_begun(transaction, error));
        }
        if refused || ended {
            root.set_begun();
        }
        return Err(transaction.note(Error::from_wire(error, false)));
    }
}

/// Sends BEGIN with what goes along; without, when that can't go along.
async fn send(
    root: &Root,
    checkout: &Checkout,
    first: First<'_>,
) -> Result<Option<Vec<Reply>>, aquifer_wire::Error> {
    let client = checkout.client();
    let settings = root.engine.settings.as_ref().map(Settings::statement);
    if let Some((sql, _)) = settings {
        // What is to travel with BEGIN must have been described.
        client.statement(sql, Sharing::Own).await?;
    }
    if let First::Statements(statements) = first
        && let Some(replies) = send_along(root, checkout, settings, statements).await?
    {
        return Ok(Some(replies));
    }
    let Some(settings) = settings else {
        let (text, along) = match first {
            First::Savepoint { text, sent } => {
                sent.store(true, Ordering::Release);
                (format!("{}; {text}", root.begin), true)
            }
            First::Statements(_) | First::Apart => (root.begin.to_string(), false),
        };
        client.control(&text).await?;
        return Ok(along.then(Vec::new));
    };
    // Under one Sync with BEGIN, so that there is never a transaction without its settings.
    match client.open(&root.begin, &[settings]).await? {
        Some(_) => Ok(None),
        None => Box::pin(send(root, checkout, First::Apart)).await,
    }
}

async fn send_along(
    root: &Root,
    checkout: &Checkout,
    settings: Option<Prepared<'_>>,
    statements: &[Prepared<'_>],
) -> Result<Option<Vec<Reply>>, aquifer_wire::Error> {
    let client = checkout.client();
    let mut writes = false;
    for (sql, _) in statements {
        let Some(statement) = client.described(sql) else {
            return Ok(None);
        };
        announce(&statement, checkout);
        writes |= may_write(&statement);
    }
    let asks = writes && root.asks_for_xid(checkout);
    if settings.is_none() && !asks {
        return client.open(&root.begin, statements).await;
    }
    let mut all: Vec<Prepared<'_>> = settings.iter().chain(statements).copied().collect();
    all.extend(asks.then_some((XID, &() as _)));
    let question = asks.then(|| root.question());
    let mut replies = client.open(&root.begin, &all).await?;
    if let Some(question) = question {
        question.end(replies.as_mut());
    }
    if let Some(replies) = &mut replies {
        replies.drain(..usize::from(settings.is_some()));
    }
    Ok(replies)
}

/// Somebody who went away has sent BEGIN: finds out how that ended.
async fn settle(root: &Root, client: &Client) {
    let answered = client.barrier().await.is_ok();
    if answered && client.status() == TransactionStatus::Idle {
        root.start_over(client);
    } else {
        // On a connection that has ended, whatever comes next meets that.
        root.set_begun();
    }
}

/// Whether there is a transaction on the server to be ended. Waits for whoever begins it now.
pub(super) async fn is_open(root: &Root, checkout: &Checkout) -> bool {
    if root.is_begun() {
        return true;
    }
    let _only_one = root.opening.lock().await;
    if !root.is_begun() && root.is_sent(checkout.client()) {
        settle(root, checkout.client()).await;
    }
    root.is_begun()
}

fn replace(transaction: &Transaction, checkout: &Arc<Checkout>) {
    transaction.0.root.start_over(checkout.client());
    let mut next = Some(transaction);
    while let Some(transaction) = next {
        transaction.0.link.replace(checkout);
        next = transaction.0.parent.as_ref();
    }
}

/// The server refused BEGIN, so that nothing was run; the transaction is over.
fn not_begun(transaction: &Transaction, error: aquifer_wire::Error) -> Error {
    let mut next = Some(transaction);
    while let Some(transaction) = next {
        let ended = transaction.0.link.take("refused at its beginning");
        next = transaction.0.parent.as_ref();
        if ended.is_some() && next.is_none() {
            transaction.0.finished(Some(false));
        }
    }
    let text = format!("the server refused to begin the transaction: {error}");
    transaction.note(Error::from_wire(error, false).with_message(text))
}
