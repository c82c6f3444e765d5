//! Where a statement belongs: on a shared lane, or on an exclusive connection.

use aquifer_core::scan::{self, Class, Scan};
use aquifer_wire::{Client, Sharing, Statement};

use crate::pool::Checkout;
use crate::{Error, ErrorKind};

/// Of the functions named, those that the catalog knows as volatile or does not know.
const VOLATILE: &str = "\
    select called.name from unnest($1::text[]) as called (name) \
    where not exists (select from pg_catalog.pg_proc where proname = called.name) \
       or exists (select from pg_catalog.pg_proc where proname = called.name and provolatile = 'v')";

/// Where a statement is run; kept with its description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// It only reads, and calls nothing volatile: many callers' share one Sync.
    Shared,
    /// It may write.
    Exclusive,
    /// It changes the session, which is reset afterwards.
    Session,
    /// It changes settings until its transaction ends, and with them what names mean.
    Settings,
    /// It reads, and nobody has asked the catalog yet about the functions that it calls.
    Undecided,
}

impl Route {
    /// Where the statement belongs; `None` while nobody has decided.
    pub(super) fn of(statement: &Statement) -> Option<Self> {
        Self::noted(statement).filter(|route| *route != Self::Undecided)
    }

    fn noted(statement: &Statement) -> Option<Self> {
        match statement.note() {
            1 => Some(Self::Shared),
            2 => Some(Self::Exclusive),
            3 => Some(Self::Session),
            4 => Some(Self::Settings),
            5 => Some(Self::Undecided),
            _ => None,
        }
    }

    pub(super) fn keep(self, statement: &Statement) {
        statement.set_note(match self {
            Self::Shared => 1,
            Self::Exclusive => 2,
            Self::Session => 3,
            Self::Settings => 4,
            Self::Undecided => 5,
        });
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

    /// Tells the checkout what the statement is going to do to its session.
    pub(super) fn announce(self, checkout: &Checkout) {
        match self {
            Self::Session => checkout.mark_dirty(),
            Self::Settings => checkout.keep_apart(),
            Self::Shared | Self::Exclusive | Self::Undecided => {}
        }
    }
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

const COPY: &str = "COPY can't run as a query; insert rows with UNNEST of array parameters";

/// Refuses COPY, which would change the protocol and end the connection.
pub(crate) fn refuse_copy(sql: &str) -> Result<(), Error> {
    if scan::copies(sql) {
        return Err(Error::new(ErrorKind::Usage, COPY));
    }
    Ok(())
}

/// Refuses what can't run as a single autocommit statement.
pub(super) fn check(sql: &str) -> Result<Scan<'_>, Error> {
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
        Route::Exclusive
    })
}
