//! What entities and queries cost the compiler: a crate of 50 tables with ten columns each and 50
//! queries over them, written for each library in the same way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

/// Tables, and queries over them.
const NUMBER: usize = 50;

/// A library, and the crate that is written with it.
struct Candidate {
    name: &'static str,
    package: &'static str,
    dependency: &'static str,
    /// What stands first in the crate.
    head: &'static str,
    /// One table, then the five kinds of queries, each behind a line `-- number`. `{this}` stands for
    /// the table's number, `{next}` for that of the one that refers to it, `{last}` for that to which
    /// it refers.
    template: &'static str,
    /// A macro that names all tables, of libraries that need one.
    tables: Option<&'static str>,
    /// The lock file from which it has its dependencies, below the repository's root.
    lock: &'static str,
}

const CANDIDATES: [Candidate; 3] = [
    Candidate {
        name: "aquifer",
        package: "aquifer",
        dependency: "aquifer = { path = \"ROOT/crates/aquifer\", default-features = false }",
        head: "use aquifer::entity::{Entity, any};\nuse aquifer::{Db, SessionFuture};\n",
        template: include_str!("compile/aquifer.txt"),
        tables: None,
        lock: "Cargo.lock",
    },
    Candidate {
        name: "diesel",
        package: "diesel",
        dependency: "diesel = { version = \"2.3\", default-features = false, \
                     features = [\"postgres_backend\"] }",
        head: "use diesel::connection::LoadConnection;\nuse diesel::dsl::count;\n\
               use diesel::pg::Pg;\nuse diesel::prelude::*;\n",
        template: include_str!("compile/diesel.txt"),
        tables: Some("diesel::allow_tables_to_appear_in_same_query!"),
        lock: "bench/Cargo.lock",
    },
    Candidate {
        name: "sea-orm",
        package: "sea_orm",
        dependency: "sea-orm = { version = \"2\", default-features = false, \
                     features = [\"macros\"] }",
        head: "use sea_orm::entity::prelude::*;\nuse sea_orm::{Condition, QueryOrder, QuerySelect};\n",
        template: include_str!("compile/sea_orm.txt"),
        tables: None,
        lock: "bench/Cargo.lock",
    },
];

/// Processor seconds of checking the crate beyond those of an empty one, for each library.
///
/// They are the least of the rounds, since other programs only ever add to them. Dependencies are
/// built before, incremental compilation is off.
///
/// # Errors
/// When a crate is refused by the compiler, and what the file system says.
pub fn seconds(rounds: usize) -> Result<Vec<(&'static str, f64)>, Error> {
    let mut least = [[f64::INFINITY; 2]; CANDIDATES.len()];
    for round in 0..=rounds {
        for (candidate, least) in CANDIDATES.iter().zip(&mut least) {
            for (source, least) in [String::new(), candidate.source()].iter().zip(least) {
                let seconds = candidate.check(source)?;
                // The first round builds the dependencies, and is none.
                if round > 0 {
                    *least = least.min(seconds);
                }
            }
        }
    }
    let names = CANDIDATES.iter().map(|candidate| candidate.name);
    Ok(names
        .zip(least.iter().map(|[empty, full]| full - empty))
        .collect())
}

impl Candidate {
    fn check(&self, source: &str) -> Result<f64, Error> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .canonicalize()?;
        let directory = target()?.join("compile").join(self.package);
        fs::create_dir_all(directory.join("src"))?;
        fs::write(directory.join("Cargo.toml"), self.manifest(&root))?;
        fs::write(directory.join("src/lib.rs"), source)?;
        let lock = directory.join("Cargo.lock");
        if !lock.exists() {
            fs::copy(root.join(self.lock), lock)?;
        }
        let mut shell = Command::new("sh");
        // The shell says at the end how much processor time its children took.
        shell
            .args(["-c", "\"$@\" >&2 || exit; times", "sh"])
            .args(["cargo", "check", "--quiet", "--manifest-path"])
            .arg(directory.join("Cargo.toml"))
            .env("CARGO_TARGET_DIR", directory.join("target"))
            .env("CARGO_INCREMENTAL", "0");
        let output = shell.output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("the crate of {} is refused: {said}", self.name).into());
        }
        let said = String::from_utf8_lossy(&output.stdout);
        processor_seconds(&said)
            .ok_or_else(|| format!("the shell's `times` can't be understood: {said}").into())
    }

    fn manifest(&self, root: &Path) -> String {
        let dependency = self.dependency.replace("ROOT", &root.display().to_string());
        format!(
            "[package]\nname = \"compile-{}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [dependencies]\n{dependency}\n\n[workspace]\n",
            self.package
        )
    }

    /// The crate: each kind of query ten times.
    fn source(&self) -> String {
        let mut text = self.head.to_owned();
        let parts: Vec<_> = self.template.split("\n-- ").collect();
        let kinds = parts.len() - 1;
        for number in 0..NUMBER {
            let query = parts[1 + number % kinds];
            let query = query.split_once('\n').map_or(query, |(_, query)| query);
            for part in [parts[0], query] {
                text += &part
                    .replace("{this}", &number.to_string())
                    .replace("{next}", &((number + 1) % NUMBER).to_string())
                    .replace("{last}", &((number + NUMBER - 1) % NUMBER).to_string());
                text.push('\n');
            }
        }
        if let Some(tables) = self.tables {
            let names: Vec<_> = (0..NUMBER)
                .map(|number| format!("table_{number}"))
                .collect();
            text += &format!("{tables}({});\n", names.join(", "));
        }
        text
    }
}

fn target() -> Result<PathBuf, Error> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2);
    Ok(target
        .ok_or("the program is not in a target directory")?
        .to_owned())
}

/// User and system seconds of the shell's children: the second line of `times`, as `1m2.34s 0m5.6s`.
fn processor_seconds(times: &str) -> Option<f64> {
    let line = times.lines().nth(1)?;
    line.split_whitespace()
        .map(|time| {
            let (minutes, seconds) = time.strip_suffix('s')?.split_once('m')?;
            Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
        })
        .sum()
}
