use std::collections::hash_map::RandomState;
use std::env;
use std::fs;
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::{Error, ErrorKind};

/// What a unix socket's path may have, without its final NUL.
const SOCKET_PATH_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Ports that systems don't give to outgoing connections, so that a server that restarts finds its
/// own port free. All are below 55,536, which leaves room for the bus of a Redis cluster.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// Picks a name for a private directory that the server's account can reach; makes nothing.
pub(crate) fn private_directory(account: &Account) -> Result<PathBuf, Error> {
    let name = format!("aquifer-{:016x}", random());
    let mut refused = Vec::new();
    for parent in [env::temp_dir(), PathBuf::from("/tmp")] {
        // The directory is compared with what the system says about processes in it.
        let Ok(parent) = fs::canonicalize(&parent) else {
            refused.push(format!("{} does not exist", parent.display()));
            continue;
        };
        let directory = parent.join(&name);
        let length = socket_path(&directory, u16::MAX).as_os_str().len();
        if length > SOCKET_PATH_MAX {
            refused.push(format!(
                "the socket's path below {} would have {length} bytes of at most {SOCKET_PATH_MAX}",
                parent.display()
            ));
        } else if let Some(barrier) = account.barred_from(&parent) {
            refused.push(format!(
                "{} can't enter {}",
                account.described(),
                barrier.display()
            ));
        } else {
            return Ok(directory);
        }
    }
    Err(Error::new(
        ErrorKind::Directory,
        format!(
            "no place for the server's private directory: {}. Set TMPDIR to a short path that \
             everyone can enter",
            refused.join("; ")
        ),
    ))
}

pub(crate) fn socket_path(directory: &Path, port: u16) -> PathBuf {
    directory.join(format!(".s.PGSQL.{port}"))
}

/// A loopback port that is free now and that the system won't give to outgoing connections.
///
/// Another process may take it before the caller's server does: be ready to ask again.
#[must_use]
pub fn free_port() -> Option<u16> {
    let span = u64::from(PORTS.end - PORTS.start);
    (0..100)
        .filter_map(|_| u16::try_from(random() % span).ok())
        .map(|offset| PORTS.start + offset)
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
}

/// Unpredictable enough to avoid collisions; not for secrets.
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_outside_the_range_of_outgoing_connections() {
        for _ in 0..20 {
            let port = free_port().expect("some port is free");
            assert!(PORTS.contains(&port));
        }
    }

    #[test]
    fn two_private_directories_have_two_names() {
        let first = private_directory(&Account::Own).expect("a place");
        let second = private_directory(&Account::Own).expect("a place");
        assert_ne!(first, second);
        assert!(!first.exists());
    }
}
