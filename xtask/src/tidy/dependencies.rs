//! Which crate may depend on which, by the table of ARCHITECTURE.md; and all take the same lints.

use crate::tidy::finding::Finding;
use crate::tidy::manifest::{Manifest, manifests};
use crate::tidy::tree::Tree;

/// What one crate of the workspace may depend on, its tests aside.
struct Allowed {
    name: &'static str,
    /// Crates of this workspace.
    ours: &'static [&'static str],
    /// Crates of others.
    others: Others,
}

enum Others {
    Any,
    Only(&'static [&'static str]),
}

const TABLE: &[Allowed] = &[
    Allowed {
        name: "aquifer",
        ours: &[
            "aquifer-core",
            "aquifer-embedded",
            "aquifer-macros",
            "aquifer-wire",
        ],
        others: Others::Any,
    },
    Allowed {
        name: "aquifer-cli",
        ours: &["aquifer"],
        others: Others::Any,
    },
    // Decisions only: whatever it used would bring I/O, a clock or a runtime within reach.
    Allowed {
        name: "aquifer-core",
        ours: &[],
        others: Others::Only(&[]),
    },
    // Every user of the library compiles it, whether a private server is started or not.
    Allowed {
        name: "aquifer-embedded",
        ours: &[],
        others: Others::Only(&["rustix"]),
    },
    Allowed {
        name: "aquifer-macros",
        ours: &[],
        others: Others::Only(&["proc-macro2", "quote", "syn"]),
    },
    // Without the library, so that the tests of the wire build fast.
    Allowed {
        name: "aquifer-testkit",
        ours: &["aquifer-embedded"],
        others: Others::Any,
    },
    Allowed {
        name: "aquifer-wire",
        ours: &["aquifer-core"],
        others: Others::Any,
    },
    // Everybody waits for it before anything else happens.
    Allowed {
        name: "xtask",
        ours: &[],
        others: Others::Only(&["proc-macro2", "syn"]),
    },
];

/// Crates that were looked at and refused, with what to use instead.
const REFUSED: &[(&str, &str)] = &[
    (
        "backoff",
        "It is unmaintained; `aquifer-core` decides about back-off.",
    ),
    ("bincode", "It is unmaintained; use rmp-serde."),
    ("foyer", "It brings 94 crates; use quick_cache."),
    ("fred", "It has not been worked on since 2025; use redis."),
    (
        "tokio-postgres",
        "`aquifer-wire` is our connection; only bench/ measures against it.",
    ),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = manifests(tree);
    manifests
        .iter()
        .flat_map(|manifest| check_manifest(manifest, &manifests))
        .collect()
}

fn check_manifest(manifest: &Manifest, all: &[Manifest]) -> Vec<Finding> {
    let name = &manifest.name;
    let Some(allowed) = TABLE.iter().find(|allowed| allowed.name == name) else {
        return vec![Finding::new(
            &manifest.path,
            1,
            format!("crate `{name}` has no place in the table of dependencies"),
            "Add it to TABLE in xtask/src/tidy/dependencies.rs and to ARCHITECTURE.md.",
        )];
    };
    let mut findings = Vec::new();
    if !manifest.has_lints {
        findings.push(Finding::new(
            &manifest.path,
            1,
            format!("crate `{name}` does not take the lints of the workspace"),
            "Add `[lints]` with `workspace = true`.",
        ));
    }
    for dependency in &manifest.dependencies {
        let used = &dependency.name;
        let mut report = |what: String, remedy: &str| {
            findings.push(Finding::new(&manifest.path, dependency.line, what, remedy));
        };
        if let Some((_, instead)) = REFUSED.iter().find(|(refused, _)| refused == used) {
            report(format!("`{used}` was refused for this project"), instead);
        } else if !dependency.for_tests && !allowed.allows(used, all) {
            report(
                format!("`{name}` must not depend on `{used}`"),
                "Do without it, or change TABLE in xtask/src/tidy/dependencies.rs and say why in \
                 DESIGN.md.",
            );
        }
    }
    findings
}

impl Allowed {
    fn allows(&self, dependency: &str, all: &[Manifest]) -> bool {
        if all.iter().any(|manifest| manifest.name == dependency) {
            return self.ours.contains(&dependency);
        }
        match self.others {
            Others::Any => true,
            Others::Only(names) => names.contains(&dependency),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn findings(name: &str, dependencies: &str) -> Vec<Finding> {
        let text = format!("[package]\nname = \"{name}\"\n{LINTS}{dependencies}");
        let path = format!("crates/{name}/Cargo.toml");
        let library = format!("[package]\nname = \"aquifer\"\n{LINTS}");
        let library = library.as_str();
        check(&Tree::of(&[
            (&path, &text),
            ("crates/aquifer/Cargo.toml", library),
        ]))
    }

    #[test]
    fn the_core_depends_on_nothing_but_its_tests_may() {
        assert_eq!(
            findings("aquifer-core", "[dependencies]\ntokio = \"1\"").len(),
            1
        );
        assert_eq!(
            findings("aquifer-core", "[dev-dependencies]\nproptest = \"1\""),
            []
        );
    }

    #[test]
    fn a_lower_crate_does_not_depend_on_the_library() {
        for name in ["aquifer-wire", "aquifer-testkit", "aquifer-embedded"] {
            let found = findings(name, "[dependencies]\naquifer.workspace = true");
            assert!(
                found.first().is_some_and(|finding| finding.line == 6),
                "{found:?}"
            );
        }
        assert_eq!(
            findings("aquifer-cli", "[dependencies]\naquifer.workspace = true"),
            []
        );
    }

    #[test]
    fn a_refused_crate_is_refused_for_tests_too() {
        assert_eq!(
            findings("aquifer-wire", "[dev-dependencies]\nbincode = \"1\"").len(),
            1
        );
    }

    #[test]
    fn a_crate_that_takes_no_lints_is_found() {
        let text = "[package]\nname = \"aquifer-core\"\n";
        assert_eq!(
            check(&Tree::of(&[("crates/aquifer-core/Cargo.toml", text)])).len(),
            1
        );
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        assert_eq!(findings("aquifer-more", "").len(), 1);
    }
}
