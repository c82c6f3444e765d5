//! What is known of commands by their names: where their keys stand, whether they may be sent
//! twice, and which ones have no place on a connection that is shared.

use redis::{Arg, Cmd};

use super::slot::slot_of;

/// What happens to the data when a command is sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effect {
    /// It changes nothing.
    Reads,
    /// It leaves the same as when it was sent once, though its answer may differ.
    Settles,
    /// It may count twice.
    Changes,
}

/// Where a command's keys stand; all words are counted from the name, 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    None,
    /// One key, at this word; more of them may follow.
    At(usize),
    /// Their number stands at this word, the keys behind it.
    CountedAt(usize),
    /// Behind the word STREAMS.
    AfterStreams,
}

const READS: &str = " BITCOUNT BITFIELD_RO BITPOS DBSIZE DUMP ECHO EVALSHA_RO EVAL_RO EXISTS \
    EXPIRETIME FCALL_RO GEODIST GEOHASH GEOPOS GEORADIUS_RO GEORADIUSBYMEMBER_RO GEOSEARCH GET \
    GETBIT GETRANGE HEXISTS HGET HGETALL HKEYS HLEN HMGET HRANDFIELD HSCAN HSTRLEN HVALS INFO KEYS \
    LASTSAVE LCS LINDEX LLEN LOLWUT LPOS LRANGE MEMORY MGET OBJECT PEXPIRETIME PFCOUNT PING PTTL \
    RANDOMKEY ROLE SCAN SCARD SDIFF SINTER SINTERCARD SISMEMBER SMEMBERS SMISMEMBER SORT_RO \
    SRANDMEMBER SSCAN STRLEN SUBSTR SUNION TIME TOUCH TTL TYPE XINFO XLEN XPENDING XRANGE XREAD \
    XREVRANGE ZCARD ZCOUNT ZDIFF ZINTER ZINTERCARD ZLEXCOUNT ZMSCORE ZRANDMEMBER ZRANGE \
    ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREVRANGE ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN \
    ZSCORE ZUNION ";

const SETTLES: &str = " DEL EXPIRE EXPIREAT FLUSHALL FLUSHDB HDEL HMSET HSET LSET MSET \
    PERSIST PEXPIRE PEXPIREAT PFADD PFMERGE PSETEX SADD SDIFFSTORE SET SETBIT SETEX SETRANGE \
    SINTERSTORE SREM SUNIONSTORE UNLINK ZADD ZREM ZREMRANGEBYLEX ZREMRANGEBYSCORE ";

/// Words that make a command of [`SETTLES`] depend on what it finds, so that a second run does
/// something else than the first.
const CONDITIONS: [&[u8]; 8] = [
    b"NX", b"XX", b"GT", b"LT", b"GET", b"INCR", b"IFEQ", b"IFNE",
];

/// Commands that wait on the server: all others on the connection would wait behind them.
const BLOCKS: &str = " BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN WAIT WAITAOF ";

/// Commands that change the connection for whoever uses it next.
const STATE: &str = " ASKING AUTH DISCARD EXEC HELLO MONITOR MULTI PSUBSCRIBE PSYNC PUNSUBSCRIBE \
    QUIT READONLY READWRITE REPLCONF RESET SELECT SSUBSCRIBE SUBSCRIBE SUNSUBSCRIBE SYNC \
    UNSUBSCRIBE UNWATCH WATCH ";

const KEYLESS: &str = " ACL BGREWRITEAOF BGSAVE CLIENT CLUSTER COMMAND CONFIG DBSIZE DEBUG ECHO \
    FAILOVER FLUSHALL FLUSHDB FUNCTION INFO KEYS LASTSAVE LATENCY LOLWUT MODULE PING PUBLISH PUBSUB \
    RANDOMKEY REPLICAOF ROLE SAVE SCAN SCRIPT SHUTDOWN SLAVEOF SLOWLOG SWAPDB TIME WAIT WAITAOF ";

const SECOND_WORD: &str = " BITOP MEMORY OBJECT XGROUP XINFO ";

const COUNTED: &str = " EVAL EVALSHA EVALSHA_RO EVAL_RO FCALL FCALL_RO ";

const COUNTED_FIRST: &str = " LMPOP SINTERCARD ZDIFF ZINTER ZINTERCARD ZMPOP ZUNION ";

/// A command with what is known of it.
pub(super) struct Known<'a> {
    words: Vec<&'a [u8]>,
    /// In capitals and between spaces, as in the lists.
    name: String,
}

impl<'a> Known<'a> {
    pub(super) fn of(command: &'a Cmd) -> Self {
        let words: Vec<&[u8]> = command
            .args_iter()
            .map(|word| match word {
                Arg::Simple(bytes) => bytes,
                // A cursor; its place matters, its value does not.
                _ => b"0",
            })
            .collect();
        let name = words.first().copied().unwrap_or_default();
        let name = format!(" {} ", String::from_utf8_lossy(name).to_ascii_uppercase());
        Self { words, name }
    }

    /// Its name in capitals.
    pub(super) fn name(&self) -> &str {
        self.name.trim()
    }

    pub(super) fn effect(&self) -> Effect {
        if self.is_in(READS) {
            return Effect::Reads;
        }
        // A key or a value may look like a condition; then the command is only not repeated.
        let conditional = self.words.iter().skip(2).any(|word| {
            CONDITIONS
                .iter()
                .any(|condition| word.eq_ignore_ascii_case(condition))
        });
        if self.is_in(SETTLES) && !conditional {
            return Effect::Settles;
        }
        Effect::Changes
    }

    /// Why the command has no place on a shared connection, if it has none.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        let said = |word: &[u8]| {
            let mut words = self.words.iter().skip(1);
            words.any(|given| given.eq_ignore_ascii_case(word))
        };
        if self.is_in(BLOCKS) || (self.name.starts_with(" XREAD") && said(b"BLOCK")) {
            return Some("waits on the server, and all others on the shared connection behind it");
        }
        let client_state: [&[u8]; 5] =
            [b"REPLY", b"TRACKING", b"CACHING", b"NO-EVICT", b"NO-TOUCH"];
        let second = self.words.get(1).copied().unwrap_or_default();
        let changes_client = self.name == " CLIENT "
            && client_state
                .iter()
                .any(|word| second.eq_ignore_ascii_case(word));
        if self.is_in(STATE) || changes_client {
            return Some("changes the connection, which others share");
        }
        self.name.trim().is_empty().then_some("has no name")
    }

    /// The key by which the command is routed.
    pub(super) fn key(&self) -> Option<&'a [u8]> {
        match self.keys() {
            Keys::None => None,
            Keys::At(place) => self.words.get(place).copied(),
            Keys::CountedAt(place) => {
                let count = std::str::from_utf8(self.words.get(place)?).ok()?;
                let some = count.parse::<usize>().ok()? > 0;
                some.then(|| self.words.get(place + 1).copied()).flatten()
            }
            Keys::AfterStreams => {
                let mut words = self.words.iter();
                words.find(|word| word.eq_ignore_ascii_case(b"STREAMS"))?;
                words.next().copied()
            }
        }
    }

    /// The slot by which the command is routed; commands without keys go anywhere.
    pub(super) fn slot(&self) -> Option<u16> {
        self.key().map(slot_of)
    }

    fn keys(&self) -> Keys {
        if self.is_in(KEYLESS) {
            Keys::None
        } else if self.is_in(SECOND_WORD) {
            Keys::At(2)
        } else if self.is_in(COUNTED) {
            Keys::CountedAt(2)
        } else if self.is_in(COUNTED_FIRST) {
            Keys::CountedAt(1)
        } else if self.name.starts_with(" XREAD") {
            Keys::AfterStreams
        } else {
            Keys::At(1)
        }
    }

    fn is_in(&self, list: &str) -> bool {
        list.contains(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str) -> Cmd {
        let mut words = text.split(' ');
        let mut command = redis::cmd(words.next().expect("a name"));
        for word in words {
            command.arg(word);
        }
        command
    }

    #[test]
    fn a_command_may_be_sent_twice_only_if_that_leaves_the_same() {
        let cases = [
            ("GET a", Effect::Reads),
            ("get a", Effect::Reads),
            ("SET a 1", Effect::Settles),
            ("SET a 1 PX 5", Effect::Settles),
            ("SET a 1 nx", Effect::Changes),
            ("SET a 1 GET", Effect::Changes),
            ("DEL a b", Effect::Settles),
            ("ZADD a 1 m", Effect::Settles),
            ("ZADD a INCR 1 m", Effect::Changes),
            ("ZADD a 1 INCR 2 m", Effect::Changes),
            ("INCR a", Effect::Changes),
            ("PUBLISH a b", Effect::Changes),
            ("LPUSH a b", Effect::Changes),
            // Twice, and twice as much is gone.
            ("LTRIM a 1 -1", Effect::Changes),
            ("LTRIM a 0 -2", Effect::Changes),
            ("EVAL x 0", Effect::Changes),
            ("UNHEARDOF a", Effect::Changes),
        ];
        for (text, effect) in cases {
            assert_eq!(Known::of(&command(text)).effect(), effect, "{text}");
        }
    }

    #[test]
    fn the_key_is_found() {
        let cases = [
            ("GET a", Some("a")),
            ("MGET a b", Some("a")),
            ("EVAL script 2 a b", Some("a")),
            ("EVAL script 0 a", None),
            ("OBJECT ENCODING a", Some("a")),
            ("XREAD COUNT 1 STREAMS a 0", Some("a")),
            ("ZUNION 2 a b", Some("a")),
            ("BITOP AND a b c", Some("a")),
            ("UNHEARDOF a", Some("a")),
            ("PING", None),
            ("PUBLISH a b", None),
            ("GET", None),
        ];
        for (text, key) in cases {
            let command = command(text);
            let found = Known::of(&command).key();
            assert_eq!(found, key.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn what_would_hold_up_or_change_a_shared_connection_is_refused() {
        for text in [
            "BLPOP a 0",
            "xread BLOCK 0 STREAMS a $",
            "WAIT 1 0",
            "SUBSCRIBE a",
            "MULTI",
            "SELECT 1",
            "CLIENT tracking ON",
            "CLIENT REPLY OFF",
            "CLIENT NO-TOUCH ON",
        ] {
            assert!(Known::of(&command(text)).refusal().is_some(), "{text}");
        }
        for text in ["GET a", "XREAD STREAMS a 0", "CLIENT LIST", "PUBLISH a b"] {
            assert!(Known::of(&command(text)).refusal().is_none(), "{text}");
        }
    }
}
