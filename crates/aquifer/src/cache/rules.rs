//! The rules by which nothing old is read: each can be left out in builds with `--cfg mutants`, where the
//! trial of `tests/it/cache/trial.rs` must find it out. In all other builds they hold, and cost nothing.

/// A rule, at the place that keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Announcements of other processes are heard.
    AnnouncementsHeard,
    /// A process that Redis was not told something by believes nothing of what Redis holds.
    DebtorsBelieveNothing,
    /// What Redis could not be told is remembered.
    DebtsRemembered,
    /// Nobody joins a load that began before a change which he may know of.
    FlightsLeave,
    /// Values in memory are used as long as a sign of life allows.
    LeaseEnds,
    /// The life of a new stamp never was before.
    LivesNeverReturn,
    /// Without a link nothing in memory is believed, and afterwards nothing of before.
    LossDoubts,
    /// What is stored is good under its marks only.
    MarksCompared,
    /// What is noted of a stamp is noted before the stamp is read.
    NotedFirst,
    /// This process knows its own changes when the caller is told.
    OwnChangesKnown,
    /// Only an answer shows that announcements come.
    PongExtends,
    /// Another server makes everything that is stored a miss.
    ServersCompared,
    /// A value that takes the place of another has a stamp of its own.
    SetBumps,
    /// All tags of a value count.
    TagsCompared,
    /// A value that was loaded is kept under the stamps of before the load.
    TicketFirst,
    /// The caller is told after Redis was.
    ToldLast,
}

/// Whether the rule is kept: always, but in builds that leave one out.
#[cfg(not(mutants))]
#[inline]
pub(super) const fn keeps(_rule: Rule) -> bool {
    true
}

#[cfg(mutants)]
pub(super) use self::mutants::keeps;

#[cfg(mutants)]
pub use self::mutants::RULES;

#[cfg(mutants)]
mod mutants {
    use std::sync::OnceLock;

    use super::Rule;

    /// The names of all rules.
    pub const RULES: &[&str] = &[
        "AnnouncementsHeard",
        "DebtorsBelieveNothing",
        "DebtsRemembered",
        "FlightsLeave",
        "LeaseEnds",
        "LivesNeverReturn",
        "LossDoubts",
        "MarksCompared",
        "NotedFirst",
        "OwnChangesKnown",
        "PongExtends",
        "ServersCompared",
        "SetBumps",
        "TagsCompared",
        "TicketFirst",
        "ToldLast",
    ];

    /// `AQUIFER_MUTANT` names the rule that is left out.
    #[allow(
        clippy::disallowed_methods,
        reason = "no setting, and in no build that is used"
    )]
    pub(in crate::cache) fn keeps(rule: Rule) -> bool {
        static LEFT_OUT: OnceLock<String> = OnceLock::new();
        let left_out = LEFT_OUT.get_or_init(|| std::env::var("AQUIFER_MUTANT").unwrap_or_default());
        *left_out != format!("{rule:?}")
    }
}
