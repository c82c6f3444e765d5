//! Files, functions and parameter lists stay small enough to be read at once.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, ItemFn, ItemImpl, ItemMod, Signature, TraitItemFn};

use crate::tidy::finding::Finding;
use crate::tidy::lines::code_lines;
use crate::tidy::tree::{RustFile, Tree};

const FILE_LINES_MAX: usize = 400;

/// Between the braces, as clippy's `too_many_lines` counts.
const FUNCTION_LINES_MAX: usize = 60;

/// `self` counts, as it does for clippy's `too_many_arguments`: it is one thing more to keep in
/// mind. The methods of a trait's implementation don't, since the trait decides.
const PARAMETERS_MAX: usize = 5;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust.iter().flat_map(check_file).collect()
}

fn check_file(file: &RustFile) -> Vec<Finding> {
    let lines = code_lines(&file.tokens);
    let mut functions = Functions {
        file,
        lines: &lines,
        findings: Vec::new(),
    };
    functions.visit_file(&file.syntax);
    let mut findings = functions.findings;
    let mut inline_tests = InlineTests(Vec::new());
    inline_tests.visit_file(&file.syntax);
    let counted = lines
        .iter()
        .filter(|line| !inline_tests.0.iter().any(|tests| tests.contains(line)));
    let count = counted.count();
    if count > FILE_LINES_MAX {
        findings.push(Finding::new(
            &file.path,
            1,
            format!("{count} lines of code, at most {FILE_LINES_MAX}"),
            "Split it by what its parts know; 250 is a good size.",
        ));
    }
    findings
}

/// The lines of `#[cfg(test)] mod … { … }`.
struct InlineTests(Vec<RangeInclusive<usize>>);

impl<'ast> Visit<'ast> for InlineTests {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let attribute = module.attrs.first();
        if let (Some(first), Some((braces, _))) = (attribute, &module.content)
            && is_for_tests(&module.attrs)
        {
            let start = first.pound_token.span.start().line;
            self.0.push(start..=braces.span.close().end().line);
        } else {
            visit::visit_item_mod(self, module);
        }
    }
}

/// Whether the attributes hold `#[cfg(test)]`.
pub(super) fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|condition| condition.is_ident("test"))
    })
}

struct Functions<'a> {
    file: &'a RustFile,
    lines: &'a BTreeSet<usize>,
    findings: Vec<Finding>,
}

impl Functions<'_> {
    fn body(&mut self, signature: &Signature, block: &Block) {
        let open = block.brace_token.span.open().start().line;
        let close = block.brace_token.span.close().start().line;
        let count = self
            .lines
            .range(open..close)
            .filter(|line| **line > open)
            .count();
        if count > FUNCTION_LINES_MAX {
            self.report(
                signature,
                format!(
                    "{count} lines in `{}`, at most {FUNCTION_LINES_MAX}",
                    signature.ident
                ),
                "Give its steps names; 30 is a good size.",
            );
        }
    }

    fn parameters(&mut self, signature: &Signature) {
        let count = signature.inputs.len();
        if count > PARAMETERS_MAX {
            self.report(
                signature,
                format!(
                    "{count} parameters of `{}`, at most {PARAMETERS_MAX}",
                    signature.ident
                ),
                "Put those that belong together into a struct.",
            );
        }
    }

    fn report(&mut self, signature: &Signature, what: String, remedy: &str) {
        let line = signature.ident.span().start().line;
        self.findings
            .push(Finding::new(&self.file.path, line, what, remedy));
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.body(&function.sig, &function.block);
        self.parameters(&function.sig);
        visit::visit_item_fn(self, function);
    }

    fn visit_item_impl(&mut self, implementation: &'ast ItemImpl) {
        if implementation.trait_.is_none() {
            for item in &implementation.items {
                if let syn::ImplItem::Fn(method) = item {
                    self.parameters(&method.sig);
                }
            }
        }
        visit::visit_item_impl(self, implementation);
    }

    fn visit_impl_item_fn(&mut self, method: &'ast ImplItemFn) {
        self.body(&method.sig, &method.block);
        visit::visit_impl_item_fn(self, method);
    }

    fn visit_trait_item_fn(&mut self, method: &'ast TraitItemFn) {
        self.parameters(&method.sig);
        if let Some(block) = &method.default {
            self.body(&method.sig, block);
        }
        visit::visit_trait_item_fn(self, method);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(source: &str) -> Vec<Finding> {
        check(&Tree::of(&[("crates/a/src/lib.rs", source)]))
    }

    fn function(lines: usize) -> String {
        format!(
            "fn long() {{\n{}}}\n",
            "    // why\n    step();\n".repeat(lines)
        )
    }

    #[test]
    fn a_function_with_too_many_lines_is_found_and_comments_are_free() {
        assert_eq!(findings(&function(60)), []);
        let found = findings(&function(61));
        assert!(
            found
                .first()
                .is_some_and(|f| f.to_string().contains("61 lines in `long`"))
        );
    }

    #[test]
    fn methods_and_provided_methods_are_measured_too() {
        let body = function(61);
        assert_eq!(findings(&format!("impl A {{ {body} }}")).len(), 1);
        assert_eq!(findings(&format!("trait A {{ {body} }}")).len(), 1);
    }

    #[test]
    fn a_file_with_too_many_lines_is_found_and_its_inline_tests_are_free() {
        let items = "const A: u8 = 1;\n";
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", items.repeat(100));
        assert_eq!(findings(&(items.repeat(400) + &tests)), []);
        let found = findings(&(items.repeat(401) + &tests));
        assert!(
            found
                .first()
                .is_some_and(|f| f.to_string().contains("401 lines of code"))
        );
    }

    #[test]
    fn too_many_parameters_are_found_unless_a_trait_asks_for_them() {
        let six = "fn six(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) {}";
        assert_eq!(findings(six).len(), 1);
        assert_eq!(findings(&format!("impl A {{ {six} }}")).len(), 1);
        assert_eq!(findings(&format!("impl B for A {{ {six} }}")), []);
        assert_eq!(
            findings("fn five(a: u8, b: u8, c: u8, d: u8, e: u8) {}"),
            []
        );
    }
}
