//! Where a statement belongs: on a shared lane, or on an exclusive connection.

use std::sync::Arc;

use aquifer_core::pace::Pace;
use aquifer_core::scan::{self, Class, Copy, Scan};
use aquifer_wire::{Client, Sharing, Statement};

use super::Engine;
use crate::pool::{Checkout, Lane, Pool};
use crate::{Error, ErrorKind};

/// Of the functions named, those that the catalog knows as volatile or does not know.
const VOLATILE: &str = "\
    select called.name from unnest($1::text[]) as called (name) \
    where not exists (select from pg_catalog.pg_proc where proname = called.name) \
       or exists (select from pg_catalog.pg_proc where proname = called.name and provolatile = 'v')";

/// The bits of a statement's note that hold its route; the others hold its pace.
const ROUTE_BITS: u64 = 0b1111_1000;
const ROUTE_SHIFT: u32 = 3;

/// Where a statement is run; kept with its description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// It only reads, and calls nothing volatile: many callers' share one Sync.
    Shared,
    /// It may write.
    Exclusive,
    /// It reads as far as its text tells, but calls a function that the catalog calls volatile or
    /// does not know.
    Volatile,
    /// It changes the session, which is reset afterwards.
    Session,
    /// It changes settings until its transaction ends, and with them what names mean.
    Settings,
    /// It reads, and nobody has asked the catalog yet about the functions that it calls.
    Undecided,
}

/// Which connections the statements of one handle may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Reads that are known to be fast travel on lanes, all else on connections of its own.
    #[default]
    Measured,
    /// Everything gets a connection of its own.
    Exclusive,
    /// All reads travel on lanes, however slow they are and whatever functions they call.
    Shared,
}

/// Where one attempt is made.
pub(super) enum Place {
    /// Together with others on this lane.
    Lane(Arc<Statement>, Lane),
    /// As well on a lane, of which there is none: whatever is opened or given back first.
    FirstToBeHad(Arc<Statement>),
    /// On a connection of its own. A statement that was described and no more (its first caller was
    /// dropped, or ran it in a transaction) is as good as unknown: nobody has decided where it
    /// belongs.
    Alone(Option<Arc<Statement>>),
}

impl Place {
    #[inline]
    pub(super) fn of(engine: &Engine, pool: &Pool, sql: &str) -> Self {
        let Some(statement) = pool.catalog().statement(sql) else {
            return Self::Alone(None);
        };
        match Route::of(&statement) {
            None => Self::Alone(None),
            Some(route)
                if !is_known_to_share(engine, route, &statement)
                    && !route.may_share(engine, pool, &statement) =>
            {
                Self::Alone(Some(statement))
            }
            Some(_) => match pool.lane() {
                Some(lane) => Self::Lane(statement, lane),
                None => Self::FirstToBeHad(statement),
            },
        }
    }
}

impl Route {
    /// Where the statement belongs; `None` while nobody has decided.
    pub(super) fn of(statement: &Statement) -> Option<Self> {
        Self::noted(statement).filter(|route| *route != Self::Undecided)
    }

    #[inline]
    fn noted(statement: &Statement) -> Option<Self> {
        match (statement.note() & ROUTE_BITS) >> ROUTE_SHIFT {
            1 => Some(Self::Shared),
            2 => Some(Self::Exclusive),
            3 => Some(Self::Session),
            4 => Some(Self::Settings),
            5 => Some(Self::Undecided),
            6 => Some(Self::Volatile),
            _ => None,
        }
    }

    pub(super) fn keep(self, statement: &Statement) {
        let route = match self {
            Self::Shared => 1,
            Self::Exclusive => 2,
            Self::Session => 3,
            Self::Settings => 4,
            Self::Undecided => 5,
            Self::Volatile => 6,
        };
        statement.update_note(|note| Some((note & !ROUTE_BITS) | (route << ROUTE_SHIFT)));
    }

    /// Whether the statement may run on a lane, for a caller who asked for `placement`.
    ///
    /// A suspect is taken by one caller, who runs it elsewhere to find out how fast it is; where that
    /// is to be had at once, for a read that is fast as a rule must not line up behind writes.
    pub(super) fn may_share(self, engine: &Engine, pool: &Pool, statement: &Statement) -> bool {
        match (engine.placement, self) {
            (Placement::Measured, Self::Shared) => {
                Pace::unpack(statement.note()).may_share() && !take_probe(pool, statement)
            }
            (Placement::Shared, Self::Shared | Self::Volatile) => true,
            _ => false,
        }
    }

    /// As far as the text alone tells.
    fn of_text(scan: &Scan<'_>) -> Self {
        if scan.changes_session {
            Self::Session
        } else if scan.changes_settings {
            Self::Settings
        } else if scan.class != Class::Read {
            Self::Exclusive
        } else if scan.functions.is_empty() {
            Self::Shared
        } else {
            Self::Undecided
        }
    }

    /// Whether its text has to be looked at for what may commit by itself.
    pub(super) fn may_commit(self) -> bool {
        matches!(self, Self::Exclusive | Self::Session)
    }

    /// Tells the checkout what the statement is going to do to its session.
    pub(super) fn announce(self, checkout: &Checkout) {
        match self {
            Self::Session => checkout.mark_dirty(),
            Self::Settings => checkout.keep_apart(),
            Self::Shared | Self::Exclusive | Self::Volatile | Self::Undecided => {}
        }
    }
}

/// Whether a statement may share, as nearly all of a busy service may: it reads and is fast. What this
/// leaves out is decided by [`Route::may_share`].
#[inline]
fn is_known_to_share(engine: &Engine, route: Route, statement: &Statement) -> bool {
    engine.placement == Placement::Measured
        && route == Route::Shared
        && Pace::unpack(statement.note()).is_fast()
}

/// Whether this caller is the one who finds out how fast a suspect is.
fn take_probe(pool: &Pool, statement: &Statement) -> bool {
    let due = |note| Pace::unpack(note).probe().is_some();
    // Looked at first, since a look costs less than a change, and it is hardly ever due.
    due(statement.note()) && pool.is_any_idle() && change_pace(statement, Pace::probe)
}

/// Notes what was learned about the statement's pace; says whether there was anything to note.
pub(super) fn change_pace(statement: &Statement, change: impl Fn(Pace) -> Option<Pace>) -> bool {
    statement.update_note(|note| {
        let pace = Pace::unpack(note);
        let changed = change(pace).filter(|changed| *changed != pace)?;
        Some((note & ROUTE_BITS) | changed.pack())
    })
}

/// Tells the checkout what a statement of a transaction is going to do to its session; the text is
/// looked at once.
pub(crate) fn announce(statement: &Statement, checkout: &Checkout) {
    let route = Route::noted(statement).unwrap_or_else(|| {
        let route = Route::of_text(&scan::scan(statement.sql()));
        route.keep(statement);
        route
    });
    route.announce(checkout);
}

/// Whether a statement that was announced may have written, as far as is known.
///
/// A function that it calls may, unless the catalog was asked. SET does not, and must stay the first
/// of its transaction.
pub(crate) fn may_write(statement: &Statement) -> bool {
    Route::noted(statement) != Some(Route::Shared) && !scan::sets(statement.sql())
}

/// As [`announce`], for a batch or a script.
///
/// Says whether it may write, as far as is known.
pub(crate) fn announce_text(scan: &Scan<'_>, checkout: &Checkout) -> bool {
    let route = Route::of_text(scan);
    route.announce(checkout);
    route != Route::Shared
}

/// Behind a pooler, refuses what needs a session that lasts.
pub(crate) fn refuse_session_state(engine: &Engine, sql: &str) -> Result<(), Error> {
    if engine.pools.is_pooled() && scan::scan(sql).changes_session {
        return Err(no_session("this statement"));
    }
    Ok(())
}

/// Refuses what may commit by itself where settings must hold: they end with the first COMMIT, and
/// what follows would run without them, perhaps with the rights of another role.
pub(super) fn refuse_commits(engine: &Engine, scan: &Scan<'_>) -> Result<(), Error> {
    if engine.settings.is_some() && scan.commits_midway {
        return Err(Error::new(
            ErrorKind::Usage,
            "a statement that may commit by itself (CALL, DO, VACUUM and the like) can't take the \
             settings of this handle along, for they would end there; run it in a transaction of \
             this handle, or on one without settings",
        ));
    }
    Ok(())
}

/// Refuses what may commit by itself together with the claim of its key: when the rest fails, the
/// key would stay.
pub(super) fn refuse_commits_of_claim(scan: &Scan<'_>) -> Result<(), Error> {
    if scan.commits_midway {
        return Err(Error::new(
            ErrorKind::Usage,
            "a statement that may commit by itself (CALL, DO, VACUUM and the like) can't be done \
             under an idempotency key, which a failure would leave behind; run it in a transaction \
             under the key",
        ));
    }
    Ok(())
}

/// What is refused behind a pooler.
pub(crate) fn no_session(what: &str) -> Error {
    let text = format!(
        "{what} needs a session that lasts, and behind a pooler in transaction mode there is none; \
         use transaction-local settings (`SET LOCAL`, `with_settings`), or connect to the server \
         itself for it"
    );
    Error::new(ErrorKind::Usage, text)
}

const COPY: &str = "COPY can't run as a query; use `copy_in` or `copy_into`, `copy_out`, or, for a \
    file or program of the server, `execute_script`";

/// Refuses COPY, which would change the protocol and end the connection.
pub(crate) fn refuse_copy(sql: &str) -> Result<(), Error> {
    if scan::copies(sql) {
        return Err(Error::new(ErrorKind::Usage, COPY));
    }
    Ok(())
}

/// Refuses a script that begins with a COPY between client and server.
pub(crate) fn refuse_copy_in_script(sql: &str) -> Result<(), Error> {
    match scan::copy(sql) {
        Some(Copy::In | Copy::Out) => Err(Error::new(
            ErrorKind::Usage,
            "COPY from or to the client can't run in a script; use `copy_in` or `copy_into`, or \
             `copy_out`",
        )),
        _ => Ok(()),
    }
}

/// Refuses what can't run as a single autocommit statement.
pub(crate) fn check(sql: &str) -> Result<Scan<'_>, Error> {
    let scan = scan::scan(sql);
    let text = match scan.class {
        Class::TransactionControl => {
            "BEGIN, COMMIT and the like can't run on a pooled connection; use `db.begin()` or \
             `db.with_transaction(…)`"
        }
        Class::Copy => COPY,
        _ => return Ok(scan),
    };
    Err(Error::new(ErrorKind::Usage, text))
}

/// Asks the catalog about the functions that a read calls.
pub(super) async fn decide(client: &Client, scan: &Scan<'_>) -> Result<Route, aquifer_wire::Error> {
    let route = Route::of_text(scan);
    if route != Route::Undecided {
        return Ok(route);
    }
    let names: Vec<&str> = scan
        .functions
        .iter()
        .map(|function| &*function.name)
        .collect();
    let volatile = client.query(VOLATILE, &(names,), Sharing::Own).await?;
    Ok(if volatile.is_empty() {
        Route::Shared
    } else {
        Route::Volatile
    })
}
