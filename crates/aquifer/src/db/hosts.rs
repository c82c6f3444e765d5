//! Several hosts, as the user of a handle sees them.

use super::Db;
use crate::execute::{Answers, Placement};
use crate::observe::Mode;
use crate::pool::{Destination, HostStatus};
use crate::session::Session;
use crate::topology::{Consistency, POSITION};
use crate::{Error, ErrorKind};

impl Db {
    /// The same database, where reads may be answered by a replica, so a little late.
    ///
    /// They go by turns to the standbys that are not further behind than
    /// [`lag_max`](crate::Advanced::lag_max) and `lag_bytes_max`, else to the primary; with a single
    /// host always there. A read that a replica gives up in favour of its replay (40001), or that ends
    /// with its connection, is made again on another host. What reads, but can't be done in recovery
    /// (row locks, writes within WITH, functions that write), is done on the primary. What is known to
    /// write is an error: use the handle that this was made from. Transactions must be begun with
    /// [`read_only`](crate::TransactionOptions::read_only); a serializable one is done on the primary.
    /// Inside a transaction of this `Db` calls join that, wherever it is.
    ///
    /// For reads that must see a certain write see [`at_least`](Self::at_least).
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error, Session};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let users: i64 = db.read().query_value("select count(*) from users", ()).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn read(&self) -> Self {
        self.changed(|engine| {
            if engine.destination == Destination::Main {
                engine.destination = Destination::Replica {
                    at_least: None,
                    avoid: None,
                };
            }
        })
    }

    /// As [`read`](Self::read), where each read sees all that was committed before `token` was made.
    ///
    /// A replica answers that has replayed so much; if none has, the call waits for one for up to
    /// [`catchup_timeout`](crate::Advanced::catchup_timeout), and then goes to the primary. After a
    /// failover a token of before is good on replicas as far as the new primary is known to have
    /// replayed the old one's history; beyond that calls go to the primary.
    ///
    /// ```no_run
    /// # use aquifer::{Consistency, Db, Error, Session};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// db.execute("update users set name = 'Jane' where id = 1", ()).await?;
    /// let cookie = db.consistency().await?.to_string();
    /// // In the next request of the same user:
    /// let token: Consistency = cookie.parse()?;
    /// let name: String = db
    ///     .at_least(&token)
    ///     .query_value("select name from users where id = 1", ())
    ///     .await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn at_least(&self, token: &Consistency) -> Self {
        let at_least = Some(*token);
        let avoid = None;
        self.changed(|engine| engine.destination = Destination::Replica { at_least, avoid })
    }

    /// A token for all that has been committed so far, for [`at_least`](Self::at_least).
    ///
    /// It costs one round trip to the primary, on a shared lane. Ask for it after a commit: within a
    /// transaction it stands for what was committed before, since it takes no part in that.
    ///
    /// # Errors
    /// As [`Session`](crate::Session). It changes nothing, so a retry is safe.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn consistency(&self) -> Result<Consistency, Error> {
        let primary = self.changed(|engine| {
            engine.destination = Destination::Main;
            engine.detached = true;
            engine.settings = None;
            // It calls functions that are volatile and write nothing.
            engine.placement = Placement::Shared;
        });
        let position = primary.query_one::<(i64, i64)>(POSITION, ()).await?;
        Consistency::of(position).ok_or_else(|| {
            let text = "the server told a place in its history that can't be one";
            Error::new(ErrorKind::Protocol, text)
        })
    }

    /// The same database, and what tells of the last call of this handle which host answered it, what
    /// part that plays, and whether the layer was degraded then.
    ///
    /// For answers that say so themselves ("as of a moment ago"). It holds for the calls of this handle
    /// and its clones, so make one for each request. Of a transaction, a stream or a dedicated session
    /// it says where it began; of [look-ups](Self::lookup), of the group that was answered last.
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error, HostRole, Session};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let (db, answers) = db.read().with_answers();
    /// let stock: i64 = db.query_value("select sum(stock)::bigint from items", ()).await?;
    /// let answered = answers.last().expect("it was answered");
    /// let late = answered.role == Some(HostRole::Standby);
    /// println!("{stock} in stock{}", if late { ", or a moment ago" } else { "" });
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn with_answers(&self) -> (Self, Answers) {
        let answers = Answers::default();
        let db = self.changed(|engine| engine.answers = Some(answers.clone()));
        (db, answers)
    }

    /// What the layer as a whole can do at present.
    ///
    /// With a single host, as far as opening connections and writes that found the disk full tell.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.engine.pools.topology().mode()
    }

    /// The hosts of this database, in the order of the configuration: their roles, how far replicas are
    /// behind, and their connections.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostStatus> {
        self.engine.pools.hosts()
    }
}
