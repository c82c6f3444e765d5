use std::fmt;
use std::str::FromStr;

use aquifer_core::topology::Position;

use crate::{Error, ErrorKind};

/// Where the history of writes stands: the timeline, and the place on it.
pub(crate) const POSITION: &str = "\
    select ('x' || substr(pg_catalog.pg_walfile_name(at), 1, 8))::bit(32)::bigint, \
           pg_catalog.pg_wal_lsn_diff(at, '0/0')::bigint \
    from pg_catalog.pg_current_wal_insert_lsn() as at";

/// A place in the history of writes, so that later reads see all that was before it.
///
/// Made by [`Db::consistency`](crate::Db::consistency), used by
/// [`Db::at_least`](crate::Db::at_least). As text it has some twenty letters, digits and `-`, fit for a
/// cookie: whoever wrote something gets it, and brings it along when they read.
///
/// ```
/// use aquifer::Consistency;
///
/// let token: Consistency = "w1-16b3748".parse()?;
/// assert_eq!(token.to_string(), "w1-16b3748");
/// # Ok::<(), aquifer::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Consistency {
    position: Position,
}

impl Consistency {
    /// From what [`POSITION`] returns.
    pub(crate) fn of((timeline, lsn): (i64, i64)) -> Option<Self> {
        let timeline = u32::try_from(timeline).ok()?;
        let lsn = u64::try_from(lsn).ok()?;
        let position = Position { timeline, lsn };
        Some(Self { position })
    }

    pub(crate) fn position(self) -> Position {
        self.position
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { timeline, lsn } = self.position;
        write!(formatter, "w{timeline:x}-{lsn:x}")
    }
}

impl FromStr for Consistency {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text.strip_prefix('w').and_then(|rest| rest.split_once('-'));
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let read = |(timeline, lsn): (&str, &str)| {
            let position = Position {
                timeline: u32::from_str_radix(timeline, 16).ok()?,
                lsn: u64::from_str_radix(lsn, 16).ok()?,
            };
            (is_hex(timeline) && is_hex(lsn)).then_some(Self { position })
        };
        // What came from outside is not repeated.
        parts.and_then(read).ok_or_else(|| {
            Error::new(
                ErrorKind::Usage,
                "this text is no `Consistency`, which looks like w1-16b3748; read without one, or \
                 on the primary",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_is_written_and_nothing_else_is() {
        let token = Consistency::of((2, 0x3_0000_0028)).expect("both fit");
        assert_eq!(token.to_string(), "w2-300000028");
        assert_eq!(token.to_string().parse::<Consistency>().ok(), Some(token));
        for text in [
            "",
            "w",
            "w1",
            "w1-",
            "1-2",
            "w-1",
            "w1-x",
            "w+1-2",
            "w1-2-3",
            "w100000000-1",
        ] {
            let error = text.parse::<Consistency>().expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
            assert!(text.is_empty() || !error.to_string().contains(&format!("{text} ")));
        }
        assert_eq!(Consistency::of((-1, 1)), None);
    }
}
