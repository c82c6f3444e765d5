//! Every path that a piece of code mentions, read from its tokens.
//!
//! Tokens and not the syntax tree, because paths inside macro calls count too, and those are only
//! tokens to a parser.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// One path as it is written, for example `crate::pool::Lane`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mention {
    /// Its parts; `*` for all of a module.
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
    /// The modules within the file around it.
    pub(super) modules: Vec<String>,
    /// Whether a `use` brings it into scope.
    pub(super) imported: bool,
}

/// All paths in code that is not only for tests; a tree of imports gives one for each of its leaves.
pub(super) fn mentions(tokens: &TokenStream) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut scan = Scan {
        modules: Vec::new(),
        found: &mut found,
    };
    scan.tokens(&trees(&without_tests(tokens)));
    found
}

fn trees(tokens: &TokenStream) -> Vec<TokenTree> {
    tokens.clone().into_iter().collect()
}

struct Scan<'a> {
    modules: Vec<String>,
    found: &'a mut Vec<Mention>,
}

impl Scan<'_> {
    fn tokens(&mut self, trees: &[TokenTree]) {
        let mut rest = trees;
        let mut imported = false;
        while let Some((tree, after)) = rest.split_first() {
            rest = after;
            match tree {
                TokenTree::Ident(ident) if ident == "mod" => rest = self.module(after),
                TokenTree::Ident(ident) if ident == "use" => {
                    imported = true;
                    continue;
                }
                TokenTree::Ident(_) => rest = self.path(tree, after, &[], imported),
                TokenTree::Group(group) => self.tokens(&trees_of(group)),
                // A leading `::` before the path of an import changes nothing.
                TokenTree::Punct(punct) if punct.as_char() == ':' => continue,
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            imported = false;
        }
    }

    /// Reads `name { … }` after `mod`; `name;` is a file of its own.
    fn module<'t>(&mut self, rest: &'t [TokenTree]) -> &'t [TokenTree] {
        let Some((TokenTree::Ident(name), after_name)) = rest.split_first() else {
            return rest;
        };
        match after_name.split_first() {
            Some((TokenTree::Group(body), after)) if body.delimiter() == Delimiter::Brace => {
                self.modules.push(name.to_string());
                self.tokens(&trees_of(body));
                self.modules.pop();
                after
            }
            _ => after_name,
        }
    }

    /// Reads a path that starts with `first` below `prefix`, and returns what follows it.
    fn path<'t>(
        &mut self,
        first: &TokenTree,
        rest: &'t [TokenTree],
        prefix: &[String],
        imported: bool,
    ) -> &'t [TokenTree] {
        let mut segments = prefix.to_vec();
        let line = first.span().start().line;
        segments.push(plain(first));
        let mut rest = rest;
        while let Some(after) = after_separator(rest) {
            match after.split_first() {
                Some((TokenTree::Ident(ident), after)) => {
                    segments.push(plain(&TokenTree::Ident(ident.clone())));
                    rest = after;
                }
                Some((TokenTree::Punct(star), after)) if star.as_char() == '*' => {
                    segments.push("*".to_owned());
                    rest = after;
                    break;
                }
                Some((TokenTree::Group(group), after)) if group.delimiter() == Delimiter::Brace => {
                    self.imports(&trees_of(group), &segments);
                    return after;
                }
                _ => break,
            }
        }
        let modules = self.modules.clone();
        self.found.push(Mention {
            segments,
            line,
            modules,
            imported,
        });
        rest
    }

    /// Reads the leaves of `prefix::{…}`.
    fn imports(&mut self, trees: &[TokenTree], prefix: &[String]) {
        let mut rest = trees;
        while let Some((tree, after)) = rest.split_first() {
            rest = match tree {
                // The new name after `as` is not part of any path.
                TokenTree::Ident(ident) if ident == "as" => after.get(1..).unwrap_or_default(),
                // `{self, …}` is the prefix itself.
                TokenTree::Ident(ident) if ident == "self" => {
                    self.leaf(tree, prefix);
                    after
                }
                TokenTree::Ident(_) => self.path(tree, after, prefix, true),
                TokenTree::Punct(punct) if punct.as_char() == '*' => {
                    let mut segments = prefix.to_vec();
                    segments.push("*".to_owned());
                    self.leaf(tree, &segments);
                    after
                }
                TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => after,
            };
        }
    }

    fn leaf(&mut self, tree: &TokenTree, segments: &[String]) {
        self.found.push(Mention {
            segments: segments.to_vec(),
            line: tree.span().start().line,
            modules: self.modules.clone(),
            imported: true,
        });
    }
}

fn trees_of(group: &Group) -> Vec<TokenTree> {
    trees(&group.stream())
}

fn plain(ident: &TokenTree) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

/// What follows `::`.
fn after_separator(trees: &[TokenTree]) -> Option<&[TokenTree]> {
    let is_colon =
        |tree: &TokenTree| matches!(tree, TokenTree::Punct(punct) if punct.as_char() == ':');
    let (first, second) = (trees.first()?, trees.get(1)?);
    (is_colon(first) && is_colon(second)).then(|| trees.get(2..).unwrap_or_default())
}

/// Leaves out the items under `#[cfg(test)]`: tests may reach anywhere.
fn without_tests(tokens: &TokenStream) -> TokenStream {
    let all = trees(tokens);
    let mut kept = Vec::new();
    let mut rest = all.as_slice();
    while let Some((tree, after)) = rest.split_first() {
        rest = after;
        if starts_test_item(tree, after) {
            rest = after_item(after);
            continue;
        }
        kept.push(match tree {
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), without_tests(&group.stream()));
                inner.set_span(group.span());
                TokenTree::Group(inner)
            }
            other => other.clone(),
        });
    }
    kept.into_iter().collect()
}

fn starts_test_item(tree: &TokenTree, after: &[TokenTree]) -> bool {
    let hash = matches!(tree, TokenTree::Punct(punct) if punct.as_char() == '#');
    let Some(TokenTree::Group(attribute)) = after.first() else {
        return false;
    };
    let text = attribute.stream().to_string().replace(' ', "");
    hash && (text == "cfg(test)" || text.starts_with("cfg(all(test,"))
}

/// An item ends with its body or a semicolon. A comma ends a field; that it also cuts an item with
/// two type parameters short only means that a bit more is looked at.
fn after_item(trees: &[TokenTree]) -> &[TokenTree] {
    let ends = |tree: &TokenTree| match tree {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => matches!(punct.as_char(), ';' | ','),
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    };
    let end = trees
        .iter()
        .position(ends)
        .map_or(trees.len(), |position| position + 1);
    trees.get(end..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> Vec<String> {
        mentions(&source.parse().expect("it is Rust"))
            .into_iter()
            .filter(|mention| mention.segments.len() > 1)
            .map(|mention| mention.segments.join("::"))
            .collect()
    }

    #[test]
    fn each_leaf_of_an_import_is_found() {
        let source = "use crate::{a::B, c::{self, D as E}, f::*};";
        assert_eq!(
            found(source),
            ["crate::a::B", "crate::c", "crate::c::D", "crate::f::*"]
        );
    }

    #[test]
    fn paths_in_types_bodies_and_macro_calls_are_found() {
        let source = "fn f(a: &crate::a::A) { print!(\"{}\", crate::b::c()); ::tokio::spawn(g) }";
        assert_eq!(
            found(source),
            ["crate::a::A", "crate::b::c", "tokio::spawn"]
        );
    }

    #[test]
    fn the_module_within_the_file_is_known() {
        let tokens = "mod inner { fn f() { super::g::h() } }"
            .parse()
            .expect("it is Rust");
        let mention = mentions(&tokens)
            .into_iter()
            .find(|m| m.segments.len() == 3);
        assert_eq!(mention.expect("super::g::h").modules, ["inner"]);
    }

    #[test]
    fn code_only_for_tests_is_left_out_and_what_follows_it_is_not() {
        let source = "#[cfg(test)] mod tests { use crate::a::A; } #[cfg(test)] use crate::b::B; \
                      mod d { #[cfg(test)] fn t() { crate::e::f() } } use crate::c::C;";
        assert_eq!(found(source), ["crate::c::C"]);
    }
}
