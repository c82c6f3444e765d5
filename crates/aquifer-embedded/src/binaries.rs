use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, ErrorKind};

/// Names the directory of the server binaries to use, before anything that is installed.
const VARIABLE: &str = "AQUIFER_PG_BIN";

const ADVICE: &str = "Install the server (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf \
                      install postgresql-server; macOS: brew install postgresql), or name the \
                      directory that holds `postgres` and `initdb` with AQUIFER_PG_BIN or \
                      `Builder::binaries`.";

/// Finds a directory with `postgres` and `initdb`, of major version `wanted` if one is wanted.
pub(crate) fn locate(chosen: Option<&Path>, wanted: Option<&str>) -> Result<PathBuf, Error> {
    let named = chosen
        .map(Path::to_path_buf)
        .or_else(|| variable(VARIABLE).map(PathBuf::from));
    // A directory that somebody names is the only candidate: falling back would hide the mistake.
    let candidates = match named {
        Some(directory) => vec![directory],
        None => installed(),
    };
    choose(candidates, wanted)
}

fn choose(candidates: Vec<PathBuf>, wanted: Option<&str>) -> Result<PathBuf, Error> {
    let mut searched = Vec::new();
    for directory in candidates {
        if !["postgres", "initdb"]
            .iter()
            .all(|name| directory.join(name).is_file())
        {
            searched.push(directory.display().to_string());
            continue;
        }
        match wanted {
            None => return Ok(directory),
            Some(wanted) => {
                let found = major(&directory).unwrap_or_else(|| "unknown".to_owned());
                if found == wanted {
                    return Ok(directory);
                }
                searched.push(format!("{} (version {found})", directory.display()));
            }
        }
    }
    let what = wanted.map_or_else(
        || "PostgreSQL server binaries".to_owned(),
        |version| format!("binaries of PostgreSQL {version}, which made the directory,"),
    );
    Err(Error::new(
        ErrorKind::BinariesMissing,
        format!(
            "no {what} found; searched: {}. {ADVICE}",
            searched.join(", ")
        ),
    ))
}

/// Every place where packages put the binaries, most telling first.
fn installed() -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        let directory = String::from_utf8_lossy(&output.stdout);
        if !directory.trim().is_empty() {
            places.push(PathBuf::from(directory.trim()));
        }
    }
    // Debian and Ubuntu; Fedora and Red Hat; Homebrew on both kinds of Mac and on Linux.
    places.extend(newest_first("/usr/lib/postgresql", ""));
    places.extend(newest_first("/usr", "pgsql-"));
    for prefix in [
        "/opt/homebrew/opt",
        "/usr/local/opt",
        "/home/linuxbrew/.linuxbrew/opt",
    ] {
        places.extend(newest_first(prefix, "postgresql@"));
        places.push(Path::new(prefix).join("postgresql/bin"));
    }
    let path = variable("PATH").unwrap_or_default();
    for directory in env::split_paths(&path) {
        // A `postgres` on the PATH is often a link into the directory with the rest.
        let place = fs::canonicalize(directory.join("postgres"))
            .ok()
            .and_then(|program| program.parent().map(Path::to_path_buf))
            .unwrap_or(directory);
        places.push(place);
    }
    let mut once = Vec::new();
    for place in places {
        if !once.contains(&place) {
            once.push(place);
        }
    }
    once
}

/// `parent/<prefix><major version>/bin`, highest version first.
fn newest_first(parent: &str, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return vec![Path::new(parent).join(format!("{prefix}*/bin"))];
    };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let major = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((major, entry.path().join("bin")))
        })
        .collect();
    if versions.is_empty() {
        return vec![Path::new(parent).join(format!("{prefix}*/bin"))];
    }
    versions.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    versions.into_iter().map(|(_, path)| path).collect()
}

/// The major version of the binaries in `directory`, from "postgres (PostgreSQL) 15.18 (…)".
fn major(directory: &Path) -> Option<String> {
    let output = Command::new(directory.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.split_whitespace().nth(2)?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

/// The only place of this crate that reads the environment.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_lists_what_was_searched_and_what_to_install() {
        let error = choose(vec!["/no/such/place".into(), "/nor/here".into()], None)
            .expect_err("no binaries there");
        assert_eq!(error.kind(), ErrorKind::BinariesMissing);
        let message = error.to_string();
        for part in [
            "/no/such/place",
            "/nor/here",
            "apt-get install postgresql",
            VARIABLE,
        ] {
            assert!(message.contains(part), "{part} is missing in: {message}");
        }
    }

    #[test]
    fn every_usual_place_is_searched() {
        let places = installed();
        for place in ["/usr/lib/postgresql", "/usr/pgsql-", "/opt/homebrew/opt"] {
            assert!(
                places
                    .iter()
                    .any(|found| found.to_string_lossy().starts_with(place)),
                "{place} is missing in {places:?}"
            );
        }
    }

    #[test]
    fn binaries_of_another_major_version_are_not_used_for_an_existing_directory() {
        let directory = locate(None, None).expect("PostgreSQL is installed");
        let error = choose(vec![directory.clone()], Some("9")).expect_err("no such version");
        assert!(error.to_string().contains("PostgreSQL 9"), "{error}");
        let version = major(&directory).expect("it has a version");
        assert_eq!(
            choose(vec![directory.clone()], Some(&version)).expect("found"),
            directory
        );
    }
}
