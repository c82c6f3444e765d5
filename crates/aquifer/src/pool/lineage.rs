//! What a transaction number is valid for: one server, one timeline, no crash in between.

use aquifer_wire::{Kind, Sharing};

use super::Checkout;
use crate::Error;
use crate::error::Lineage;

/// The column of the crash mark is when statistics were last reset: a recovery from a crash does
/// so, an orderly restart does not. A standby has no lineage of its own yet, and returns no row.
const LINEAGE: &str = "\
    select control.system_identifier, \
           ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::bigint, \
           (extract(epoch from pg_catalog.pg_stat_get_bgwriter_stat_reset_time()) * 1000000)::bigint \
    from pg_catalog.pg_control_system() as control \
    where not pg_catalog.pg_is_in_recovery()";

/// The number of the transaction that is open, once it has written something.
pub(crate) const XID: &str = "select pg_catalog.pg_current_xact_id_if_assigned()::text";

impl Checkout {
    /// The lineage of the session, if it is known.
    pub(crate) fn lineage(&self) -> Option<Lineage> {
        let (_, connection) = self.held.as_ref()?;
        connection.lineage.get().copied().flatten()
    }

    /// Asks for the lineage, once for each session; outside a transaction only, since the role may
    /// not be allowed to.
    ///
    /// # Errors
    /// When the connection ends meanwhile; that the server does not tell is no error.
    pub(crate) async fn learn_lineage(&self) -> Result<(), Error> {
        let Some((_, connection)) = &self.held else {
            return Ok(());
        };
        if connection.lineage.get().is_some() {
            return Ok(());
        }
        let client = &connection.client;
        let learned = match self.ask_lineage().await {
            // A standby may be promoted later: ask again then.
            Ok(None) => return Ok(()),
            Ok(learned) => learned,
            // Not that kind of server, or not allowed: it will say the same next time.
            Err(error) if error.database().is_some() && client.ended().is_none() => None,
            Err(error) => return Err(error),
        };
        // So that the number can ride with a statement, it has to be described beforehand.
        let described = match client.statement(XID, Sharing::Own).await {
            Ok(_) => true,
            Err(error) if error.kind() == Kind::Database => false,
            Err(error) => return Err(Error::from_wire(error, false)),
        };
        connection
            .lineage
            .get_or_init(|| learned.filter(|_| described));
        Ok(())
    }

    /// Asks for the lineage of the server that answers now; `None` from a standby.
    pub(crate) async fn ask_lineage(&self) -> Result<Option<Lineage>, Error> {
        let asked = self.client().query(LINEAGE, &(), Sharing::Own).await;
        let reply = asked.map_err(|error| Error::from_wire(error, false))?;
        let told = reply.decode_first::<(i64, i64, Option<i64>)>()?;
        Ok(told.map(|(system, timeline, crash_mark)| Lineage {
            system,
            timeline,
            crash_mark,
        }))
    }
}
