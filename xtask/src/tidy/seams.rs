//! Some things are done in one file of `aquifer` only: watching, spawning.

use crate::tidy::finding::Finding;
use crate::tidy::paths::{Mention, mentions};
use crate::tidy::tree::{Tree, below};

const SOURCES: &str = "crates/aquifer/src";

/// One thing and the module that alone may do it.
struct Seam {
    module: &'static str,
    uses: fn(&Mention) -> bool,
    what: &'static str,
    remedy: &'static str,
}

const SEAMS: [Seam; 2] = [
    Seam {
        module: "observe",
        uses: uses_tracing,
        what: "`tracing` outside of observe.rs",
        remedy: "Emit a typed event; observe.rs turns events into spans, logs and metrics.",
    },
    Seam {
        module: "tasks",
        uses: spawns,
        what: "a task or thread is started outside of tasks.rs",
        remedy: "Spawn through `Tasks`, which shutdown joins.",
    },
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_below(SOURCES).filter(|file| !file.is_for_tests()) {
        let inside = below(&file.path, SOURCES).unwrap_or_default();
        let module = inside.split(['/', '.']).next().unwrap_or_default();
        for mention in mentions(&file.tokens) {
            for seam in SEAMS.iter().filter(|seam| seam.module != module) {
                if (seam.uses)(&mention) {
                    findings.push(Finding::new(
                        &file.path,
                        mention.line,
                        seam.what,
                        seam.remedy,
                    ));
                }
            }
        }
    }
    findings
}

/// A variable may be called `tracing`; a path that starts with it or an import is the crate.
fn uses_tracing(mention: &Mention) -> bool {
    let crate_name = mention
        .segments
        .first()
        .is_some_and(|first| first.starts_with("tracing"));
    crate_name && (mention.imported || mention.segments.len() > 1)
}

/// `tokio::spawn`, `tokio::task::spawn_blocking`, `task::spawn`, `thread::spawn` and their like.
fn spawns(mention: &Mention) -> bool {
    let [.., owner, function] = mention.segments.as_slice() else {
        return false;
    };
    let starts = ["spawn", "spawn_blocking", "spawn_local", "Builder"];
    match owner.as_str() {
        "tokio" | "task" => starts.contains(&function.as_str()) || function == "JoinSet",
        "thread" => starts.contains(&function.as_str()) || function == "scope",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, source: &str) -> usize {
        check(&Tree::of(&[(path, source)])).len()
    }

    #[test]
    fn only_observe_knows_tracing() {
        for source in [
            "use tracing::info;",
            "use tracing as t;",
            "fn f() { tracing::info!(\"a\") }",
            "#[tracing::instrument] fn f() {}",
        ] {
            assert_eq!(
                findings("crates/aquifer/src/pool.rs", source),
                1,
                "{source}"
            );
            assert_eq!(
                findings("crates/aquifer/src/observe.rs", source),
                0,
                "{source}"
            );
            assert_eq!(
                findings("crates/aquifer/src/observe/spans.rs", source),
                0,
                "{source}"
            );
            assert_eq!(
                findings("crates/aquifer-cli/src/main.rs", source),
                0,
                "{source}"
            );
        }
        assert_eq!(
            findings("crates/aquifer/src/pool.rs", "fn f(tracing: bool) {}"),
            0
        );
    }

    #[test]
    fn only_tasks_spawns() {
        for source in [
            "fn f() { tokio::spawn(g()); }",
            "use tokio::{task::spawn_blocking, time};",
            "fn f() { select! { _ = task::spawn(g()) => {} } }",
            "fn f() { std::thread::spawn(g); }",
            "use tokio::task::JoinSet;",
        ] {
            assert_eq!(
                findings("crates/aquifer/src/pool/lane.rs", source),
                1,
                "{source}"
            );
            assert_eq!(
                findings("crates/aquifer/src/tasks.rs", source),
                0,
                "{source}"
            );
        }
        let test = "#[cfg(test)] mod tests { fn f() { tokio::spawn(g()); } }";
        assert_eq!(findings("crates/aquifer/src/pool.rs", test), 0);
        let file = "fn f() { tokio::spawn(g()); }";
        assert_eq!(findings("crates/aquifer/src/pool/tests.rs", file), 0);
    }
}
