//! The settings that take one word of a fixed list.

use crate::{Error, Kind};

/// Declares an enum whose variants are written as words in connection strings.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident for $key:literal {
        $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// The word that stands for it in a connection string.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;

            fn from_str(word: &str) -> Result<Self, Error> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(Error::new(
                        Kind::Config,
                        concat!($key, " must be one of:", $(" ", $word,)+),
                    )),
                }
            }
        }
    };
}

words! {
    /// How TLS is used on a TCP connection; on unix sockets it never is.
    ///
    /// Default: `verify-full` for hosts that are not local, `prefer` for local ones.
    SslMode for "sslmode" {
        /// Never.
        Disable = "disable",
        /// Clear text; TLS only if the server refuses clear text. Nothing is verified.
        Allow = "allow",
        /// TLS if the server offers it, else clear text. No protection from an active attacker.
        Prefer = "prefer",
        /// Always TLS; the certificate is verified only if `sslrootcert` is given.
        Require = "require",
        /// Always TLS, and the certificate must be signed by a trusted authority.
        VerifyCa = "verify-ca",
        /// As `verify-ca`, and the certificate must be for the host that was asked for.
        VerifyFull = "verify-full",
    }
}

words! {
    /// How a TLS connection begins. Default: `postgres`.
    SslNegotiation for "sslnegotiation" {
        /// The client asks within the PostgreSQL protocol, then TLS begins.
        Postgres = "postgres",
        /// TLS begins at once; needs PostgreSQL 17 and `sslmode` `require` or stronger.
        Direct = "direct",
    }
}

words! {
    /// Whether SCRAM is bound to the TLS channel, which defeats a man in the middle who holds a
    /// certificate that the client trusts. Default: `prefer`.
    ChannelBinding for "channel_binding" {
        /// Never.
        Disable = "disable",
        /// If the server offers it.
        Prefer = "prefer",
        /// Always: a server that does not is refused.
        Require = "require",
    }
}

words! {
    /// Which sessions are acceptable when several hosts are given. Default: `any`.
    TargetSessionAttrs for "target_session_attrs" {
        /// Any.
        Any = "any",
        /// Transactions can write by default: no standby, and not read-only by setting.
        ReadWrite = "read-write",
        /// Transactions can't write by default.
        ReadOnly = "read-only",
        /// The server is not in recovery.
        Primary = "primary",
        /// The server is in recovery.
        Standby = "standby",
        /// A standby if there is one, else any.
        PreferStandby = "prefer-standby",
    }
}

words! {
    /// In which order hosts, and the addresses of one host, are tried. Default: `disable`.
    LoadBalanceHosts for "load_balance_hosts" {
        /// As written.
        Disable = "disable",
        /// Shuffled for each connection.
        Random = "random",
    }
}

#[cfg(test)]
mod tests {
    use super::{SslMode, TargetSessionAttrs};

    #[test]
    fn words_are_read_as_they_are_written() {
        for mode in ["disable", "allow", "prefer", "require", "verify-ca"] {
            assert_eq!(mode.parse::<SslMode>().unwrap().as_str(), mode);
        }
        let parsed: TargetSessionAttrs = "prefer-standby".parse().unwrap();
        assert_eq!(parsed, TargetSessionAttrs::PreferStandby);
    }

    #[test]
    fn a_wrong_word_is_refused_with_the_list_and_without_the_word() {
        let error = "hunter2".parse::<SslMode>().unwrap_err().to_string();
        assert!(
            error.contains("verify-full") && error.contains("sslmode"),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }
}
