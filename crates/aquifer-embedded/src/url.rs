use std::fmt::Write;
use std::path::Path;

/// A URL for a server behind a unix socket in `directory`, as libpq and its kin read it.
///
/// A path can't be the host of a URL as it is, so it is percent-encoded.
pub(crate) fn socket(user: &str, directory: &Path, port: u16, database: &str) -> String {
    format!(
        "postgresql://{}@{}:{port}/{}",
        encoded(user.as_bytes()),
        encoded(directory.as_os_str().as_encoded_bytes()),
        encoded(database.as_bytes()),
    )
}

/// A URL for a server on the loopback address.
pub(crate) fn loopback(user: &str, password: Option<&str>, port: u16, database: &str) -> String {
    let secret = password.map_or_else(String::new, |password| {
        format!(":{}", encoded(password.as_bytes()))
    });
    format!(
        "postgresql://{}{secret}@127.0.0.1:{port}/{}",
        encoded(user.as_bytes()),
        encoded(database.as_bytes()),
    )
}

fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a `String` can't fail.
            let _infallible = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_directory_is_percent_encoded() {
        assert_eq!(
            socket("jo@home", Path::new("/tmp/a b"), 5432, "postgres"),
            "postgresql://jo%40home@%2Ftmp%2Fa%20b:5432/postgres"
        );
    }

    #[test]
    fn a_password_is_percent_encoded() {
        assert_eq!(
            loopback("postgres", Some("a/b:c"), 20000, "app"),
            "postgresql://postgres:a%2Fb%3Ac@127.0.0.1:20000/app"
        );
        assert_eq!(
            loopback("postgres", None, 20000, "app"),
            "postgresql://postgres@127.0.0.1:20000/app"
        );
    }
}
