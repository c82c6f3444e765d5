//! Which part a server plays, and whether `target_session_attrs` wants it.

use std::collections::BTreeMap;

use postgres_protocol::message::frontend;

use super::exchange::{Exchange, unexpected};
use crate::config::TargetSessionAttrs;
use crate::frame::tag;
use crate::{Error, Kind};

/// Both values in one row; works since PostgreSQL 9.0.
const QUESTION: &str =
    "select pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')";

/// What a session can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Role {
    standby: bool,
    read_only: bool,
}

impl Role {
    /// Whether a session of this role is what was asked for. `PreferStandby` is decided by the
    /// search, which sees all hosts.
    pub(super) fn suits(self, wanted: TargetSessionAttrs) -> bool {
        match wanted {
            TargetSessionAttrs::Any => true,
            TargetSessionAttrs::ReadWrite => !self.read_only,
            TargetSessionAttrs::ReadOnly => self.read_only,
            TargetSessionAttrs::Primary => !self.standby,
            TargetSessionAttrs::Standby | TargetSessionAttrs::PreferStandby => self.standby,
        }
    }

    /// From what PostgreSQL 14 and newer report at start-up, else by asking.
    ///
    /// If `settings` make the session read-only themselves, that tells nothing about the server,
    /// and only recovery counts.
    pub(super) async fn find_out(
        exchange: &mut Exchange,
        parameters: &BTreeMap<String, String>,
        settings: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let is_on = |name| parameters.get(name).map(|value| value == "on");
        let reported = (
            is_on("in_hot_standby"),
            is_on("default_transaction_read_only"),
        );
        let (standby, read_only) = match reported {
            (Some(standby), Some(read_only)) => (standby, read_only),
            _ => ask(exchange).await?,
        };
        let ours = settings
            .iter()
            .any(|(name, _)| *name == "default_transaction_read_only");
        Ok(Self {
            standby,
            read_only: standby || (read_only && !ours),
        })
    }
}

async fn ask(exchange: &mut Exchange) -> Result<(bool, bool), Error> {
    let unreadable = "the server's answer about its role can't be read";
    frontend::query(QUESTION, &mut exchange.outgoing)
        .map_err(|error| Error::new(Kind::Protocol, unreadable).with_source(error))?;
    exchange.send().await?;
    let mut answer = None;
    loop {
        let message = exchange.next().await?;
        match message.tag {
            tag::DATA_ROW => answer = read(&message.body),
            tag::READY => break,
            tag::ROW_DESCRIPTION | tag::COMMAND_COMPLETE | tag::PARAMETER_STATUS => {}
            _ => return Err(unexpected("where the server's role was asked for")),
        }
    }
    answer.ok_or_else(|| Error::new(Kind::Protocol, unreadable))
}

/// Two text columns of known form, each after its length: `t` or `f`, and `on` or `off`.
fn read(row: &[u8]) -> Option<(bool, bool)> {
    match row {
        [0, 2, 0, 0, 0, 1, standby, 0, 0, 0, _, read_only @ ..] => {
            Some((*standby == b't', read_only == b"on"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Role;
    use crate::config::TargetSessionAttrs::{self, *};

    #[test]
    fn a_role_suits_what_libpq_says_it_suits() {
        let primary = (false, false);
        let read_only_primary = (false, true);
        let standby = (true, true);
        let cases: [(TargetSessionAttrs, [bool; 3]); 6] = [
            (Any, [true, true, true]),
            (ReadWrite, [true, false, false]),
            (ReadOnly, [false, true, true]),
            (Primary, [true, true, false]),
            (Standby, [false, false, true]),
            (PreferStandby, [false, false, true]),
        ];
        for (wanted, expected) in cases {
            let suits = [primary, read_only_primary, standby]
                .map(|(standby, read_only)| Role { standby, read_only }.suits(wanted));
            assert_eq!(suits, expected, "{wanted:?}");
        }
    }
}
