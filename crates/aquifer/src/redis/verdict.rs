//! What to do about an answer, or about none: pure, so that the table can be read and tested.

use redis::{RedisError, ServerError, Value};

use super::traits::Effect;
use crate::config::RedisAddress;
use crate::{Error, ErrorKind, Retry};

/// What one attempt at one command came to.
#[derive(Debug)]
pub(super) enum Verdict {
    Answer(Value),
    /// Trying again can't help, or must not be done.
    Failed(Error),
    /// It was not carried out, or may be carried out twice.
    Again(Again, Error),
}

/// Where, and when, the next attempt belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// At this node, once, asked for by ASKING.
    Ask(RedisAddress),
    /// At this node, where the slot is from now on.
    Moved(RedisAddress),
    /// At the same place, after a while: the server will be able to.
    Wait,
    /// At the master, which has changed.
    Rediscover,
    /// On a new connection, with credentials that are asked for anew.
    Login,
    /// On another connection; this one is gone. Counted, unlike the others.
    Reconnect,
}

/// Judges an answer; `asked` is the node that gave it.
pub(super) fn of_answer(answer: Value, name: &str, asked: &RedisAddress) -> Verdict {
    match answer {
        Value::ServerError(error) => of_server_error(&error, name, asked),
        Value::Attribute { data, .. } => of_answer(*data, name, asked),
        answer => Verdict::Answer(answer),
    }
}

fn of_server_error(error: &ServerError, name: &str, asked: &RedisAddress) -> Verdict {
    if is_script(name) && !is_of_server(error) {
        // What it has done before it said so stays done.
        return Verdict::Failed(refused(ErrorKind::Redis, error, (name, "")));
    }
    let described = described(error, name);
    let again = match error.code() {
        "ASK" => redirect(error, asked).map(Again::Ask),
        "MOVED" => redirect(error, asked).map(Again::Moved),
        "READONLY" => Some(Again::Rediscover),
        "NOAUTH" | "WRONGPASS" => Some(Again::Login),
        "BUSY" | "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "TRYAGAIN" => Some(Again::Wait),
        _ => None,
    };
    match again {
        Some(again) => Verdict::Again(again, described),
        None => Verdict::Failed(described),
    }
}

/// As [`of_answer`], of a transaction that was carried out: nothing of it may be done again.
pub(super) fn of_answer_within(answer: Value, name: &str, asked: &RedisAddress) -> Verdict {
    match of_answer(answer, name, asked) {
        Verdict::Again(_, error) => Verdict::Failed(error.with_retry(Retry::Never)),
        verdict => verdict,
    }
}

/// Whether errors of this command may be in the words of its author.
fn is_script(name: &str) -> bool {
    matches!(name, "EVAL" | "EVALSHA" | "FCALL")
}

/// Whether an error is in the words of a server that has not even begun.
fn is_of_server(error: &ServerError) -> bool {
    let said = error.details().unwrap_or_default();
    match error.code() {
        "BUSY" => said.contains("is busy running"),
        "CLUSTERDOWN" => {
            said.starts_with("The cluster is down") || said.contains("slot not served")
        }
        "LOADING" => said.contains("is loading the dataset"),
        "MASTERDOWN" => said.starts_with("Link with MASTER is down"),
        "NOAUTH" => said.starts_with("Authentication required"),
        "READONLY" => said.starts_with("You can't write against a read only replica"),
        "TRYAGAIN" => said.starts_with("Multiple keys request"),
        "ASK" | "MOVED" => true,
        _ => false,
    }
}

/// Judges an attempt without an answer, whose command may have reached the server.
pub(super) fn of_failure(
    error: &RedisError,
    name: &str,
    effect: Effect,
    asked: &RedisAddress,
) -> Verdict {
    // Of a transaction: what its commands were refused for says more than EXECABORT.
    if let Some(refused) = error.clone().into_server_errors()
        && let Some((_, first)) = refused.first()
    {
        return of_server_error(first, name, asked);
    }
    let cause = if error.kind() == redis::ErrorKind::Parse {
        "the connection ended, since the answer could not be read".to_owned()
    } else {
        format!("the connection ended: {error}")
    };
    if effect == Effect::Changes {
        return Verdict::Failed(unknown(name, &cause));
    }
    let text = format!("{name} was not answered: {cause}");
    Verdict::Again(
        Again::Reconnect,
        Error::new(ErrorKind::Connection, text).with_retry(Retry::Safe),
    )
}

/// The deadline passed after the command was handed to the connection.
pub(super) fn late(name: &str, effect: Effect, limit: std::time::Duration) -> Error {
    let cause = format!("no answer within {limit:?} (redis_timeout)");
    if effect == Effect::Changes {
        return unknown(name, &cause);
    }
    Error::new(ErrorKind::Timeout, format!("{name} got {cause}")).with_retry(Retry::Safe)
}

fn unknown(name: &str, cause: &str) -> Error {
    let text = format!(
        "whether {name} took effect is unknown: {cause}. It is not repeated, since it would count \
         twice; say `.idempotent()` where that does no harm"
    );
    Error::new(ErrorKind::Unknown, text)
}

/// What the server said, with what can be done about it.
fn described(error: &ServerError, name: &str) -> Error {
    let code = error.code();
    let (kind, retry, remedy) = match code {
        "NOAUTH" | "WRONGPASS" => (
            ErrorKind::Authentication,
            Retry::Never,
            "check user and password in redis_url, or the password provider",
        ),
        "OOM" => (
            ErrorKind::Redis,
            Retry::Safe,
            "reads go on; raise maxmemory, or choose a maxmemory-policy that evicts",
        ),
        "MISCONF" => (
            ErrorKind::Redis,
            Retry::Safe,
            "reads go on; see the server's log for why it can't write to its disk",
        ),
        "NOREPLICAS" => (
            ErrorKind::Redis,
            Retry::Safe,
            "reads go on; bring replicas up, or lower min-replicas-to-write",
        ),
        "READONLY" => (
            ErrorKind::Redis,
            Retry::Safe,
            "the server is a replica; name the master, or its sentinels",
        ),
        "BUSY" => (
            ErrorKind::Redis,
            Retry::Safe,
            "a script runs for too long; SCRIPT KILL ends it if it has not written",
        ),
        "MOVED" | "ASK" => (
            ErrorKind::Redis,
            Retry::Safe,
            "the server belongs to a cluster; begin redis_url with redis+cluster://",
        ),
        "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "TRYAGAIN" => {
            (ErrorKind::Redis, Retry::Safe, "it passes by itself")
        }
        "CROSSSLOT" => (
            ErrorKind::Redis,
            Retry::Never,
            "give the keys a common {tag}, so that they share a slot",
        ),
        "NOPERM" => (
            ErrorKind::Redis,
            Retry::Never,
            "the user's ACL does not allow it; see ACL GETUSER",
        ),
        _ => (ErrorKind::Redis, Retry::Never, ""),
    };
    refused(kind, error, (name, remedy)).with_retry(retry)
}

/// What the server said, in words that repeat no value.
fn refused(kind: ErrorKind, error: &ServerError, (name, remedy): (&str, &str)) -> Error {
    let (code, detail) = (error.code(), harmless(error.details().unwrap_or_default()));
    let text = match remedy {
        "" => format!("{name} was refused: {code} {detail}"),
        remedy => format!("{name} was refused: {code} {detail}. {remedy}"),
    };
    Error::new(kind, text)
        .with_retry(Retry::Never)
        .with_redis_code(code)
}

/// The detail without what it repeats of the command, whose words may be secrets.
fn harmless(detail: &str) -> &str {
    let cut = detail
        .find(", with args beginning")
        .or_else(|| detail.find(" called with arguments"))
        .unwrap_or(detail.len());
    detail.get(..cut).unwrap_or_default().trim_end_matches('.')
}

/// The node that a redirection names; without a host it is that of the node that was asked.
fn redirect(error: &ServerError, asked: &RedisAddress) -> Option<RedisAddress> {
    let (_slot, place) = error.details()?.split_once(' ')?;
    let (host, port) = place.trim().rsplit_once(':')?;
    let host = match (host, asked) {
        ("" | "?", RedisAddress::Tcp { host, .. }) => host.clone(),
        (host, _) => host.trim_matches(['[', ']']).to_owned(),
    };
    let port = port.parse().ok()?;
    Some(RedisAddress::Tcp { host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> RedisAddress {
        RedisAddress::Tcp {
            host: "h".to_owned(),
            port: 1,
        }
    }

    fn verdict(text: &str) -> Verdict {
        let line = format!("-{text}\r\n");
        let answer = redis::parse_redis_value(line.as_bytes()).expect("an error");
        of_answer(answer, "SET", &asked())
    }

    fn tcp(host: &str, port: u16) -> RedisAddress {
        let host = host.to_owned();
        RedisAddress::Tcp { host, port }
    }

    #[test]
    fn what_will_pass_is_tried_again_where_it_belongs() {
        let cases = [
            ("ASK 5 a:2", Again::Ask(tcp("a", 2))),
            ("MOVED 5 a:2", Again::Moved(tcp("a", 2))),
            ("MOVED 5 :2", Again::Moved(tcp("h", 2))),
            ("MOVED 5 ::1:2", Again::Moved(tcp("::1", 2))),
            ("READONLY You can't write", Again::Rediscover),
            ("LOADING Redis is loading", Again::Wait),
            ("MASTERDOWN Link is down", Again::Wait),
            ("TRYAGAIN Multiple keys", Again::Wait),
            ("CLUSTERDOWN Hash slot not served", Again::Wait),
            ("BUSY Redis is busy", Again::Wait),
            ("NOAUTH Authentication required.", Again::Login),
            ("WRONGPASS invalid", Again::Login),
        ];
        for (text, expected) in cases {
            let Verdict::Again(again, error) = verdict(text) else {
                panic!("{text} is not tried again");
            };
            assert_eq!(again, expected, "{text}");
            assert_eq!(error.redis_code(), text.split(' ').next());
        }
    }

    #[test]
    fn what_stays_so_is_told() {
        for (text, retry) in [
            ("OOM command not allowed", Retry::Safe),
            ("MISCONF Errors writing", Retry::Safe),
            ("NOREPLICAS Not enough", Retry::Safe),
            ("NOPERM this user", Retry::Never),
            ("WRONGTYPE Operation", Retry::Never),
            ("BUSYGROUP exists", Retry::Never),
            ("MOVED nonsense", Retry::Safe),
            ("ERR wrong number", Retry::Never),
        ] {
            let Verdict::Failed(error) = verdict(text) else {
                panic!("{text} is tried again");
            };
            assert_eq!(error.retry(), retry, "{text}");
            assert_eq!(error.redis_code(), text.split(' ').next());
        }
    }

    #[test]
    fn a_script_is_tried_again_only_for_what_the_server_said_itself() {
        let judged = |text: &str| {
            let line = format!("-{text}\r\n");
            let answer = redis::parse_redis_value(line.as_bytes()).expect("an error");
            of_answer(answer, "EVAL", &asked())
        };
        // As Redis 7 and Valkey 8 say it.
        for text in [
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL",
            "BUSY Valkey is busy running a script. You can only call SCRIPT KILL",
            "LOADING Redis is loading the dataset in memory",
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "CLUSTERDOWN The cluster is down",
            "CLUSTERDOWN Hash slot not served",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "READONLY You can't write against a read only replica.",
            "NOAUTH Authentication required.",
            "MOVED 5 a:2",
        ] {
            assert!(matches!(judged(text), Verdict::Again(..)), "{text}");
        }
        for text in [
            "BUSY the lock is held",
            "TRYAGAIN",
            "LOADING later",
            "READONLY mode",
        ] {
            let Verdict::Failed(error) = judged(text) else {
                panic!("{text} is tried again");
            };
            assert_eq!(error.retry(), Retry::Never, "{text}");
        }
    }

    #[test]
    fn the_words_of_a_command_are_not_repeated() {
        let text = "ERR unknown command 'X', with args beginning with: 'canary' ";
        let Verdict::Failed(error) = verdict(text) else {
            panic!("it is tried again");
        };
        assert!(!error.to_string().contains("canary"), "{error}");
    }

    #[test]
    fn without_an_answer_only_what_may_count_twice_is_unknown() {
        let cut = RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        for effect in [Effect::Reads, Effect::Settles] {
            let verdict = of_failure(&cut, "GET", effect, &asked());
            assert!(matches!(verdict, Verdict::Again(Again::Reconnect, _)));
        }
        let Verdict::Failed(error) = of_failure(&cut, "INCR", Effect::Changes, &asked()) else {
            panic!("it is tried again");
        };
        assert_eq!(error.kind(), ErrorKind::Unknown);
        assert_eq!(error.retry(), Retry::IfIdempotent);
    }
}
