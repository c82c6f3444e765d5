//! A test can fail, and one that does not run says why.

use syn::visit::{self, Visit};
use syn::{Attribute, ItemFn, Meta};

use crate::tidy::finding::Finding;
use crate::tidy::tree::{RustFile, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust.iter().flat_map(check_file).collect()
}

fn check_file(file: &RustFile) -> Vec<Finding> {
    let mut tests = Tests {
        file,
        findings: Vec::new(),
    };
    tests.visit_file(&file.syntax);
    tests.findings
}

struct Tests<'a> {
    file: &'a RustFile,
    findings: Vec<Finding>,
}

impl Tests<'_> {
    fn report(&mut self, function: &ItemFn, what: &str, remedy: &str) {
        let line = function.sig.ident.span().start().line;
        let what = format!("{what}: `{}`", function.sig.ident);
        self.findings
            .push(Finding::new(&self.file.path, line, what, remedy));
    }
}

impl<'ast> Visit<'ast> for Tests<'_> {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        if function.attrs.iter().any(marks_test) {
            if function.attrs.iter().any(ignores_without_reason) {
                let remedy = "Write #[ignore = \"why, and how to run it\"], or make it run.";
                self.report(function, "a test is ignored without a reason", remedy);
            }
            if function.block.stmts.is_empty() {
                let remedy = "Write the test, or remove it: it cannot fail.";
                self.report(function, "a test is empty", remedy);
            }
        }
        visit::visit_item_fn(self, function);
    }
}

/// `#[test]`, `#[tokio::test]` and their like.
fn marks_test(attribute: &Attribute) -> bool {
    attribute
        .path()
        .segments
        .last()
        .is_some_and(|last| last.ident == "test")
}

fn ignores_without_reason(attribute: &Attribute) -> bool {
    matches!(&attribute.meta, Meta::Path(path) if path.is_ident("ignore"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(source: &str) -> Vec<String> {
        check(&Tree::of(&[("crates/a/src/lib.rs", source)]))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn an_empty_test_is_found_wherever_it_is() {
        let found = findings("mod tests { #[tokio::test] async fn later() { /* soon */ } }");
        assert!(
            found.first().is_some_and(|f| f.contains("empty: `later`")),
            "{found:?}"
        );
        assert!(findings("#[test] fn now() { assert!(true) } fn empty() {}").is_empty());
    }

    #[test]
    fn an_ignored_test_needs_a_reason() {
        let found = findings("#[test] #[ignore] fn slow() { run() }");
        assert!(
            found.first().is_some_and(|f| f.contains("reason: `slow`")),
            "{found:?}"
        );
        assert!(findings("#[test] #[ignore = \"takes an hour\"] fn slow() { run() }").is_empty());
    }
}
