//! The programs of the host that the project needs, where they are looked for, and how they are
//! installed when they are missing.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::process;

/// Set to `never`, nothing is installed.
const INSTALL: &str = "XTASK_INSTALL";

/// Names the directory of the PostgreSQL binaries; `aquifer-embedded` reads it too.
pub(crate) const POSTGRES_DIRECTORY: &str = "AQUIFER_PG_BIN";

/// Runs as root, with the packages as its arguments.
const INSTALL_SCRIPT: &str = include_str!("programs/install.sh");

/// A program of the host.
pub(crate) struct Program {
    name: &'static str,
    apt: &'static str,
    brew: &'static str,
    find: fn() -> Option<PathBuf>,
}

pub(crate) const POSTGRES: Program = Program {
    name: "PostgreSQL",
    apt: "postgresql",
    brew: "postgresql@17",
    find: postgres,
};

pub(crate) const REDIS: Program = Program {
    name: "Redis",
    apt: "redis-server",
    brew: "redis",
    find: || on_path("redis-server"),
};

pub(crate) const PGBOUNCER: Program = Program {
    name: "PgBouncer",
    apt: "pgbouncer",
    brew: "pgbouncer",
    // Debian keeps it where only root looks.
    find: || {
        let usual = PathBuf::from("/usr/sbin/pgbouncer");
        on_path("pgbouncer").or_else(|| Some(usual).filter(|at| at.is_file()))
    },
};

pub(crate) const STRACE: Program = Program {
    name: "strace",
    apt: "strace",
    brew: "strace",
    find: || on_path("strace"),
};

pub(crate) const VALGRIND: Program = Program {
    name: "valgrind",
    apt: "valgrind",
    brew: "valgrind",
    find: || on_path("valgrind"),
};

/// Makes sure that the programs are there, installing what is missing where that needs no question.
pub(crate) fn ensure(programs: &[Program]) -> Result<(), Failure> {
    refuse_a_wrong_directory(
        env::var_os(POSTGRES_DIRECTORY)
            .map(PathBuf::from)
            .as_deref(),
    )?;
    let missing = missing(programs);
    if missing.is_empty() {
        return Ok(());
    }
    if env::var_os(INSTALL).is_some_and(|value| value == "never") {
        return Err(advice(
            &missing,
            &format!("and {INSTALL}=never forbids installing them"),
        ));
    }
    let names = names(&missing);
    if on_path("apt-get").is_some() {
        let Some(mut root) = root() else {
            return Err(advice(
                &missing,
                "and neither root nor `sudo -n` is there to do it",
            ));
        };
        eprintln!("== {names}: not found; installing with apt-get, no service will be started");
        root.args(["sh", "-c", INSTALL_SCRIPT, "install.sh"]);
        root.args(missing.iter().map(|program| program.apt));
        install(root)?;
    } else if on_path("brew").is_some() {
        eprintln!("== {names}: not found; installing with Homebrew, no service will be started");
        let mut brew = Command::new("brew");
        brew.arg("install")
            .args(missing.iter().map(|program| program.brew));
        install(brew)?;
    } else {
        return Err(advice(
            &missing,
            "and neither apt-get nor Homebrew is there to do it",
        ));
    }
    let still_missing = self::missing(programs);
    if still_missing.is_empty() {
        return Ok(());
    }
    Err(advice(
        &still_missing,
        "although the installation said that it succeeded",
    ))
}

/// A directory that somebody names is the only candidate: looking elsewhere would hide a mistake.
fn refuse_a_wrong_directory(named: Option<&Path>) -> Result<(), Failure> {
    match named {
        Some(directory) if !has_server(directory) => Err(Failure::new(format!(
            "{POSTGRES_DIRECTORY} names {}, which does not hold `postgres` and `initdb`; correct \
             it or unset it",
            directory.display()
        ))),
        _ => Ok(()),
    }
}

fn missing(programs: &[Program]) -> Vec<&Program> {
    programs
        .iter()
        .filter(|program| (program.find)().is_none())
        .collect()
}

fn names(programs: &[&Program]) -> String {
    programs
        .iter()
        .map(|program| program.name)
        .collect::<Vec<_>>()
        .join(", ")
}

fn advice(missing: &[&Program], why: &str) -> Failure {
    let apt: Vec<_> = missing.iter().map(|program| program.apt).collect();
    let brew: Vec<_> = missing.iter().map(|program| program.brew).collect();
    Failure::new(format!(
        "{} not found, {why}. Install by hand: `apt-get install {}` (Debian, Ubuntu), `brew install \
         {}` (macOS), or your system's package; PostgreSQL in an unusual place is named with \
         {POSTGRES_DIRECTORY}=DIRECTORY.",
        names(missing),
        apt.join(" "),
        brew.join(" ")
    ))
}

/// The start of a command line that runs as root without asking for a password.
fn root() -> Option<Command> {
    let uid = process::output(Command::new("id").arg("-u")).ok()?;
    if uid.trim() == "0" {
        return Some(Command::new("env"));
    }
    process::succeeds(Command::new("sudo").args(["-n", "true"])).then(|| {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "env"]);
        sudo
    })
}

fn install(mut installer: Command) -> Result<(), Failure> {
    let status = installer
        .status()
        .map_err(|error| Failure::io("the installer can't be run", &error))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the installation ended with {status}; its output is above"
    )))
}

/// Where the server binaries of PostgreSQL are, looked for as `aquifer-embedded` does.
fn postgres() -> Option<PathBuf> {
    if let Some(named) = env::var_os(POSTGRES_DIRECTORY) {
        return Some(PathBuf::from(named));
    }
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        let directory = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        if has_server(&directory) {
            return Some(directory);
        }
    }
    let packages = [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql"),
        ("/usr/local/opt", "postgresql"),
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql"),
    ];
    packages
        .into_iter()
        .find_map(|(parent, prefix)| in_package(Path::new(parent), prefix))
        .or_else(|| {
            on_path("initdb")?
                .parent()
                .map(Path::to_owned)
                .filter(|at| has_server(at))
        })
}

/// The `bin` of any package below `parent`; which version is the server's business.
fn in_package(parent: &Path, prefix: &str) -> Option<PathBuf> {
    fs::read_dir(parent)
        .ok()?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join("bin"))
        .find(|directory| has_server(directory))
}

/// A client program that belongs to the host's PostgreSQL.
pub(crate) fn client(name: &str) -> Option<PathBuf> {
    let beside = postgres().map(|directory| directory.join(name));
    beside.filter(|at| at.is_file()).or_else(|| on_path(name))
}

pub(crate) fn has_server(directory: &Path) -> bool {
    ["postgres", "initdb"]
        .iter()
        .all(|name| directory.join(name).is_file())
}

/// The program's path, if a directory of `PATH` holds it.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|at| at.is_file())
}

#[cfg(test)]
mod tests;
