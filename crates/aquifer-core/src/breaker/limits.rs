use std::time::Duration;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Whether it works at all; one that does not is [`State::Disabled`](super::State::Disabled) from the start.
    pub enabled: bool,
    /// It opens when of a hundred calls at least so many failed.
    pub failure_percent: u32,
    /// It opens when of a hundred calls at least so many were slow.
    pub slow_percent: u32,
    /// So many calls there must have been before a share of them means something.
    pub calls_min: u32,
    /// It opens when so many calls or openings of connections in a row met no host.
    pub cuts_max: u32,
    /// Slow is what takes so many times longer than usual.
    pub slow_factor: u32,
    /// What takes less is never slow.
    pub slow_min: Duration,
    /// How long it stays open the first time.
    pub open_min: Duration,
    /// How long it stays open at most, however often it opened again.
    pub open_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            enabled: true,
            failure_percent: 50,
            slow_percent: 80,
            calls_min: 10,
            cuts_max: 3,
            slow_factor: 10,
            slow_min: Duration::from_millis(100),
            open_min: Duration::from_millis(500),
            open_max: Duration::from_secs(15),
        }
    }
}

impl Limits {
    pub(super) fn is_reached(&self, percent: u32, part: u64, calls: u64) -> bool {
        calls >= u64::from(self.calls_min) && part * 100 >= u64::from(percent) * calls
    }
}
