//! Several hosts: the first that lets us in and plays the part that was asked for.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

use super::Opened;
use super::attempt::Attempt;
use crate::config::{Config, LoadBalanceHosts, Target, TargetSessionAttrs};
use crate::{Error, Kind};

/// Opens a session on the first host of `config` that is reachable and has the role that
/// `target_session_attrs` asks for; says also which host it is.
///
/// `settings` are further start-up parameters, such as `default_transaction_read_only`. Each host
/// has `connect_timeout` for itself. As in libpq, a refused login ends the search: the
/// other hosts are asked only if this one can't be reached, is not ready, or has another role.
///
/// # Errors
/// [`Kind::Config`] if the configuration can't be used, [`Kind::Connect`] if no socket or session
/// could be had, [`Kind::Tls`], [`Kind::Authentication`], [`Kind::Protocol`], and [`Kind::Timeout`]
/// if `connect_timeout` ran out; with several hosts, the text has a reason for each. Nothing was
/// executed, so each may be tried again.
///
/// # Cancel safety
/// Dropping the future closes the sockets; see the module.
pub(crate) async fn open_any(
    config: &Config,
    settings: &[(&str, &str)],
) -> Result<(Target, Opened), Error> {
    let wanted = config.settings.target_session_attrs;
    let wanted = wanted.unwrap_or(TargetSessionAttrs::Any);
    let mut targets = config.targets()?;
    if config.settings.load_balance_hosts == Some(LoadBalanceHosts::Random) {
        shuffle(&mut targets);
    }
    let mut failures = Vec::new();
    // With `prefer-standby`, a primary is kept open while a standby is still looked for.
    let mut second_best = None;
    for target in targets {
        let mut attempt = Attempt::new(config, &target, settings);
        attempt.asks_role = wanted != TargetSessionAttrs::Any;
        match attempt.within_limit().await {
            Ok((opened, role)) if role.is_none_or(|role| role.suits(wanted)) => {
                return Ok((target, opened));
            }
            Ok((opened, _role)) if wanted == TargetSessionAttrs::PreferStandby => {
                second_best.get_or_insert((target, opened));
            }
            Ok(_other_role) => failures.push(Error::new(
                Kind::Connect,
                format!(
                    "{target}: the server's role is not target_session_attrs={}",
                    wanted.as_str()
                ),
            )),
            Err(error) if ends_search(&error) => return Err(error),
            Err(error) => failures.push(error),
        }
    }
    second_best.ok_or_else(|| all_failed(failures))
}

/// Whether another host would say the same: the login or the database is wrong, or this side's
/// configuration is.
fn ends_search(error: &Error) -> bool {
    let no_such_database = error
        .sqlstate()
        .is_some_and(|state| state.code() == "3D000");
    no_such_database || matches!(error.kind(), Kind::Authentication | Kind::Config)
}

fn all_failed(mut failures: Vec<Error>) -> Error {
    if failures.len() <= 1 {
        return failures
            .pop()
            .unwrap_or_else(|| Error::new(Kind::Config, "host is empty"));
    }
    let texts: Vec<_> = failures.iter().map(ToString::to_string).collect();
    let text = format!(
        "none of {} hosts can be used: {}",
        texts.len(),
        texts.join("; ")
    );
    let kind = match failures.first().map(Error::kind) {
        Some(kind) if failures.iter().all(|error| error.kind() == kind) => kind,
        _ => Kind::Connect,
    };
    let error = Error::new(kind, text);
    match failures.pop() {
        Some(last) => error.with_source(last),
        None => error,
    }
}

/// Puts `items` in a random order; good enough to spread load, not to keep a secret.
pub(super) fn shuffle<T>(items: &mut [T]) {
    let mut unshuffled = items.len();
    while unshuffled > 1 {
        let random = RandomState::new().build_hasher().finish();
        let bound = u64::try_from(unshuffled).unwrap_or(u64::MAX);
        let chosen = usize::try_from(random % bound).unwrap_or_default();
        unshuffled -= 1;
        items.swap(chosen, unshuffled);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::shuffle;

    #[test]
    fn shuffling_reaches_every_order_and_loses_nothing() {
        let orders: BTreeSet<_> = (0..500)
            .map(|_| {
                let mut items = [1, 2, 3];
                shuffle(&mut items);
                items
            })
            .collect();
        assert_eq!(orders.len(), 6);
    }
}
