//! What became of a COMMIT that was not answered.
//!
//! A transaction's number is received before COMMIT is sent, and the server can be asked about it
//! afterwards. Its word counts only on the same timeline of the same server: elsewhere the number
//! may be another transaction's. It is the same after a crash: numbers that did not reach the disk
//! are given anew, so a "committed" may then be somebody else's. A key that the transaction wrote
//! has no such limits.

use std::sync::atomic::Ordering;
use std::time::Duration;

use aquifer_wire::{Sharing, SqlState};

use super::idempotency;
use super::root::Root;
use crate::deadline::Deadline;
use crate::error::{Lineage, UnknownCommit};
use crate::execute::Engine;
use crate::pool::{Checkout, Destination};
use crate::{Error, ErrorKind};

const STATUS: &str = "select pg_catalog.pg_xact_status($1::text::xid8)";

/// Pauses between questions about a transaction that is still in progress.
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolved {
    /// It took effect.
    Committed,
    /// It did not take effect, and never will.
    RolledBack,
    /// The server still works on it; ask later.
    InProgress,
    /// It can't be found out, for this reason.
    Unresolvable(&'static str),
}

/// What is known about it before the connection is given up.
pub(super) fn unknown_of(root: &Root, checkout: &Checkout) -> UnknownCommit {
    UnknownCommit {
        xid: root.xid(),
        lineage: checkout.lineage(),
        key: root.key.clone(),
        claimed: root.claimed.load(Ordering::Relaxed),
    }
}

/// Asks until the answer is final or the deadline passes.
pub(crate) async fn resolve(
    engine: &Engine,
    unknown: &UnknownCommit,
    deadline: Deadline,
) -> Result<Resolved, Error> {
    if unknown.xid.is_none() && unknown.key.is_none() {
        return Ok(Resolved::Unresolvable(
            "the transaction has neither a number, since nothing in it was known to write, nor a key",
        ));
    }
    let mut pause = PAUSE_MIN;
    let mut last = Ok(Resolved::InProgress);
    loop {
        match deadline.run(ask(engine, unknown, deadline)).await {
            Ok(Ok(Resolved::InProgress)) => last = Ok(Resolved::InProgress),
            // A server that restarts; a pool that was shut down stays so.
            Ok(Err(error)) if error.kind() != ErrorKind::Closed => last = Err(error),
            Ok(outcome) => return outcome,
            Err(_) => return last,
        }
        if deadline.left() <= pause {
            return last;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn ask(
    engine: &Engine,
    unknown: &UnknownCommit,
    deadline: Deadline,
) -> Result<Resolved, Error> {
    let location = std::panic::Location::caller();
    let checkout = engine
        .pools
        .checkout(Destination::Main, deadline, location, true)
        .await?;
    let by_number = match (unknown.xid, unknown.lineage) {
        (Some(xid), Some(before)) => by_number(&checkout, xid, before).await?,
        _ => Resolved::Unresolvable("the transaction has no number"),
    };
    match (&by_number, &unknown.key) {
        (Resolved::Unresolvable(_), Some(key)) => {
            idempotency::resolve(checkout.client(), key, unknown.claimed).await
        }
        _ => Ok(by_number),
    }
}

async fn by_number(checkout: &Checkout, xid: u64, before: Lineage) -> Result<Resolved, Error> {
    let reply = checkout
        .client()
        .query(STATUS, &(xid.to_string(),), Sharing::Own)
        .await;
    let status = match reply {
        Ok(reply) => match reply.rows().next() {
            Some(row) => Status::of(row.get(0)?),
            None => Status::Forgotten,
        },
        // The number lies in the future: it was lost in a crash before it reached the disk.
        Err(error) if error.sqlstate() == Some(&SqlState::INVALID_PARAMETER_VALUE) => {
            Status::Aborted
        }
        Err(error) => return Err(Error::from_wire(error, false)),
    };
    // After the status: where a failover comes between the two, it is seen here. And not what the
    // session knows already: behind a pooler another server may answer by now.
    Ok(match checkout.ask_lineage().await? {
        Some(now) => judge(before, now, status),
        None => Resolved::Unresolvable("the server that answers is a standby"),
    })
}

/// What a server says about a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Committed,
    Aborted,
    InProgress,
    /// So old that it is not kept any more.
    Forgotten,
}

impl Status {
    fn of(text: Option<&str>) -> Self {
        match text {
            Some("committed") => Self::Committed,
            Some("aborted") => Self::Aborted,
            Some("in progress") => Self::InProgress,
            _ => Self::Forgotten,
        }
    }
}

/// What the server's word is worth.
fn judge(before: Lineage, now: Lineage, status: Status) -> Resolved {
    if (before.system, before.timeline) != (now.system, now.timeline) {
        return Resolved::Unresolvable(
            "another server or timeline answers, where the number may be another transaction's",
        );
    }
    // Resetting the statistics by hand looks like a crash, so nothing else is concluded from one.
    let crashed = before.crash_mark.is_none() || before.crash_mark != now.crash_mark;
    match status {
        Status::Committed if crashed => Resolved::Unresolvable(
            "the server has recovered from a crash, and may have given the number anew",
        ),
        Status::Committed => Resolved::Committed,
        Status::InProgress => Resolved::InProgress,
        Status::Aborted => Resolved::RolledBack,
        Status::Forgotten => {
            Resolved::Unresolvable("the server does not keep a number that old any more")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Lineage = Lineage {
        system: 1,
        timeline: 1,
        crash_mark: Some(1),
    };

    #[test]
    fn on_the_same_lineage_the_servers_word_counts() {
        for (status, resolved) in [
            (Status::Committed, Resolved::Committed),
            (Status::Aborted, Resolved::RolledBack),
            (Status::InProgress, Resolved::InProgress),
        ] {
            assert_eq!(judge(HERE, HERE, status), resolved);
        }
        let forgotten = judge(HERE, HERE, Status::Forgotten);
        assert!(matches!(forgotten, Resolved::Unresolvable(_)));
    }

    #[test]
    fn after_a_crash_a_number_may_be_anothers_so_only_its_absence_counts() {
        let crashed = Lineage {
            crash_mark: Some(2),
            ..HERE
        };
        let committed = judge(HERE, crashed, Status::Committed);
        assert!(matches!(committed, Resolved::Unresolvable(_)));
        let aborted = judge(HERE, crashed, Status::Aborted);
        assert_eq!(aborted, Resolved::RolledBack);
        let running = judge(HERE, crashed, Status::InProgress);
        assert_eq!(running, Resolved::InProgress);
        let unmarked = Lineage {
            crash_mark: None,
            ..HERE
        };
        let committed = judge(unmarked, unmarked, Status::Committed);
        assert!(matches!(committed, Resolved::Unresolvable(_)));
    }

    #[test]
    fn elsewhere_a_number_says_nothing() {
        for elsewhere in [
            Lineage { system: 2, ..HERE },
            Lineage {
                timeline: 2,
                ..HERE
            },
        ] {
            for status in [Status::Committed, Status::Aborted, Status::InProgress] {
                let resolved = judge(HERE, elsewhere, status);
                assert!(matches!(resolved, Resolved::Unresolvable(_)));
            }
        }
    }
}
