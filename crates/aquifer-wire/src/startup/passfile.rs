//! The password file of libpq: a line `host:port:database:user:password` per login.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::config::{Host, SOCKET_DIRECTORIES, Settings, Target};
use crate::secret::Secret;
use crate::{Error, Kind};

/// Looks for the password of one login when the server asks for it.
#[derive(Debug)]
pub(super) struct Lookup {
    file: PathBuf,
    /// Host, port, database and user, as the file writes them.
    login: [String; 4],
    pub(super) found: Option<Secret>,
}

impl Lookup {
    /// `None` if a password is set, or no file is named.
    pub(super) fn new(settings: &Settings, target: &Target, user: &str) -> Option<Self> {
        let file = settings
            .passfile
            .as_ref()
            .filter(|_file| settings.password.is_none())?;
        let host = match &target.host {
            Host::Tcp { name, .. } => name.clone(),
            Host::Unix(directory) => match directory.to_str() {
                Some(usual) if SOCKET_DIRECTORIES.contains(&usual) => "localhost".to_owned(),
                _ => directory.display().to_string(),
            },
        };
        let database = settings.dbname.as_deref().unwrap_or(user);
        Some(Self {
            file: file.clone(),
            login: [
                host,
                target.port.to_string(),
                database.to_owned(),
                user.to_owned(),
            ],
            found: None,
        })
    }

    /// Reads the file anew; a missing one is an empty one.
    ///
    /// # Errors
    /// [`Kind::Config`] if it can't be read, or could be read by others too.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn find(&mut self) -> Result<(), Error> {
        let (file, login) = (self.file.clone(), self.login.clone());
        self.found = tokio::task::spawn_blocking(move || read(&file, &login))
            .await
            .map_err(|error| {
                Error::new(Kind::Config, "reading the password file failed").with_source(error)
            })??;
        Ok(())
    }
}

fn read(file: &Path, login: &[String; 4]) -> Result<Option<Secret>, Error> {
    let refuse = |problem: &str| {
        let text = format!("passfile: can't use {}: {problem}", file.display());
        Error::new(Kind::Config, text)
    };
    let mode = match fs::metadata(file) {
        Ok(metadata) => metadata.permissions().mode(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refuse(&error.to_string())),
    };
    if mode & 0o077 != 0 {
        return Err(refuse(
            "others may read it; run chmod 600 on it, as for psql",
        ));
    }
    let text = fs::read_to_string(file).map_err(|error| refuse(&error.to_string()))?;
    Ok(text.lines().find_map(|line| password(line, login)))
}

/// The password of a line, if the line is of this login.
fn password(line: &str, login: &[String; 4]) -> Option<Secret> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line;
    for wanted in login {
        rest = after_match(rest, wanted)?;
    }
    let mut password = String::new();
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => password.extend(characters.next()),
            _ => password.push(character),
        }
    }
    (!password.is_empty()).then(|| Secret::new(password))
}

/// What follows the first field, if that is `*` or `wanted`; a backslash takes the character after
/// it as it is.
fn after_match<'a>(text: &'a str, wanted: &str) -> Option<&'a str> {
    if let Some(rest) = text.strip_prefix("*:") {
        return Some(rest);
    }
    let mut characters = text.chars();
    let mut wanted = wanted.chars();
    loop {
        let character = match characters.next()? {
            ':' => return wanted.next().is_none().then_some(characters.as_str()),
            '\\' => characters.next()?,
            character => character,
        };
        if wanted.next() != Some(character) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::password;

    fn found(line: &str) -> Option<String> {
        let login = ["db.example.com", "5432", "shop", "app:x"].map(str::to_owned);
        password(line, &login).map(|secret| secret.reveal().to_owned())
    }

    #[test]
    fn a_line_is_read_as_libpq_reads_it() {
        for (line, expected) in [
            (r"db.example.com:5432:shop:app\:x:pass", Some("pass")),
            ("*:*:*:*:pass", Some("pass")),
            (r"*:5432:*:app\:x:a:b\:c\\d", Some(r"a:b:c\d")),
            ("db.example.com:5432:shop:app:x:pass", None),
            ("db.example.co:*:*:*:pass", None),
            ("db.example.comm:*:*:*:pass", None),
            ("*:5433:*:*:pass", None),
            ("#*:*:*:*:pass", None),
            ("*:*:*:*:", None),
            ("*:*:*:*", None),
            ("", None),
            (r"\", None),
        ] {
            assert_eq!(found(line).as_deref(), expected, "{line}");
        }
    }
}
