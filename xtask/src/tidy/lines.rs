//! Which lines of a file hold code: those with a token that is not documentation.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};

/// The numbers of the lines with code. A text over several lines counts with all of them.
pub(super) fn code_lines(tokens: &TokenStream) -> BTreeSet<usize> {
    let mut lines = BTreeSet::new();
    collect(tokens, &mut lines);
    lines
}

fn collect(tokens: &TokenStream, lines: &mut BTreeSet<usize>) {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut rest = trees.as_slice();
    while let Some((tree, after)) = rest.split_first() {
        rest = match after_doc_comment(rest) {
            Some(after_doc) => after_doc,
            None => {
                add(tree, lines);
                after
            }
        };
    }
}

fn add(tree: &TokenTree, lines: &mut BTreeSet<usize>) {
    match tree {
        TokenTree::Group(group) => {
            if group.delimiter() != Delimiter::None {
                add_span(group.span_open(), lines);
                add_span(group.span_close(), lines);
            }
            collect(&group.stream(), lines);
        }
        _ => add_span(tree.span(), lines),
    }
}

fn add_span(span: Span, lines: &mut BTreeSet<usize>) {
    lines.extend(span.start().line..=span.end().line);
}

/// What follows a documentation comment, which the lexer turns into `#[doc = "…"]`.
fn after_doc_comment(trees: &[TokenTree]) -> Option<&[TokenTree]> {
    let (hash, rest) = trees.split_first()?;
    if !is_punct(hash, '#') {
        return None;
    }
    let rest = match rest.split_first()? {
        (inner, after) if is_punct(inner, '!') => after,
        _ => rest,
    };
    let (TokenTree::Group(group), rest) = rest.split_first()? else {
        return None;
    };
    let mut content = group.stream().into_iter();
    let named = matches!(content.next(), Some(TokenTree::Ident(name)) if name == "doc");
    let assigned = content.next().is_some_and(|tree| is_punct(&tree, '='));
    let text = matches!(content.next(), Some(TokenTree::Literal(_)));
    (named && assigned && text).then_some(rest)
}

fn is_punct(tree: &TokenTree, sign: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(source: &str) -> Vec<usize> {
        code_lines(&source.parse().expect("it is Rust"))
            .into_iter()
            .collect()
    }

    #[test]
    fn blanks_comments_and_documentation_are_no_code() {
        let source =
            "//! Docs.\n\n/// Docs\n/// on two lines.\nfn a() {\n    // why\n\n    b();\n}\n";
        assert_eq!(lines(source), [5, 8, 9]);
    }

    #[test]
    fn attributes_and_texts_over_several_lines_are_code() {
        assert_eq!(
            lines("#[must_use]\nconst A: &str = \"one\ntwo\n\";\n"),
            [1, 2, 3, 4]
        );
    }
}
