//! What entities cost the compiler: a crate of 50 with ten columns each, and 50 queries over them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::ten_lines::{processor_seconds, with_times};
use crate::failure::Failure;
use crate::process;
use crate::workspace::Workspace;

const NUMBER: usize = 50;
const ROUNDS: usize = 5;

/// Prints the processor seconds that checking the crate takes beyond those of an empty one.
pub(super) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let directory = workspace.target()?.join("entities");
    let seconds = check_seconds(workspace, &directory)?;
    println!("{NUMBER} entities and {NUMBER} queries: {seconds:.2} s of processor to check");
    println!("{{\"check_seconds_50\": {seconds:.2}}}");
    Ok(())
}

/// The least of several rounds each, since other programs only ever add to it.
fn check_seconds(workspace: &Workspace, directory: &Path) -> Result<f64, Failure> {
    write(&directory.join("Cargo.toml"), &manifest(workspace))?;
    let lock = directory.join("Cargo.lock");
    fs::copy(workspace.path("Cargo.lock"), &lock)
        .map_err(|error| Failure::io(lock.display(), &error))?;
    let program = directory.join("src/lib.rs");
    let (mut empty, mut full) = (f64::INFINITY, f64::INFINITY);
    // The first round builds the dependencies, and is none of them.
    for round in 0..=ROUNDS {
        for (text, least) in [(String::new(), &mut empty), (source(), &mut full)] {
            write(&program, &text)?;
            let mut cargo = workspace.cargo();
            cargo
                .args(["check", "--quiet", "--manifest-path"])
                .arg(directory.join("Cargo.toml"))
                .env("CARGO_TARGET_DIR", directory.join("target"))
                .env("CARGO_INCREMENTAL", "0");
            let output = process::output(&mut with_times(&cargo))?;
            let seconds = processor_seconds(&output)
                .ok_or_else(|| Failure::new("the shell's `times` can't be understood"))?;
            if round > 0 {
                *least = least.min(seconds);
            }
        }
    }
    Ok(full - empty)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, text));
    written.map_err(|error| Failure::io(path.display(), &error))
}

fn manifest(workspace: &Workspace) -> String {
    let library = workspace.path("crates/aquifer");
    format!(
        "[package]\nname = \"entities\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\naquifer = {{ path = {:?}, default-features = false }}\n\n[workspace]\n",
        library.display().to_string()
    )
}

/// The crate: each kind of query ten times.
fn source() -> String {
    let mut text = String::from("use aquifer::entity::{Entity, Query, any};\n");
    for number in 0..NUMBER {
        entity(number, &mut text);
        query(number, &mut text);
    }
    text
}

fn entity(number: usize, text: &mut String) {
    let children = match number + 1 {
        NUMBER => String::new(),
        next => format!(", has_many(CHILDREN = E{next}::PARENT_ID)"),
    };
    let written = write!(
        text,
        "#[derive(Entity)]
         #[entity(table = \"table_{number}\"{children})]
         pub struct E{number} {{
             #[entity(key, auto)]
             pub id: i64,
             pub parent_id: i64,
             pub name: String,
             pub email: Option<String>,
             pub active: bool,
             #[entity(default)]
             pub score: i32,
             pub ratio: f64,
             pub note: Option<String>,
             #[entity(default)]
             pub created: i64,
             pub updated: Option<i64>,
         }}\n"
    );
    written.unwrap_or_default();
}

fn query(number: usize, text: &mut String) {
    let next = number + 1;
    let (row, parts) = match number % 5 {
        0 => (
            format!("E{number}"),
            format!(
                ".filter(E{number}::ACTIVE.eq(true)).filter(E{number}::EMAIL.is_not_null())\
                 .order_by(E{number}::CREATED.desc()).limit(10)"
            ),
        ),
        1 => (
            String::new(),
            format!(
                ".join(E{number}::CHILDREN).filter(E{next}::NAME.contains(\"x\"))\
                 .select((E{number}::ID, E{next}::NAME, E{next}::EMAIL))"
            ),
        ),
        2 => (
            format!("E{number}"),
            format!(
                ".filter(E{number}::SCORE.gt(5).and(E{number}::RATIO.lt(0.5)\
                 .or(E{number}::NOTE.eq(\"a\")))).order_by(E{number}::NAME.asc()).offset(40)"
            ),
        ),
        3 => (
            String::new(),
            format!(
                ".left_join(E{number}::CHILDREN).group_by((E{number}::ID, E{number}::NAME))\
                 .select((E{number}::ID, E{number}::NAME, E{next}::ID.count()))"
            ),
        ),
        _ => (
            String::new(),
            format!(
                ".filter(E{number}::ID.is_in([1, 2, 3]))\
                 .filter(any([E{number}::NAME.starts_with(\"a\"), E{number}::NAME.ends_with(\"b\")]))\
                 .select((E{number}::ID, E{number}::SCORE))"
            ),
        ),
    };
    let row = match row.as_str() {
        "" => "impl Sized".to_owned(),
        row => format!("Query<{row}>"),
    };
    let written = writeln!(
        text,
        "pub fn query_{number}() -> {row} {{ E{number}::query(){parts} }}"
    );
    written.unwrap_or_default();
}
