//! The README's example stands word for word where it is compiled and where it is run.

use crate::readme;
use crate::tidy::finding::Finding;
use crate::tidy::tree::Tree;

const README: &str = "README.md";
const OUTSIDE: &str = "tests/outside/src/main.rs";
const LIBRARY: &str = "crates/aquifer/src/lib.rs";
const QUICKSTART: &str = "crates/aquifer/examples/quickstart.rs";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(example) = tree.text(README).and_then(readme::example) else {
        return vec![Finding::new(
            README,
            1,
            "there is no block of Rust",
            "Show the shortest whole program.",
        )];
    };
    let repeats = |path| {
        tree.text(path)
            .is_some_and(|text| readme::repeats(text, &example))
    };
    let mut findings = Vec::new();
    if !repeats(OUTSIDE) {
        findings.push(differs(OUTSIDE, "Copy the README's first block into it."));
    }
    // A library that exports nothing has nothing to show yet.
    let exports = tree
        .text(LIBRARY)
        .is_some_and(|text| text.contains("\npub use "));
    if exports && !repeats(LIBRARY) && !repeats(QUICKSTART) {
        let remedy =
            format!("Copy the README's first block into its documentation or {QUICKSTART}.");
        findings.push(differs(LIBRARY, &remedy));
    }
    findings
}

fn differs(path: &str, remedy: &str) -> Finding {
    Finding::new(path, 1, "the example differs from the README's", remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: (&str, &str) = (README, "# A\n```rust\nfn main() {}\n```\n");

    #[test]
    fn the_outside_crate_must_repeat_it() {
        assert_eq!(check(&Tree::of(&[TEXT, (OUTSIDE, "fn main() {}\n")])), []);
        assert_eq!(
            check(&Tree::of(&[TEXT, (OUTSIDE, "fn main() { old() }\n")])).len(),
            1
        );
        assert_eq!(check(&Tree::of(&[TEXT])).len(), 1);
    }

    #[test]
    fn the_library_must_repeat_it_as_soon_as_it_exports_something() {
        let outside = (OUTSIDE, "fn main() {}\n");
        let without = (LIBRARY, "//! A crate.\n\npub use crate::db::Db;\n");
        assert_eq!(check(&Tree::of(&[TEXT, outside, without])).len(), 1);
        let with = "//! ```no_run\n//! fn main() {}\n//! ```\n\npub use crate::db::Db;\n";
        assert_eq!(check(&Tree::of(&[TEXT, outside, (LIBRARY, with)])), []);
        let quickstart = (QUICKSTART, "//! Ten lines.\n\nfn main() {}\n");
        assert_eq!(check(&Tree::of(&[TEXT, outside, without, quickstart])), []);
    }

    #[test]
    fn a_readme_without_an_example_is_found() {
        assert_eq!(check(&Tree::of(&[(README, "# A\n")])).len(), 1);
    }
}
