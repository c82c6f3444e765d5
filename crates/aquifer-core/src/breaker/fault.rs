use crate::retry::{Failure, Kind};
use crate::slots;

/// A host's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a caller must tell them all apart")]
pub enum Fault {
    /// Nobody is there: no connection could be opened, or the one there was ended.
    Cut,
    /// It gave no answer in time.
    Silent,
    /// It answered that it is ill: memory, disk or consistency.
    Ill,
}

/// Whether the host is at fault that an attempt failed.
///
/// Not at fault is a host that refuses a statement (classes 22, 23, 42), that lets one transaction
/// win over another (40), that has no room for another session (53), that was told a limit, or a
/// wrong password; nor for a caller who waited in vain for a connection.
#[must_use]
pub fn fault(failure: &Failure<'_>) -> Option<Fault> {
    let code = failure.sqlstate;
    let is_of_host = slots::is_of_host(code);
    match failure.kind {
        Kind::Closed | Kind::Connect if is_of_host => Some(Fault::Cut),
        // With a code, it is what the server said about a limit that was set.
        Kind::Timeout if code.is_none() => Some(Fault::Silent),
        Kind::Database if is_of_host => match code {
            Some(code) if code.starts_with("57") => Some(Fault::Cut),
            Some(_) => Some(Fault::Ill),
            None => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::Phase;

    fn of(kind: Kind, code: &str) -> Option<Fault> {
        let failure = Failure::new(Phase::Sent, kind);
        fault(&if code.is_empty() {
            failure
        } else {
            failure.with_sqlstate(code)
        })
    }

    #[test]
    fn only_what_the_host_is_at_fault_for_counts() {
        use Fault::{Cut, Ill, Silent};
        let rows = [
            (Kind::Connect, "", Some(Cut)),
            (Kind::Connect, "57P03", Some(Cut)),
            (Kind::Connect, "53300", None),
            (Kind::Connect, "28P01", None),
            (Kind::Connect, "3D000", None),
            (Kind::Closed, "", Some(Cut)),
            (Kind::Closed, "57P01", Some(Cut)),
            (Kind::Closed, "57P02", Some(Cut)),
            (Kind::Closed, "57P05", None),
            (Kind::Closed, "25P03", None),
            (Kind::Timeout, "", Some(Silent)),
            (Kind::Timeout, "57014", None),
            (Kind::Database, "57P01", Some(Cut)),
            (Kind::Database, "58030", Some(Ill)),
            (Kind::Database, "F0001", Some(Ill)),
            (Kind::Database, "XX000", Some(Ill)),
            (Kind::Database, "22012", None),
            (Kind::Database, "23505", None),
            (Kind::Database, "42P01", None),
            (Kind::Database, "40001", None),
            (Kind::Database, "53100", None),
            (Kind::Database, "57014", None),
            (Kind::PoolTimeout, "", None),
            (Kind::Other, "", None),
        ];
        for (kind, code, expected) in rows {
            assert_eq!(of(kind, code), expected, "{kind:?} {code}");
        }
    }
}
