//! Which host an attempt is made on, and what a failure there means for the next one.

use std::panic::Location;

use aquifer_core::retry::Intent;
use aquifer_core::scan::{self, Class};
use aquifer_wire::{Error as WireError, SqlState};

use super::again::is_wrong_role;
use super::route::Route;
use super::told::Queue;
use super::{Engine, Failed, refused};
use crate::deadline::Deadline;
use crate::pool::{Checkout, Chosen, Destination};
use crate::{Error, ErrorKind, Retry};

/// What one attempt is told.
///
/// A connection that ended rarely ends alone, and its neighbours' end may not have been noticed
/// yet: an attempt that is made `again` takes only connections that still answer.
#[derive(Clone, Copy)]
pub(super) struct Lap<'a> {
    pub(super) deadline: Deadline,
    pub(super) again: bool,
    destination: Destination,
    pub(super) queue: &'a Queue,
}

impl<'a> Lap<'a> {
    pub(super) fn first(engine: &Engine, deadline: Deadline, queue: &'a Queue) -> Self {
        Self {
            deadline,
            again: false,
            destination: engine.destination,
            queue,
        }
    }

    /// Whether another host is to be tried without further ado, since this one did nothing: its pool
    /// was closed, or it is a replica, which can't do what was asked.
    pub(super) fn goes_elsewhere(&mut self, failed: &Failed) -> bool {
        if failed.has_moved {
            return true;
        }
        let asked_replica = matches!(self.destination, Destination::Replica { .. });
        if asked_replica && failed.error.wire().is_some_and(is_beyond_replicas) {
            self.destination = Destination::Main;
            return true;
        }
        false
    }

    /// Prepares for another attempt after this failure.
    pub(super) async fn follows(&mut self, engine: &Engine, failed: &Failed) {
        self.again = true;
        if let Destination::Replica { avoid, .. } = &mut self.destination {
            *avoid = failed.host;
        }
        if failed.error.wire().is_some_and(is_wrong_role) {
            // Boxed: it is rare.
            Box::pin(engine.pools.topology().confirm(self.deadline)).await;
        }
    }
}

/// What a server in recovery refuses although a primary might do it.
fn is_beyond_replicas(error: &WireError) -> bool {
    let stale = error
        .database()
        .is_some_and(|said| said.routine() == Some("RevalidateCachedQuery"));
    is_wrong_role(error)
        || error.sqlstate() == Some(&SqlState::FEATURE_NOT_SUPPORTED) && !stale
        || error.sqlstate() == Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE)
}

impl Failed {
    /// Says where it happened.
    pub(super) fn on(mut self, engine: &Engine, pool: &Chosen<'_>) -> Self {
        self.host = pool.host();
        self.has_moved = engine.pools.has_moved(pool, &self.error);
        self
    }
}

/// Says where an attempt was made, whatever came of it.
pub(super) fn ended<T>(
    engine: &Engine,
    pool: &Chosen<'_>,
    outcome: Result<T, Failed>,
) -> Result<T, Failed> {
    if outcome.is_ok() {
        engine.note_answer(pool.name());
    }
    outcome.map_err(|failed| failed.on(engine, pool))
}

/// The pool for one attempt at a statement; waits for one.
pub(super) async fn choose<'a>(
    engine: &'a Engine,
    lap: Lap<'_>,
    sql: &str,
) -> Result<Chosen<'a>, Failed> {
    choose_for_all(engine, lap, &[sql]).await
}

/// The pool for one attempt at several statements; waits for one.
pub(super) async fn choose_for_all<'a>(
    engine: &'a Engine,
    lap: Lap<'_>,
    texts: &[&str],
) -> Result<Chosen<'a>, Failed> {
    let mut destination = lap.destination;
    if destination != Destination::Main {
        for sql in texts {
            if !may_run_on_replica(engine, sql).map_err(|error| refused(error, Intent::Read))? {
                destination = Destination::Main;
            }
        }
    }
    let chosen = engine.pools.choose(destination, lap.deadline).await;
    chosen.map_err(|error| refused(error, Intent::Write))
}

/// Whether a statement is one for a replica; one that is known to write is refused, since whoever
/// asked for reads did not mean it.
fn may_run_on_replica(engine: &Engine, sql: &str) -> Result<bool, Error> {
    let known = engine.pools.catalog().statement(sql);
    let route = known.and_then(|statement| Route::of(&statement));
    if matches!(route, Some(Route::Shared | Route::Volatile)) {
        return Ok(true);
    }
    let scan = scan::scan(sql);
    if scan.class <= Class::Read && !scan.changes_session {
        // What turned out to write has its place.
        return Ok(route != Some(Route::Exclusive));
    }
    if scan::asks(sql) {
        // It locks rows, or writes inside WITH.
        return Ok(false);
    }
    Err(writes("this statement writes"))
}

fn writes(what: &str) -> Error {
    let text = format!(
        "{what}, and this handle is for reads (`Db::read`); use the handle that it was made from"
    );
    Error::new(ErrorKind::Usage, text)
}

impl Engine {
    /// The pool for a call's first attempt, where there is nothing to decide or wait for.
    pub(super) fn present(&self, sql: &str) -> Option<Chosen<'_>> {
        match self.destination {
            Destination::Main => self.pools.present(),
            Destination::Replica { at_least, avoid } => {
                let known = self.pools.catalog().statement(sql)?;
                let reads = matches!(Route::of(&known), Some(Route::Shared | Route::Volatile));
                reads.then(|| self.pools.replica(at_least, avoid)).flatten()
            }
        }
    }

    /// A connection to the host that this handle's calls go to.
    ///
    /// Cancellation: it goes back.
    pub(crate) async fn checkout(
        &self,
        deadline: Deadline,
        location: &'static Location<'static>,
        answering: bool,
    ) -> Result<Checkout, Error> {
        let pools = &self.pools;
        let checkout = pools.checkout(self.destination, deadline, location, answering);
        let checkout = checkout.await?;
        self.note_answer(checkout.host());
        Ok(checkout)
    }

    /// Refuses what may write on a handle for reads.
    pub(crate) fn refuse_on_replica(&self, what: &str) -> Result<(), Error> {
        match self.destination {
            Destination::Main => Ok(()),
            Destination::Replica { .. } => Err(writes(&format!("{what} may write"))),
        }
    }

    /// Refuses a write that is not worth trying, since the primary's disk is full.
    pub(super) fn check_write(&self) -> Result<(), Failed> {
        let topology = self.pools.topology();
        if !topology.guards_writes() || topology.may_write() {
            return Ok(());
        }
        let text = "the database takes no writes at present, since its disk is full (53100). Make \
                    room there; now and then a write is let through to see, and writes go on by \
                    themselves then";
        let error = Error::new(ErrorKind::ReadOnly, text).with_retry(Retry::Safe);
        Err(refused(error, Intent::Write))
    }

    /// Notes how a write ended, where that says something about the disk.
    pub(crate) fn note_write<T>(&self, outcome: &Result<T, WireError>) {
        let topology = self.pools.topology();
        match outcome {
            Ok(_) if topology.guards_writes() => topology.wrote(),
            Ok(_) => {}
            Err(error) if error.sqlstate() == Some(&SqlState::DISK_FULL) => topology.disk_full(),
            Err(_) => {}
        }
    }
}
