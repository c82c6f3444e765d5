use aquifer_embedded::Builder;

use super::Postgres;
use crate::scratch::wait_until;

/// Position in the log as a number of bytes: of what was written, or of what was replayed.
const POSITION: &str = "case when pg_is_in_recovery() then pg_last_wal_replay_lsn() \
                        else pg_current_wal_lsn() end - '0/0'";

/// Of a primary the timeline that it writes, of a standby the one that it receives.
const TIMELINE: &str = "case when pg_is_in_recovery() then coalesce( \
                            (select received_tli from pg_stat_wal_receiver), \
                            (select timeline_id from pg_control_checkpoint())) \
                        else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int \
                        end";

/// Streaming replication. Every server can have standbys; they copy it whole, roles, databases and
/// passwords included. The times are those of a small server on two busy cores; a quiet machine needs half of it.
impl Postgres {
    /// Starts a standby of this server and waits until it streams; one to three seconds.
    #[must_use]
    pub fn start_standby(&self) -> Self {
        self.start_standby_with(Self::builder())
    }

    /// Starts a standby with settings of its own; `max_connections` must not be below the primary's.
    #[must_use]
    pub fn start_standby_with(&self, builder: Builder) -> Self {
        let started = builder.standby_of(&self.server()).start();
        let standby = Self::of(started.expect("a standby"));
        standby.forget_synchronous();
        standby.wait_until_streaming();
        standby
    }

    /// Makes this standby take over and waits until it accepts writes; some tenths of a second.
    ///
    /// Whatever its old primary is doing, that server is left alone.
    pub fn promote(&self) {
        self.server().promote().expect("the standby takes over");
    }

    /// Throws this server's data away and starts it as a standby of `primary`, on the same port and
    /// socket, streaming; one to three seconds.
    ///
    /// It may run, hang or be dead.
    pub fn rejoin(&self, primary: &Self) {
        self.resume_backends();
        self.server()
            .rejoin(&primary.server())
            .expect("a standby again");
        self.forget_synchronous();
        self.wait_until_streaming();
    }

    /// Makes a standby that runs go over to another primary; a server that is stopped becomes a
    /// standby of it, streaming, at its next start. Nothing is copied.
    ///
    /// This server must not have written anything that `primary` does not have.
    pub fn follow(&self, primary: &Self) {
        self.server().follow(&primary.server()).expect("told");
    }

    /// Whether the server is a standby, as it says itself.
    #[must_use]
    pub fn is_standby(&self) -> bool {
        self.psql("select pg_is_in_recovery()") == "t"
    }

    /// The timeline of the log: it grows by one with each promotion.
    #[must_use]
    pub fn timeline(&self) -> u32 {
        let timeline = self.psql(&format!("select {TIMELINE}"));
        timeline.parse().expect("a number")
    }

    /// The end of the log in bytes: written by a primary, replayed by a standby.
    #[must_use]
    pub fn position(&self) -> u64 {
        let position = self.psql(&format!("select {POSITION}"));
        position.parse().expect("a number")
    }

    /// Waits until a standby receives its primary's log as it is written.
    pub fn wait_until_streaming(&self) {
        let sql = "select count(*) from pg_stat_wal_receiver where status = 'streaming'";
        wait_until("the standby streams", || self.psql(sql) == "1");
    }

    /// Waits until this standby has replayed what `primary` has written by now.
    pub fn catch_up(&self, primary: &Self) {
        let written = primary.position();
        let replayed = format!("select {POSITION} >= {written}");
        wait_until("the standby has caught up", || self.psql(&replayed) == "t");
    }

    /// Lets a standby receive the log without applying it: reads there stay as they are.
    pub fn pause_replay(&self) {
        self.psql("select pg_wal_replay_pause()");
        let sql = "select pg_get_wal_replay_pause_state()";
        wait_until("replay is paused", || self.psql(sql) == "paused");
    }

    /// Applies what was received since [`pause_replay`](Self::pause_replay), and goes on.
    pub fn resume_replay(&self) {
        self.psql("select pg_wal_replay_resume()");
    }

    /// Makes commits of this primary wait until a standby has them on disk, or not; waits until it
    /// is so.
    ///
    /// Only so does a promotion lose nothing. On, it needs a standby that streams; and while there is
    /// none, every commit hangs, those of [`psql`](Self::psql) too.
    pub fn set_synchronous(&self, on: bool) {
        let names = if on { "*" } else { "" };
        self.change("synchronous_standby_names", names);
        if on {
            let sql = "select count(*) from pg_stat_replication where sync_state = 'sync'";
            wait_until("a standby is synchronous", || self.psql(sql) == "1");
        }
    }

    /// A standby copies the primary's settings too, and as a primary would wait for standbys of its
    /// own.
    fn forget_synchronous(&self) {
        self.change("synchronous_standby_names", "");
    }

    /// Changes a setting of the running server that needs no restart.
    pub fn change(&self, setting: &str, value: &str) {
        self.psql(&format!("alter system set {setting} to '{value}'"));
        self.server().reload().expect("the server reloads");
        let sql = format!("select current_setting('{setting}')");
        wait_until("the setting has changed", || self.psql(&sql) == value);
    }
}
