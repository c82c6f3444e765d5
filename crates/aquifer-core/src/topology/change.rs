use std::time::Duration;

use super::{Lag, Mode, Role};

/// Something that is different now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever tells them must tell all")]
pub enum Change {
    /// A host plays another part; `None` before it was heard.
    Role {
        /// Which one.
        host: usize,
        /// Its part before.
        from: Option<Role>,
        /// Its part now.
        to: Role,
    },
    /// A host was given up.
    Lost {
        /// Which one.
        host: usize,
    },
    /// A host that was given up answers again.
    Back {
        /// Which one.
        host: usize,
        /// How long it was away.
        after: Duration,
    },
    /// Another host than before is the primary.
    Failover {
        /// Who was it before.
        from: usize,
        /// Who is it now.
        to: usize,
        /// How long nobody was, as far as could be seen.
        gap: Duration,
    },
    /// A host takes itself for a primary beside the one that is.
    SplitBrain {
        /// Who is the primary.
        primary: usize,
        /// Who is not.
        fenced: usize,
    },
    /// A replica is too far behind for reads.
    LagHigh {
        /// Which one.
        host: usize,
        /// How far.
        lag: Lag,
    },
    /// A replica has caught up.
    LagNormal {
        /// Which one.
        host: usize,
    },
    /// More or less is possible than before.
    Mode {
        /// What was possible.
        from: Mode,
        /// What is possible.
        to: Mode,
    },
}
