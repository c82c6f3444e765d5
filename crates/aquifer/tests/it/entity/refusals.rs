//! What does not compile, and how that is said: `tests/refused/*.rs`.
//!
//! Each case is compiled alone by the same compiler against the library that this test was linked
//! with, which takes a tenth of a second. The lines after `//~` must be in the compiler's output in
//! that order; the rest of it may change with the compiler.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// The case that compiles.
const ACCEPTED: &str = "accepted";
/// What cases include.
const SCHEMA: &str = "schema";

#[test]
fn wrong_queries_are_refused_by_the_compiler_in_words_that_help() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refused");
    let library = library();
    let mut cases: Vec<PathBuf> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    cases.sort();
    assert!(cases.len() > 15, "the cases are missing");
    let mut failures = String::new();
    for case in cases {
        let name = case.file_stem().unwrap().to_str().unwrap();
        if name == SCHEMA {
            continue;
        }
        let (compiled, output) = compile(&case, &library);
        let source = fs::read_to_string(&case).unwrap();
        let wanted = expected(&source);
        assert_eq!(wanted.is_empty(), name == ACCEPTED, "{name}: no //~ lines");
        let problem = match compiled {
            true if name == ACCEPTED => continue,
            true => "it compiles".to_owned(),
            false => match missing(&output, &wanted) {
                None => continue,
                Some(line) => format!("this is not in the output:\n  {line}"),
            },
        };
        write!(failures, "\n== {name}: {problem}\n{output}").unwrap();
    }
    assert!(failures.is_empty(), "{failures}");
}

/// The library that was built last into the directory of this test: that of this test, or a newer one
/// of the same sources.
fn library() -> PathBuf {
    let directory = std::env::current_exe().unwrap();
    let directory = directory.parent().unwrap();
    let files = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let libraries = files.filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap_or_default();
        name.starts_with("libaquifer-") && name.ends_with(".rlib")
    });
    let built = |path: &PathBuf| -> SystemTime { fs::metadata(path).unwrap().modified().unwrap() };
    let last = libraries.max_by_key(built);
    last.expect("the library is built before its tests")
}

/// Whether it compiles, and what the compiler says.
fn compile(case: &Path, library: &Path) -> (bool, String) {
    let compiler = option_env!("RUSTC").unwrap_or("rustc");
    let dependencies = library.parent().unwrap();
    let output = Command::new(compiler)
        .args(["--edition", "2024", "--emit", "metadata"])
        .args(["--color", "never", "--cap-lints", "allow"])
        .args(["--out-dir", env!("CARGO_TARGET_TMPDIR"), "-L"])
        .arg(format!("dependency={}", dependencies.display()))
        .arg("--extern")
        .arg(format!("aquifer={}", library.display()))
        .arg(case)
        .output()
        .expect("the compiler that compiled this test can be run");
    let text = String::from_utf8(output.stderr).unwrap();
    (output.status.success(), text)
}

fn expected(case: &str) -> Vec<&str> {
    case.lines()
        .filter_map(|line| line.strip_prefix("//~ "))
        .collect()
}

/// The first line that is not in the output behind those before it.
fn missing<'a>(output: &str, wanted: &[&'a str]) -> Option<&'a str> {
    let mut lines = output.lines();
    wanted
        .iter()
        .find(|wanted| !lines.any(|line| line.contains(wanted.trim_end())))
        .copied()
}
