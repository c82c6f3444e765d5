//! Rules of the project that the compiler and clippy don't know, checked as an ordinary step.
//!
//! Each check is a function from the [`Tree`] to its findings, in a file of its own with the tests
//! that show it failing. What a rule must let pass is in one table, [`exceptions`].

mod changelog;
mod dead_files;
mod dependencies;
mod docs;
mod exceptions;
mod finding;
mod guides;
mod layers;
mod lines;
mod manifest;
mod paths;
mod repeated_example;
mod seams;
mod sizes;
mod test_habits;
mod text;
mod tree;

use crate::End;
use crate::failure::Failure;
use crate::tidy::finding::Finding;
use crate::tidy::tree::Tree;
use crate::workspace::Workspace;

/// A named rule, or several that are found together.
type Check = (&'static str, fn(&Tree) -> Vec<Finding>);

const CHECKS: &[Check] = &[
    ("syntax", Tree::unparsed),
    ("layers", layers::check),
    ("dependencies", dependencies::check),
    ("sizes", sizes::check),
    ("dead files", dead_files::check),
    ("docs", docs::check),
    ("seams", seams::check),
    ("test habits", test_habits::check),
    ("text", text::check),
    ("changelog", changelog::check),
    ("example", repeated_example::check),
    ("guides", guides::check),
];

pub(crate) fn run(workspace: &Workspace) -> Result<End, Failure> {
    check(workspace).map(|()| End::Done)
}

/// Runs every check and shows all findings, sorted by place.
pub(crate) fn check(workspace: &Workspace) -> Result<(), Failure> {
    let tree = Tree::read(workspace.root())?;
    eprintln!(
        "   {} files, {} of them Rust",
        tree.files.len(),
        tree.rust.len()
    );
    let mut findings = Vec::new();
    for (name, check) in CHECKS {
        findings.extend(check(&tree).into_iter().map(|finding| (*name, finding)));
    }
    let mut findings = exceptions::apply(findings);
    findings.sort();
    findings.dedup();
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => {
            eprintln!("   {} checks, nothing found", CHECKS.len());
            Ok(())
        }
        count => {
            Err(Failure::new(format!("{count} findings, listed above")).again("cargo xtask tidy"))
        }
    }
}
