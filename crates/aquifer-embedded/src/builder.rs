use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::standby::Source;
use crate::{Embedded, Error, ErrorKind};

/// How a private server is set up; made by [`Embedded::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `start` is called"]
pub struct Builder {
    pub(crate) binaries: Option<PathBuf>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) tcp: Tcp,
    pub(crate) superuser: String,
    pub(crate) start_timeout: Duration,
    pub(crate) source: Option<Source>,
    settings: Vec<(String, String)>,
    hba_lines: Vec<String>,
    tls: Option<(PathBuf, PathBuf)>,
    tls_client_roots: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Tcp {
    Off,
    AnyPort,
    Port(u16),
}

/// Settings that this crate decides itself; changing them would cut it off from its server.
const RESERVED: [&str; 8] = [
    "config_file",
    "data_directory",
    "hba_file",
    "listen_addresses",
    "log_destination",
    "logging_collector",
    "port",
    "unix_socket_directories",
];

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            binaries: None,
            directory: None,
            tcp: Tcp::Off,
            superuser: "postgres".to_owned(),
            start_timeout: Duration::from_secs(30),
            source: None,
            settings: Vec::new(),
            hba_lines: Vec::new(),
            tls: None,
            tls_client_roots: None,
        }
    }

    /// The directory that holds `postgres` and `initdb`; no other place is searched.
    ///
    /// Default: the directory named by `AQUIFER_PG_BIN`, else the first hit of
    /// `pg_config --bindir`, `/usr/lib/postgresql/*/bin` (highest version first) and its
    /// counterparts on Fedora and Homebrew, and the `PATH`.
    pub fn binaries(mut self, directory: impl Into<PathBuf>) -> Self {
        self.binaries = Some(directory.into());
        self
    }

    /// Keeps the data in this directory, with every commit safe on disk; made if it isn't there.
    ///
    /// Default: a temporary directory that is removed at the end, with `fsync` off. A directory may
    /// be opened again later, also after a crash, and by one owner at a time.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Also listens on a free port of 127.0.0.1; see [`Embedded::tcp_url`]. Default: off.
    pub fn tcp(mut self) -> Self {
        self.tcp = Tcp::AnyPort;
        self
    }

    /// Also listens on this port of 127.0.0.1. Default: off. Range: 1 to 65,535.
    pub fn tcp_port(mut self, port: u16) -> Self {
        self.tcp = Tcp::Port(port);
        self
    }

    /// The name of the superuser in a cluster that is made. Default: `postgres`.
    ///
    /// A cluster that exists must have been made with the same name.
    pub fn superuser(mut self, name: impl Into<String>) -> Self {
        self.superuser = name.into();
        self
    }

    /// Sets a server parameter, as a line of `postgresql.conf` would. The last one of a name wins.
    ///
    /// Parameters that decide where the server listens, keeps its files and writes its log are
    /// refused at start.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Adds a line of `pg_hba.conf` before the default ones; the first line that matches decides.
    ///
    /// Defaults: everyone on the unix socket is trusted (only this user and root can enter its
    /// directory); loopback connections need a password.
    pub fn hba_line(mut self, line: impl Into<String>) -> Self {
        self.hba_lines.push(line.into());
        self
    }

    /// Offers TLS with this certificate chain and key, both PEM files; they are copied. Default: off.
    pub fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls = Some((certificate.into(), key.into()));
        self
    }

    /// The PEM file of the authorities that client certificates are checked against. Default: none.
    pub fn tls_client_roots(mut self, roots: impl Into<PathBuf>) -> Self {
        self.tls_client_roots = Some(roots.into());
        self
    }

    /// How long the server may take until it accepts connections. Default: 30 s.
    ///
    /// Recovery after a crash of a large persistent directory may need more.
    pub fn start_timeout(mut self, time: Duration) -> Self {
        self.start_timeout = time;
        self
    }

    /// Starts as a standby: `primary`, which must run, is copied instead of making a new cluster, and
    /// then followed. Default: off.
    ///
    /// Superuser and password are those of the primary. A directory that holds a cluster already is
    /// not copied again: it starts as it is.
    pub fn standby_of(mut self, primary: &Embedded) -> Self {
        let source = Source::of(primary);
        self.superuser.clone_from(&source.superuser);
        self.source = Some(source);
        self
    }

    /// Starts the server and waits until it accepts connections; about a second for a new directory.
    ///
    /// It blocks the thread: from async code, call it where blocking is allowed.
    ///
    /// # Errors
    /// Every [`ErrorKind`] except `Stop`. Nothing is left behind.
    pub fn start(self) -> Result<Embedded, Error> {
        self.check()?;
        Embedded::launch(self)
    }

    fn check(&self) -> Result<(), Error> {
        let refuse = |message: String| Err(Error::new(ErrorKind::Configuration, message));
        if self.superuser.is_empty()
            || self.superuser.len() > 63
            || self.superuser.starts_with("pg_")
            // What initdb itself would fail on, late and unclearly.
            || self.superuser.contains(['\0', '"', '\'', '$', '\\'])
        {
            return refuse(
                "superuser: the name must have 1 to 63 bytes, none of NUL \" $ ' \\, and not start \
                 with `pg_`"
                    .to_owned(),
            );
        }
        if matches!(self.tcp, Tcp::Port(0)) {
            return refuse("tcp_port: 0 is no port; use `tcp` for any free one".to_owned());
        }
        for (name, value) in &self.settings {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.".contains(&byte);
            if name.is_empty() || !name.bytes().all(plain) {
                return refuse(format!("setting: {name:?} is no parameter name"));
            }
            if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
                return refuse(format!(
                    "setting: `{name}` is decided by the embedded server; leave it out"
                ));
            }
            if value.contains(['\n', '\r', '\0']) {
                return refuse(format!("setting: the value of `{name}` must be one line"));
            }
        }
        for line in &self.hba_lines {
            if line.contains(['\n', '\r', '\0']) {
                return refuse(format!("hba_line: {line:?} must be one line"));
            }
        }
        if self.tls_client_roots.is_some() && self.tls.is_none() {
            return refuse("tls_client_roots: needs `tls` too".to_owned());
        }
        Ok(())
    }

    /// The files to copy into the data directory, and their names there.
    pub(crate) fn tls_files(&self) -> impl Iterator<Item = (&Path, &'static str)> {
        let pair = self.tls.iter().flat_map(|(certificate, key)| {
            [
                (certificate.as_path(), "server.crt"),
                (key.as_path(), "server.key"),
            ]
        });
        let roots = self
            .tls_client_roots
            .iter()
            .map(|roots| (roots.as_path(), "root.crt"));
        pair.chain(roots)
    }

    pub(crate) fn access_rules(&self) -> String {
        let mut text = String::new();
        for line in &self.hba_lines {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(
            "local all         all               trust\n\
             local replication all               trust\n\
             host  all         all 127.0.0.1/32  scram-sha-256\n\
             host  replication all 127.0.0.1/32  scram-sha-256\n",
        );
        text
    }

    pub(crate) fn configuration(&self, private: &Path, port: u16, access: &Path) -> String {
        let sockets = private.display().to_string().replace('"', "\"\"");
        let addresses = match self.tcp {
            Tcp::Off => "",
            Tcp::AnyPort | Tcp::Port(_) => "127.0.0.1",
        };
        let mut settings = vec![
            ("unix_socket_directories", format!("\"{sockets}\"")),
            ("unix_socket_permissions", "0700".to_owned()),
            ("listen_addresses", addresses.to_owned()),
            ("port", port.to_string()),
            ("hba_file", access.display().to_string()),
            ("log_destination", "stderr".to_owned()),
            ("logging_collector", "off".to_owned()),
            ("lc_messages", "C".to_owned()),
            ("log_timezone", "UTC".to_owned()),
            ("timezone", "UTC".to_owned()),
        ];
        if self.directory.is_none() {
            settings.push(("fsync", "off".to_owned()));
            settings.push(("full_page_writes", "off".to_owned()));
            // Shared memory as files in the data directory: a killed server leaves none elsewhere.
            settings.push(("dynamic_shared_memory_type", "mmap".to_owned()));
        }
        if let Some(source) = &self.source {
            settings.push(("primary_conninfo", source.connection_string()));
            // Default: five seconds, for which a standby stands still when its primary restarts.
            settings.push(("wal_retrieve_retry_interval", "100ms".to_owned()));
        }
        if self.tls.is_some() {
            settings.push(("ssl", "on".to_owned()));
            settings.push(("ssl_cert_file", "server.crt".to_owned()));
            settings.push(("ssl_key_file", "server.key".to_owned()));
        }
        if self.tls_client_roots.is_some() {
            settings.push(("ssl_ca_file", "root.crt".to_owned()));
        }
        let mut text = String::from(
            "# Written at every start, and read after the file below.\n\
             include_if_exists 'postgresql.conf'\n",
        );
        let own = self
            .settings
            .iter()
            .map(|(name, value)| (name.as_str(), value));
        for (name, value) in settings
            .iter()
            .map(|(name, value)| (*name, value))
            .chain(own)
        {
            let value = value.replace('\\', "\\\\").replace('\'', "''");
            // Writing to a `String` can't fail.
            let _infallible = writeln!(text, "{name} = '{value}'");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_value_is_refused_with_its_name() {
        let cases = [
            (Builder::new().superuser(""), "superuser"),
            (Builder::new().superuser("pg_boss"), "superuser"),
            (Builder::new().superuser("the \"boss\""), "superuser"),
            (Builder::new().tcp_port(0), "tcp_port"),
            (Builder::new().setting("Port", "1"), "`Port`"),
            (Builder::new().setting("a b", "1"), "a b"),
            (
                Builder::new().setting("work_mem", "1\nport = 1"),
                "work_mem",
            ),
            (Builder::new().hba_line("local all all trust\n"), "hba_line"),
            (
                Builder::new().tls_client_roots("/roots"),
                "tls_client_roots",
            ),
        ];
        for (builder, name) in cases {
            let error = builder.start().expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn values_are_quoted() {
        let text = Builder::new()
            .setting("search_path", r#""it's", a\b"#)
            .configuration(Path::new("/tmp/x"), 5432, Path::new("/hba"));
        assert!(text.contains(r#"search_path = '"it''s", a\\b'"#), "{text}");
    }

    #[test]
    fn only_a_temporary_directory_does_without_fsync() {
        let text =
            |builder: Builder| builder.configuration(Path::new("/tmp/x"), 5432, Path::new("/hba"));
        assert!(text(Builder::new()).contains("fsync = 'off'"));
        assert!(!text(Builder::new().directory("/data")).contains("fsync"));
    }
}
