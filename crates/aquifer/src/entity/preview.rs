//! What the server would do for typed statements, without anything of it remaining.

use std::panic::Location;

use super::{Delete, Entity, Insert, IsChosen, Query, Update};
use crate::query::{Attached, Explained, Lint, Look, Plan};
use crate::session::{Session, SessionFuture};

macro_rules! previews {
    ($($statement:ty: [$($generic:tt)*] [$($bound:tt)*] $verb:literal),+) => {$(
        impl<$($generic)*> $statement {
            /// What the server would do for it, as data; nothing is changed.
            ///
            /// # Errors
            #[doc = concat!("As [`", $verb, "`](Self::", $verb, ").")]
            ///
            /// # Cancel safety
            /// As described at [`Session`].
            #[track_caller]
            pub fn explain<'a>(self, session: &'a impl Session) -> SessionFuture<'a, Explained>
            where
                $($bound)*
            {
                let plan = self.build();
                Attached::to(session).explain(plan, Look::Ahead, Location::caller())
            }

            /// What the server did for it and how long it took, as data.
            ///
            /// It is run in a transaction or savepoint that is rolled back: locks are taken, triggers
            /// run, sequences move on, and no row stays changed.
            ///
            /// # Errors
            #[doc = concat!("As [`", $verb, "`](Self::", $verb, ").")]
            ///
            /// # Cancel safety
            /// It is rolled back.
            #[track_caller]
            pub fn explain_analyze<'a>(self, session: &'a impl Session) -> SessionFuture<'a, Explained>
            where
                $($bound)*
            {
                let plan = self.build();
                Attached::to(session).explain(plan, Look::Back, Location::caller())
            }

            /// The statement, once the server has parsed and planned it without running it: names,
            /// types and rights are good then.
            ///
            /// # Errors
            #[doc = concat!("As [`", $verb, "`](Self::", $verb, ").")]
            ///
            /// # Cancel safety
            /// As described at [`Session`].
            #[track_caller]
            pub fn dry_run<'a>(self, session: &'a impl Session) -> SessionFuture<'a, Plan>
            where
                $($bound)*
            {
                let plan = self.build();
                Attached::to(session).dry_run(plan, Location::caller())
            }

            /// What is allowed and seldom meant, asked of the server, which plans the statement
            /// without its values; see [`QueryBuilder::lints`](crate::QueryBuilder::lints).
            ///
            /// # Errors
            #[doc = concat!("As [`", $verb, "`](Self::", $verb, ").")]
            ///
            /// # Cancel safety
            /// As described at [`Session`].
            #[track_caller]
            pub fn lints<'a>(self, session: &'a impl Session) -> SessionFuture<'a, Vec<Lint>>
            where
                $($bound)*
            {
                let plan = self.build();
                Attached::to(session).lints(plan, Location::caller())
            }
        }
    )+};
}

previews!(
    Query<S, R>: [S, R] [] "build",
    Insert<E, W>: [E: Entity, W] [] "build",
    Update<E, W>: [E: Entity, W] [W: IsChosen] "build",
    Delete<E, W>: [E: Entity, W] [W: IsChosen] "build"
);
