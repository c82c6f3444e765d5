use std::time::Duration;

/// How hosts are judged.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rules {
    /// How often each host is asked while all is well.
    pub interval: Duration,
    /// How often during an alarm.
    pub alarm_interval: Duration,
    /// An alarm ends when nothing has changed for so long.
    pub calm_after: Duration,
    /// So many misses in a row, and a host is given up.
    pub misses_max: u32,
    /// At the start hosts have so long to be heard before one of them is chosen.
    pub settle: Duration,
    /// After the primary was lost, writes are worth holding for so long.
    pub primary_wait: Duration,
    /// A replica that is further behind than this, in bytes of WAL, answers no reads.
    pub lag_bytes_max: u64,
    /// A replica that is behind and whose newest data is older than this answers no reads.
    pub lag_max: Duration,
    /// Which host calls go to that ask for none in particular.
    pub wanted: Wanted,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            alarm_interval: Duration::from_millis(100),
            calm_after: Duration::from_secs(30),
            misses_max: 3,
            settle: Duration::from_millis(500),
            primary_wait: Duration::from_secs(30),
            lag_bytes_max: 16 << 20,
            lag_max: Duration::from_secs(10),
            wanted: Wanted::Primary,
        }
    }
}

/// Which host calls go to that ask for none in particular.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each is found in its own way")]
pub enum Wanted {
    /// The primary.
    #[default]
    Primary,
    /// Any that answers.
    Any,
    /// One whose sessions don't write.
    ReadOnly,
    /// A standby.
    Standby,
    /// A standby if there is one, else any.
    PreferStandby,
}
