use std::fmt::Write;

use aquifer_embedded::Builder;

/// A role of every [`Postgres`](crate::Postgres), named after the way in which it must log in.
///
/// They apply to the port and to the unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Login {
    /// Without a password.
    Trust,
    /// With the password in clear text.
    Password,
    /// With MD5.
    Md5,
    /// With SCRAM-SHA-256, or -PLUS over TLS.
    Scram,
    /// With SCRAM-SHA-256, and over TLS only.
    Tls,
    /// With a client certificate whose common name is the role's name, over TLS only.
    Certificate,
    /// Not at all: the server's rules refuse it.
    Rejected,
}

/// The password of all roles that have one: it has what URLs and connection strings stumble over.
const PASSWORD: &str = "p@ss/w:rd? 100%é'\\";

/// [`PASSWORD`], percent-encoded.
const PASSWORD_IN_URL: &str = "p%40ss%2Fw%3Ard%3F%20100%25%C3%A9%27%5C";

pub(super) const ROLES: &str = r"
    create role trust_user login;
    create role rejected_user login;
    create role certificate_user login;
    set password_encryption = 'md5';
    create role md5_user login password E'p@ss/w:rd? 100%é''\\';
    set password_encryption = 'scram-sha-256';
    create role password_user login password E'p@ss/w:rd? 100%é''\\';
    create role scram_user login password E'p@ss/w:rd? 100%é''\\';
    create role tls_user login password E'p@ss/w:rd? 100%é''\\';
";

impl Login {
    /// The role's name.
    #[must_use]
    pub fn role(self) -> &'static str {
        match self {
            Self::Trust => "trust_user",
            Self::Password => "password_user",
            Self::Md5 => "md5_user",
            Self::Scram => "scram_user",
            Self::Tls => "tls_user",
            Self::Certificate => "certificate_user",
            Self::Rejected => "rejected_user",
        }
    }

    /// The role's password, if it has one.
    #[must_use]
    pub fn password(self) -> Option<&'static str> {
        match self {
            Self::Password | Self::Md5 | Self::Scram | Self::Tls => Some(PASSWORD),
            Self::Trust | Self::Certificate | Self::Rejected => None,
        }
    }

    /// The URL of database `postgres` for this role.
    #[must_use]
    pub fn url(self, host: &str, port: u16) -> String {
        let mut url = format!("postgresql://{}", self.role());
        if self.password().is_some() {
            url.push(':');
            url.push_str(PASSWORD_IN_URL);
        }
        // Writing to a `String` can't fail.
        let _infallible = write!(url, "@{host}:{port}/postgres");
        url
    }
}

pub(super) fn rules(builder: Builder) -> Builder {
    let mut builder = builder;
    for (role, method) in [
        ("trust_user", "trust"),
        ("password_user", "password"),
        ("md5_user", "md5"),
        ("scram_user", "scram-sha-256"),
        ("rejected_user", "reject"),
    ] {
        builder = builder
            .hba_line(format!("local all {role} {method}"))
            .hba_line(format!("host all {role} 127.0.0.1/32 {method}"));
    }
    builder
        .hba_line("hostssl all tls_user 127.0.0.1/32 scram-sha-256")
        .hba_line("host all tls_user 127.0.0.1/32 reject")
        .hba_line("hostssl all certificate_user 127.0.0.1/32 cert")
        .hba_line("host all certificate_user 127.0.0.1/32 reject")
}
