//! What a process writes down, one line for each.

use std::fmt;

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds by a clock that all processes of a machine share, and that never goes back.
pub(super) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Lines begin with it, since others write to the same output.
const SIGN: &str = "@";

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// It can be told what to do.
    Ready,
    /// A task read the same version of a cell again and again.
    Read(Read),
    /// The versions of all cells of a list that stood in one result, from this cell on.
    List(u32, Vec<i64>),
    Write(Write),
    /// Everything that this process owed by now is made up for.
    Settled(u64),
    /// How many loads a herd made.
    Herd(u64),
    /// It writes no more, and owes nothing.
    Quiet,
    /// Something failed.
    Error(String),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) cell: u32,
    /// Whether every write was to be seen that was acknowledged before.
    pub(super) fresh: bool,
    pub(super) version: i64,
    pub(super) count: u64,
    /// When the first of them ended.
    pub(super) first_end: u64,
    /// When the last of them began.
    pub(super) last_start: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) cell: u32,
    pub(super) version: i64,
    pub(super) begun: u64,
    pub(super) acknowledged: u64,
    /// Whether the process said then that others can't know of it yet.
    pub(super) owed: bool,
}

impl fmt::Display for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(SIGN)?;
        match self {
            Self::Ready => formatter.write_str("ready"),
            Self::Read(Read {
                cell,
                fresh,
                version,
                count,
                first_end,
                last_start,
            }) => write!(
                formatter,
                "read {cell} {fresh} {version} {count} {first_end} {last_start}"
            ),
            Self::List(cell, versions) => {
                write!(formatter, "list {cell}")?;
                versions
                    .iter()
                    .try_for_each(|version| write!(formatter, " {version}"))
            }
            Self::Write(Write {
                cell,
                version,
                begun,
                acknowledged,
                owed,
            }) => write!(
                formatter,
                "write {cell} {version} {begun} {acknowledged} {owed}"
            ),
            Self::Settled(at) => write!(formatter, "settled {at}"),
            Self::Herd(loads) => write!(formatter, "herd {loads}"),
            Self::Quiet => formatter.write_str("quiet"),
            Self::Error(text) => write!(formatter, "error {}", text.replace('\n', " ")),
        }
    }
}

impl Record {
    /// Reads a line back; none if it is another's, or was not written to its end.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let line = line.strip_prefix(SIGN)?;
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = rest.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        Some(match kind {
            "ready" => Self::Ready,
            "read" => {
                let mut words = rest.split(' ');
                Self::Read(Read {
                    cell: words.next()?.parse().ok()?,
                    fresh: words.next()?.parse().ok()?,
                    version: words.next()?.parse().ok()?,
                    count: words.next()?.parse().ok()?,
                    first_end: words.next()?.parse().ok()?,
                    last_start: words.next()?.parse().ok()?,
                })
            }
            "write" => {
                let mut words = rest.split(' ');
                Self::Write(Write {
                    cell: words.next()?.parse().ok()?,
                    version: words.next()?.parse().ok()?,
                    begun: words.next()?.parse().ok()?,
                    acknowledged: words.next()?.parse().ok()?,
                    owed: words.next()?.parse().ok()?,
                })
            }
            "list" => {
                let mut words = rest.split(' ');
                let cell = words.next()?.parse().ok()?;
                let versions = words.map(|word| word.parse().ok());
                Self::List(cell, versions.collect::<Option<_>>()?)
            }
            "settled" => Self::Settled(number()?),
            "herd" => Self::Herd(number()?),
            "quiet" => Self::Quiet,
            "error" => Self::Error(rest.to_owned()),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_back_and_others_are_none() {
        let read = Read {
            cell: 3,
            fresh: true,
            version: -7,
            count: 9,
            first_end: 5,
            last_start: u64::MAX,
        };
        let write = Write {
            cell: 3,
            version: 8,
            begun: 1,
            acknowledged: 2,
            owed: true,
        };
        for record in [
            Record::Ready,
            Record::Read(read),
            Record::List(80, vec![1, -2, 3]),
            Record::Write(write),
            Record::Settled(4),
            Record::Herd(1),
            Record::Quiet,
            Record::Error("a text with words".to_owned()),
        ] {
            assert_eq!(Record::parse(&record.to_string()), Some(record));
        }
        for line in [
            "test a ... ok",
            "",
            "@read 1 true 2 3",
            "@write 1 2 3 4 tru",
        ] {
            assert_eq!(Record::parse(line), None, "{line}");
        }
    }
}
