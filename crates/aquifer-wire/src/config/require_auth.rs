//! `require_auth`: which ways of proving who we are the client consents to.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Kind};

/// A way in which a server lets a client in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// No proof was asked for: `trust`, `peer`, `ident` or a client certificate.
    None,
    /// The password itself.
    Password,
    /// A salted MD5 of the password.
    Md5,
    /// SCRAM-SHA-256, with or without channel binding.
    ScramSha256,
}

/// The list of `require_auth`: either what is allowed or, negated, what is refused.
///
/// `gss`, `sspi` and `oauth` may be named, as libpq allows; Aquifer speaks none of them, so they
/// never come to pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequireAuth {
    negated: bool,
    names: Vec<&'static str>,
}

const NAMES: [&str; 7] = [
    "password",
    "md5",
    "gss",
    "sspi",
    "scram-sha-256",
    "oauth",
    "none",
];

impl AuthMethod {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Password => "password",
            Self::Md5 => "md5",
            Self::ScramSha256 => "scram-sha-256",
        }
    }
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl RequireAuth {
    /// Whether the list lets `method` pass.
    #[must_use]
    pub fn allows(&self, method: AuthMethod) -> bool {
        self.names.contains(&method.name()) != self.negated
    }

    /// Whether `method` is on a list of what is allowed, so that somebody chose it knowingly.
    pub(crate) fn names(&self, method: AuthMethod) -> bool {
        !self.negated && self.names.contains(&method.name())
    }
}

impl FromStr for RequireAuth {
    type Err = Error;

    fn from_str(list: &str) -> Result<Self, Error> {
        let negated = list.trim_start().starts_with('!');
        let mut names = Vec::new();
        for item in list.split(',').map(str::trim) {
            let name = item.strip_prefix('!');
            if name.is_some() != negated {
                return Err(refused("mixes methods with and without `!`"));
            }
            let name = name.unwrap_or(item);
            let Some(known) = NAMES.into_iter().find(|known| *known == name) else {
                return Err(refused("names a method that is unknown"));
            };
            if names.contains(&known) {
                return Err(refused("names a method twice"));
            }
            names.push(known);
        }
        let list = Self { negated, names };
        let possible = [
            AuthMethod::None,
            AuthMethod::Password,
            AuthMethod::Md5,
            AuthMethod::ScramSha256,
        ];
        if !possible.into_iter().any(|method| list.allows(method)) {
            return Err(refused("leaves no method that Aquifer speaks"));
        }
        Ok(list)
    }
}

impl fmt::Display for RequireAuth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, name) in self.names.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            let negation = if self.negated { "!" } else { "" };
            write!(formatter, "{comma}{negation}{name}")?;
        }
        Ok(())
    }
}

fn refused(why: &str) -> Error {
    Error::new(
        Kind::Config,
        format!(
            "require_auth {why}; give a comma-separated list of password, md5, scram-sha-256, \
             none, or of methods to refuse, each after `!`"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::{AuthMethod, RequireAuth};

    #[test]
    fn a_list_allows_what_it_names_and_a_negated_one_the_rest() {
        let list: RequireAuth = "scram-sha-256,none".parse().unwrap();
        assert!(list.allows(AuthMethod::ScramSha256) && list.allows(AuthMethod::None));
        assert!(!list.allows(AuthMethod::Md5) && !list.allows(AuthMethod::Password));
        let list: RequireAuth = "!password, !md5".parse().unwrap();
        assert!(list.allows(AuthMethod::ScramSha256) && list.allows(AuthMethod::None));
        assert!(!list.allows(AuthMethod::Md5) && !list.names(AuthMethod::ScramSha256));
        assert_eq!(list.to_string(), "!password,!md5");
    }

    #[test]
    fn lists_that_make_no_sense_are_refused() {
        for list in [
            "",
            "md5,!none",
            "md5,md5",
            "kerberos",
            "gss,sspi",
            "!none,!md5,!password,!scram-sha-256",
        ] {
            assert!(list.parse::<RequireAuth>().is_err(), "{list}");
        }
    }
}
