//! What the server would do for a statement, without anything of it remaining.

use std::panic::Location;

use aquifer_wire::Reply;
use aquifer_wire::types::Params;

use super::attached::Attached;
use super::builder::{Place, QueryBuilder};
use super::change::Change;
use super::explain::Explained;
use super::insert::Insertion;
use super::lint::Lint;
use super::plan::Plan;
use crate::bulk::{Need, Seat};
use crate::dedicated::Dedicated;
use crate::execute::Told;
use crate::session::SessionFuture;
use crate::statement::{Call, SqlText};
use crate::{Error, clock};

/// As if reading whole tables and sorting were very dear, and without knowing the parameters: so the
/// plan says what indexes there are, not how full the tables happen to be. Read-only, since the planner
/// evaluates functions that are declared immutable or stable, and one that moves a sequence would have
/// moved it for good.
const STRUCTURE: &str = "\
    select set_config('transaction_read_only', 'on', true), \
           set_config('plan_cache_mode', 'force_generic_plan', true), \
           set_config('enable_seqscan', 'off', true), \
           set_config('enable_sort', 'off', true)";

/// Whether the statement is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It is planned and no more.
    Ahead,
    /// It is run, and taken back.
    Back,
}

impl<'a> Attached<'a> {
    pub(crate) fn explain(
        self,
        plan: Result<Plan, Error>,
        look: Look,
        location: Place,
    ) -> SessionFuture<'a, Explained> {
        Box::pin(async move {
            let plan = plan?;
            let reply = match look {
                Look::Ahead => {
                    let sql = format!("explain (format json) {}", plan.sql());
                    let call = Call::built(&sql, plan.params(), location);
                    self.call(call).await?
                }
                Look::Back => {
                    let sql = format!("explain (analyze, buffers, format json) {}", plan.sql());
                    let seat = self.seat_to_undo(location).await?;
                    one(&seat, &sql, plan.params(), location).await?
                }
            };
            Explained::of(&reply)
        })
    }

    /// The statement itself, once the server has planned it.
    pub(crate) fn dry_run(
        self,
        plan: Result<Plan, Error>,
        location: Place,
    ) -> SessionFuture<'a, Plan> {
        Box::pin(async move {
            let plan = plan?;
            let sql = format!("explain (format json) {}", plan.sql());
            let call = Call::built(&sql, plan.params(), location);
            self.call(call).await?;
            Ok(plan)
        })
    }

    /// What is allowed and seldom meant, as far as statement and server tell.
    pub(crate) fn lints(
        self,
        plan: Result<Plan, Error>,
        location: Place,
    ) -> SessionFuture<'a, Vec<Lint>> {
        Box::pin(async move {
            let plan = plan?;
            let explained = self
                .generic(plan.sql(), plan.parameters(), location)
                .await?;
            let mut lints = explained.lints();
            let is_cartesian = |lint: &Lint| matches!(lint, Lint::CartesianJoin { .. });
            // The server may join in a way in which it does not show.
            if !lints.iter().any(is_cartesian) {
                lints.extend(plan.lints().into_iter().filter(is_cartesian));
            }
            Ok(lints)
        })
    }

    /// The plan that the server makes without knowing the parameters.
    async fn generic(
        self,
        sql: &str,
        parameters: usize,
        location: Place,
    ) -> Result<Explained, Error> {
        let seat = self.seat_to_undo(location).await?;
        one(&seat, STRUCTURE, &(), location).await?;
        // Prepared statements survive a rollback; where this one is left behind, the session is reset.
        seat.connection()?.0.mark_dirty();
        let name = format!("aquifer_plan_{:x}", clock::random());
        one(&seat, &format!("prepare {name} as {sql}"), &(), location).await?;
        let nulls = vec!["null"; parameters].join(", ");
        let arguments = if parameters == 0 {
            String::new()
        } else {
            format!(" ({nulls})")
        };
        let explain = format!("explain (verbose, format json) execute {name}{arguments}");
        let reply = one(&seat, &explain, &(), location).await?;
        one(&seat, &format!("deallocate {name}"), &(), location).await?;
        Explained::of(&reply)
    }

    /// A transaction or savepoint that nobody ends, so that it is rolled back when it is dropped.
    async fn seat_to_undo(self, location: Place) -> Result<Seat, Error> {
        let need = match self.check_write() {
            Ok(()) => Need::AllOrNone,
            Err(_) => Need::Transaction { read_only: true },
        };
        self.seat(need, location).await
    }
}

/// Runs one statement, of which nothing remains in any case.
async fn one(
    seat: &Seat,
    sql: &str,
    params: &(dyn Params + Sync),
    location: Place,
) -> Result<Reply, Error> {
    let (checkout, sharing) = seat.connection()?;
    // Boxed: it holds the way of a new statement, and would be most of this future.
    let request = Box::pin(checkout.client().query(sql, params, sharing));
    let call = Box::pin(seat.run(sql, false, request));
    let told = Told::in_transaction(sql, location);
    seat.engine().observed(told, call).await
}

impl Dedicated {
    /// The plan that the server makes for SQL text without knowing its parameters, as if reading whole
    /// tables and sorting were very dear: what [`Explained::lints`] is best asked of.
    ///
    /// Nothing is run, but for functions that are declared immutable or stable, which the planner may
    /// evaluate: read-only, and rolled back. The text is one that can be planned: SELECT, VALUES,
    /// INSERT, UPDATE, DELETE, MERGE; of another the server says that its syntax is wrong.
    ///
    /// # Errors
    /// As described at [`Session`](crate::Session).
    ///
    /// # Cancel safety
    /// Nothing is lost.
    #[track_caller]
    pub fn generic_plan(&self, sql: impl SqlText) -> SessionFuture<'_, Explained> {
        let (sql, location) = (sql.into_sql(), Location::caller());
        Box::pin(async move {
            let described = self.description_of(sql.text(), location).await?;
            let parameters = described.parameters().len();
            let plan = Attached::to(self).generic(sql.text(), parameters, location);
            plan.await
        })
    }
}

impl<'a> QueryBuilder<Attached<'a>> {
    /// What the server would do, as data; nothing is run.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn explain(self) -> SessionFuture<'a, Explained> {
        let (session, location) = (self.session, Location::caller());
        session.explain(self.draft.into_plan(), Look::Ahead, location)
    }

    /// What the server did and how long it took, as data; the query is run in a transaction or
    /// savepoint that is rolled back.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn explain_analyze(self) -> SessionFuture<'a, Explained> {
        let (session, location) = (self.session, Location::caller());
        session.explain(self.draft.into_plan(), Look::Back, location)
    }

    /// The statement, once the server has parsed and planned it without running it: names, types and
    /// rights are good then.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn dry_run(self) -> SessionFuture<'a, Plan> {
        let (session, location) = (self.session, Location::caller());
        session.dry_run(self.draft.into_plan(), location)
    }

    /// What is allowed and seldom meant, asked of the server, which plans the statement without its
    /// values; nothing is run. The same lints for all statements of a service: `aquifer check`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// for lint in db.from("posts").order_by("views", "desc").limit(10).lints().await? {
    ///     println!("{}: {lint}", lint.name());
    /// }
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn lints(self) -> SessionFuture<'a, Vec<Lint>> {
        let (session, location) = (self.session, Location::caller());
        session.lints(self.draft.into_plan(), location)
    }
}

macro_rules! previews {
    ($($statement:ty: [$($generic:tt)*] $verb:literal),+) => {$(
        impl<$($generic)*> $statement {
            #[doc = concat!("What the server would do for the ", $verb, ", as data; nothing is changed.")]
            ///
            /// # Errors
            /// As the statement itself.
            ///
            /// # Cancel safety
            /// Nothing is changed.
            pub fn explain(self) -> SessionFuture<'a, Explained> {
                let (session, location) = (self.session, self.location);
                session.explain(self.build(), Look::Ahead, location)
            }

            #[doc = concat!("What the server did for the ", $verb, " and how long it took, as data.")]
            ///
            /// It is run in a transaction or savepoint that is rolled back: locks are taken, triggers
            /// run, sequences move on, and no row stays changed.
            ///
            /// # Errors
            /// As the statement itself.
            ///
            /// # Cancel safety
            /// It is rolled back.
            pub fn explain_analyze(self) -> SessionFuture<'a, Explained> {
                let (session, location) = (self.session, self.location);
                session.explain(self.build(), Look::Back, location)
            }

            /// The statement, once the server has parsed and planned it without running it: names,
            /// types and rights are good then.
            ///
            /// # Errors
            /// As the statement itself.
            ///
            /// # Cancel safety
            /// Nothing is changed.
            pub fn dry_run(self) -> SessionFuture<'a, Plan> {
                let (session, location) = (self.session, self.location);
                session.dry_run(self.build(), location)
            }

            /// As [`QueryBuilder::lints`].
            ///
            /// # Errors
            /// As the statement itself.
            ///
            /// # Cancel safety
            /// Nothing is changed.
            pub fn lints(self) -> SessionFuture<'a, Vec<Lint>> {
                let (session, location) = (self.session, self.location);
                session.lints(self.build(), location)
            }
        }
    )+};
}

previews!(
    Change<'a>: ['a] "change",
    Insertion<'a, Many>: ['a, Many] "insert"
);
