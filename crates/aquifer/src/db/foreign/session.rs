//! The session that reads: its lock and its slot.

use std::panic::Location;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::Error;
use crate::dedicated::Dedicated;
use crate::execute::Engine;
use crate::session::Session as _;

/// One whose session does nothing for so long does not run any more, or its network is gone: another
/// one takes its place.
const STALE_SECONDS: f64 = 5.0;

/// Who has the lock, and for how many seconds its session has done nothing.
const HOLDER: &str = "\
    select l.pid, coalesce(extract(epoch from clock_timestamp() - a.state_change)::float8, 0) \
    from pg_locks l join pg_stat_activity a on a.pid = l.pid \
    where l.locktype = 'advisory' and l.granted and l.objsubid = 1 \
    and l.database = (select oid from pg_database where datname = current_database()) \
    and l.classid::bigint = ($1::bigint >> 32) & 4294967295 \
    and l.objid::bigint = $1::bigint & 4294967295 \
    and (a.state = 'idle' or a.wait_event = 'ClientWrite')";

/// The number of the lock of a namespace; locks of different databases have nothing to do with each
/// other.
pub(super) fn lock_of(namespace: &str) -> i64 {
    let name = format!("aquifer writes by others: {namespace}");
    xxh3_64(name.as_bytes()).cast_signed()
}

/// What a process does for the others.
pub(super) enum Role {
    Reader(Session),
    /// Another one reads.
    Watcher,
}

/// A session that has the lock. Closed when it is dropped: the lock and the slot would stay with a
/// connection that is used again.
pub(super) struct Session {
    pub(super) inner: Dedicated,
    slot: String,
}

impl Session {
    pub(super) async fn open(
        engine: &Arc<Engine>,
        (lock, location): (Option<i64>, &'static Location<'static>),
    ) -> Result<Role, Error> {
        let inner = Dedicated::open(engine, location).await?;
        let has_lock = match lock {
            Some(lock) => {
                inner
                    .query_value("select pg_try_advisory_lock($1)", (lock,))
                    .await?
            }
            None => true,
        };
        if has_lock {
            let slot = format!("aquifer_{}", inner.process_id());
            return Ok(Role::Reader(Self { inner, slot }));
        }
        let holder: Option<(i32, f64)> = inner.query_opt(HOLDER, (lock,)).await?;
        if let Some((process_id, idle)) = holder
            && idle > STALE_SECONDS
        {
            let end = "select pg_terminate_backend($1)";
            let _may_be_gone: bool = inner.query_value(end, (process_id,)).await?;
        }
        Ok(Role::Watcher)
    }

    /// Begins to keep what is committed from now on. Waits for transactions that write now.
    pub(super) async fn make_slot(&self) -> Result<(), Error> {
        let sql = "select pg_create_logical_replication_slot($1, 'test_decoding', true)::text";
        let made = self.inner.query_value::<String>(sql, (self.slot.as_str(),));
        made.await?;
        // Nobody need wait for it from now on: there is nothing in it to be lost.
        self.inner.serves_only();
        Ok(())
    }

    pub(super) fn slot(&self) -> &str {
        &self.slot
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.inner.discard();
    }
}

/// Why the server does not let us read its log, with the remedy; `None` for what may pass by itself.
pub(super) fn refused(error: &Error) -> Option<String> {
    let remedy = match error.sqlstate()?.code() {
        // The one for a slot that is missing, too: then it is in use or lost, and made again.
        "55000" => "set wal_level = logical in postgresql.conf and restart the server",
        "42501" => "give the role of the service REPLICATION: alter role … replication",
        "58P01" | "42704" => "install test_decoding, which PostgreSQL's contrib package has",
        "53400" => "raise max_replication_slots",
        _ => return None,
    };
    Some(format!("{error}; {remedy}"))
}
