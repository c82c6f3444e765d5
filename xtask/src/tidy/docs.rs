//! What a caller must know stands in the documentation: when it fails, what a dropped future leaves.

mod returned;

use std::collections::BTreeMap;

use syn::visit::{self, Visit};
use syn::{
    Attribute, Expr, ExprLit, ImplItem, ImplItemFn, ItemFn, ItemImpl, ItemMod, ItemTrait, Lit,
    Meta, Signature, TraitItemFn, Visibility,
};

use self::returned::{NamedFutures, Returned, is_result, last_name};
use crate::tidy::finding::Finding;
use crate::tidy::manifest::manifests;
use crate::tidy::sizes::is_for_tests;
use crate::tidy::tree::{RustFile, Tree};

const ERRORS: &str = "# Errors";
const CANCEL_SAFETY: &str = "# Cancel safety";

/// Looks at the crates that are libraries.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in manifests(tree) {
        let sources = format!("{}/src", manifest.directory);
        if tree.text(&format!("{sources}/lib.rs")).is_none() {
            continue;
        }
        let files: Vec<&RustFile> = tree.rust_below(&sources).collect();
        let futures = named_futures(&files);
        for file in files.into_iter().filter(|file| !file.is_for_tests()) {
            let mut public = Public {
                file,
                futures: &futures,
                findings: Vec::new(),
            };
            public.visit_file(&file.syntax);
            findings.append(&mut public.findings);
        }
    }
    findings
}

/// The types of the crate that are futures, and whether what they give is a `Result`.
fn named_futures(files: &[&RustFile]) -> NamedFutures {
    struct Find(NamedFutures);
    impl<'ast> Visit<'ast> for Find {
        fn visit_item_impl(&mut self, implementation: &'ast ItemImpl) {
            let Some((path, _)) = &implementation.trait_ else {
                return;
            };
            if path
                .segments
                .last()
                .is_some_and(|last| last.ident == "Future")
            {
                let gives_result = implementation
                    .items
                    .iter()
                    .any(|item| matches!(item, ImplItem::Type(output) if is_result(&output.ty)));
                if let Some(name) = last_name(&implementation.self_ty) {
                    self.0.insert(name, gives_result);
                }
            }
        }
    }
    let mut find = Find(BTreeMap::new());
    for file in files {
        find.visit_file(&file.syntax);
    }
    find.0
}

struct Public<'a> {
    file: &'a RustFile,
    futures: &'a NamedFutures,
    findings: Vec<Finding>,
}

impl Public<'_> {
    fn function(&mut self, signature: &Signature, attributes: &[Attribute]) {
        if is_hidden(attributes) {
            return;
        }
        let returned = Returned::of(signature, self.futures);
        if returned.result && !has_section(attributes, ERRORS) {
            self.report(
                signature,
                ERRORS,
                "Say when it fails, and whether a retry is safe.",
            );
        }
        if returned.future && !has_section(attributes, CANCEL_SAFETY) {
            let remedy = "Say what is left behind if the future is dropped before it is done.";
            self.report(signature, CANCEL_SAFETY, remedy);
        }
    }

    fn report(&mut self, signature: &Signature, section: &str, remedy: &str) {
        let line = signature.ident.span().start().line;
        let what = format!("`{}` has no section `{section}`", signature.ident);
        self.findings
            .push(Finding::new(&self.file.path, line, what, remedy));
    }
}

impl<'ast> Visit<'ast> for Public<'_> {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        // What a private module holds inline is not exported by name either: `mod sealed { … }`.
        // A private module with a file of its own usually is.
        if !is_for_tests(&module.attrs) && is_public(&module.vis) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        if is_public(&function.vis) {
            self.function(&function.sig, &function.attrs);
        }
    }

    fn visit_item_impl(&mut self, implementation: &'ast ItemImpl) {
        // The methods of a trait are described where the trait is.
        if implementation.trait_.is_none() {
            visit::visit_item_impl(self, implementation);
        }
    }

    fn visit_impl_item_fn(&mut self, method: &'ast ImplItemFn) {
        if is_public(&method.vis) {
            self.function(&method.sig, &method.attrs);
        }
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        if is_public(&item.vis) && !is_hidden(&item.attrs) {
            visit::visit_item_trait(self, item);
        }
    }

    fn visit_trait_item_fn(&mut self, method: &'ast TraitItemFn) {
        self.function(&method.sig, &method.attrs);
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// `#[doc(hidden)]`: for our macros, not for users.
fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("doc")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|word| word.is_ident("hidden"))
    })
}

fn has_section(attributes: &[Attribute], section: &str) -> bool {
    attributes
        .iter()
        .filter_map(doc_text)
        .any(|text| text.lines().any(|l| l.trim() == section))
}

fn doc_text(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(source: &str) -> Vec<String> {
        check(&Tree::of(&[
            ("crates/a/Cargo.toml", "[package]\nname = \"a\"\n"),
            ("crates/a/src/lib.rs", source),
        ]))
        .iter()
        .map(ToString::to_string)
        .collect()
    }

    fn misses(source: &str, section: &str) -> bool {
        findings(source)
            .iter()
            .any(|finding| finding.contains(section))
    }

    #[test]
    fn a_public_function_that_can_fail_says_when() {
        for source in [
            "pub fn f() -> Result<(), E> {}",
            "pub fn f() -> io::Result<()> {}",
            "impl A { pub fn f(&self) -> Result<(), E> {} }",
            "pub trait A { fn f(&self) -> Result<(), E>; }",
            "pub async fn f() -> Result<(), E> {}",
            "pub mod inner { pub fn f() -> Result<(), E> {} }",
            "pub fn f() -> impl Future<Output = Result<(), E>> + Send {}",
            "pub fn f() -> Pin<Box<dyn Future<Output = Result<(), E>> + Send>> {}",
            "pub fn f() -> BoxFuture<'static, Result<(), E>> {}",
        ] {
            assert!(misses(source, ERRORS), "{source}");
            let documented = source.replace("pub fn", "/// # Errors\npub fn");
            let documented = documented.replace("{ fn", "{ /** # Errors\n*/ fn");
            let documented = documented.replace("pub async fn", "/// # Errors\npub async fn");
            assert!(!misses(&documented, ERRORS), "{documented}");
        }
    }

    #[test]
    fn a_public_function_that_gives_a_future_says_what_dropping_it_leaves() {
        for source in [
            "pub async fn f() {}",
            "pub trait A { fn f(&self) -> impl Future<Output = ()> + Send { async {} } }",
            "pub fn f() -> Pin<Box<dyn Future<Output = ()> + Send>> {}",
            "pub fn f() -> Commit<'_> {} impl Future for Commit<'_> { type Output = (); }",
            "pub fn f() -> QueryFuture {}",
        ] {
            assert!(misses(source, CANCEL_SAFETY), "{source}");
        }
        let documented =
            "/// Waits.\n///\n/// # Cancel safety\n///\n/// Safe.\npub async fn f() {}";
        assert!(!misses(documented, CANCEL_SAFETY));
    }

    #[test]
    fn what_a_named_future_gives_counts_too() {
        let future = "impl Future for Commit { type Output = Result<(), E>; }";
        assert!(misses(
            &format!("pub fn f() -> Commit {{}} {future}"),
            ERRORS
        ));
    }

    #[test]
    fn what_users_do_not_see_needs_no_sections() {
        for source in [
            "async fn f() -> Result<(), E> {}",
            "pub(crate) async fn f() -> Result<(), E> {}",
            "trait A { fn f(&self) -> Result<(), E>; }",
            "impl B for A { fn f(&self) -> Result<(), E> {} }",
            "#[doc(hidden)] pub fn f() -> Result<(), E> {}",
            "#[cfg(test)] mod tests { pub async fn f() {} }",
            "pub(crate) mod sealed { pub trait Run { fn f(&self) -> Result<(), E>; } }",
            "pub fn f() -> Option<Vec<Result<(), E>>> {}",
        ] {
            assert!(findings(source).is_empty(), "{source}");
        }
    }
}
