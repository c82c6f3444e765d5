use std::fmt;

/// The five characters by which PostgreSQL names an error, for example `23505`.
///
/// The names and classes are those of the PostgreSQL manual, appendix A.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState([u8; 5]);

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl SqlState {
            $($(#[$doc])* pub const $name: Self = Self(*$code);)*
        }
    };
}

states! {
    /// `00000`: no error.
    SUCCESSFUL_COMPLETION = b"00000";
    /// `08007`: the outcome of the transaction is unknown.
    TRANSACTION_RESOLUTION_UNKNOWN = b"08007";
    /// `08P01`: the protocol was broken.
    PROTOCOL_VIOLATION = b"08P01";
    /// `0A000`: not supported; with the routine `RevalidateCachedQuery`, a stale plan.
    FEATURE_NOT_SUPPORTED = b"0A000";
    /// `22021`: text that is no text in the database's encoding.
    CHARACTER_NOT_IN_REPERTOIRE = b"22021";
    /// `22023`: a function was given a value that it can't take.
    INVALID_PARAMETER_VALUE = b"22023";
    /// `23502`: NULL where none may be.
    NOT_NULL_VIOLATION = b"23502";
    /// `23503`: a foreign key points nowhere, or is still pointed at.
    FOREIGN_KEY_VIOLATION = b"23503";
    /// `23505`: a unique key is taken.
    UNIQUE_VIOLATION = b"23505";
    /// `23514`: a check constraint failed.
    CHECK_VIOLATION = b"23514";
    /// `23P01`: an exclusion constraint failed.
    EXCLUSION_VIOLATION = b"23P01";
    /// `25001`: not allowed inside a transaction.
    ACTIVE_SQL_TRANSACTION = b"25001";
    /// `25006`: a write in a read-only transaction, or on a standby.
    READ_ONLY_SQL_TRANSACTION = b"25006";
    /// `25P02`: the transaction failed before and waits for its rollback.
    IN_FAILED_SQL_TRANSACTION = b"25P02";
    /// `25P03`: the transaction was idle for too long.
    IDLE_IN_TRANSACTION_SESSION_TIMEOUT = b"25P03";
    /// `26000`: no prepared statement of that name.
    INVALID_SQL_STATEMENT_NAME = b"26000";
    /// `28000`: the role may not log in this way.
    INVALID_AUTHORIZATION_SPECIFICATION = b"28000";
    /// `28P01`: wrong password.
    INVALID_PASSWORD = b"28P01";
    /// `40001`: the transaction could not be serialized; run it again.
    SERIALIZATION_FAILURE = b"40001";
    /// `40003`: whether the statement completed is unknown.
    STATEMENT_COMPLETION_UNKNOWN = b"40003";
    /// `40P01`: a deadlock was broken; run the transaction again.
    DEADLOCK_DETECTED = b"40P01";
    /// `53100`: no room on the server's disk.
    DISK_FULL = b"53100";
    /// `55000`: not in this state, such as a function that a server in recovery can't run.
    OBJECT_NOT_IN_PREREQUISITE_STATE = b"55000";
    /// `42501`: the role lacks a right.
    INSUFFICIENT_PRIVILEGE = b"42501";
    /// `42601`: the statement is no SQL.
    SYNTAX_ERROR = b"42601";
    /// `42P01`: no such table.
    UNDEFINED_TABLE = b"42P01";
    /// `42P05`: a prepared statement of that name exists.
    DUPLICATE_PREPARED_STATEMENT = b"42P05";
    /// `42P18`: the type of a parameter can't be told.
    INDETERMINATE_DATATYPE = b"42P18";
    /// `53300`: the server has no free connection.
    TOO_MANY_CONNECTIONS = b"53300";
    /// `55P03`: a lock could not be had in time.
    LOCK_NOT_AVAILABLE = b"55P03";
    /// `57014`: the statement was cancelled, by a request or a time-out.
    QUERY_CANCELED = b"57014";
    /// `57P01`: an administrator ended the session.
    ADMIN_SHUTDOWN = b"57P01";
    /// `57P02`: another session crashed and the server restarts.
    CRASH_SHUTDOWN = b"57P02";
    /// `57P03`: the server is starting up or shutting down.
    CANNOT_CONNECT_NOW = b"57P03";
    /// `57P05`: the session was idle for too long.
    IDLE_SESSION_TIMEOUT = b"57P05";
    /// `XX000`: an internal error of the server.
    INTERNAL_ERROR = b"XX000";
}

impl SqlState {
    /// Reads a code as the server sends it; `None` unless it is five ASCII digits or capitals.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        let bytes: [u8; 5] = code.as_bytes().try_into().ok()?;
        let plain = bytes
            .iter()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        plain.then_some(Self(bytes))
    }

    /// The five characters.
    #[must_use]
    pub fn code(&self) -> &str {
        // The constructor lets only ASCII in, so the fallback is never seen.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The first two characters, which name the class: `23` is integrity, `40` rollback.
    #[must_use]
    pub fn class(&self) -> &str {
        self.code().get(..2).unwrap_or_default()
    }
}

impl fmt::Display for SqlState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

impl fmt::Debug for SqlState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SqlState({self})")
    }
}
