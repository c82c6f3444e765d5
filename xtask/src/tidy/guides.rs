//! The code in the guides and the README stands, word for word, in files that are compiled and run.

use crate::tidy::finding::Finding;
use crate::tidy::tree::{TextFile, Tree, below};

const GUIDES: &str = "guides";
const README: &str = "README.md";
/// Where the code stands: the tests of the library and of what needs peers, the programs that the
/// compiler must refuse, the examples, and the README's program.
const SOURCES: [&str; 5] = [
    "crates/aquifer/tests/it/guides",
    "bench/tests/guides",
    "crates/aquifer/tests/refused",
    "crates/aquifer/examples",
    "tests/outside/src",
];
/// What is looked for there; commands and code in other languages are not.
const LANGUAGES: [&str; 3] = ["rust", "sql", "text"];
/// What the compiler must say stands behind this.
const SAID: &str = "//~ ";

struct Block<'a> {
    /// Where it begins.
    line: usize,
    language: &'a str,
    lines: Vec<&'a str>,
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let is_source = |file: &&TextFile| {
        let mut directories = SOURCES.iter();
        directories.any(|directory| below(&file.path, directory).is_some())
    };
    let sources: Vec<Vec<&str>> = tree
        .files
        .iter()
        .filter(is_source)
        .map(|file| file.text.lines().map(said).collect())
        .collect();
    let is_guide =
        |path: &str| path == README || (below(path, GUIDES).is_some() && path.ends_with(".md"));
    let guides = tree.files.iter().filter(|file| is_guide(&file.path));
    let mut findings = Vec::new();
    for guide in guides {
        for block in blocks(&guide.text) {
            if LANGUAGES.contains(&block.language)
                && !sources.iter().any(|source| block.stands_in(source))
            {
                findings.push(Finding::new(
                    &guide.path,
                    block.line,
                    "this code stands in no file that is compiled and run",
                    format!("Copy it from a file in {}.", SOURCES.join(", ")),
                ));
            }
        }
    }
    findings
}

fn said(line: &str) -> &str {
    line.strip_prefix(SAID).unwrap_or(line)
}

fn blocks(markdown: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = (1..).zip(markdown.lines());
    while let Some((line, text)) = lines.next() {
        let Some(language) = text.strip_prefix("```") else {
            continue;
        };
        let body = lines
            .by_ref()
            .take_while(|(_, line)| !line.starts_with("```"));
        blocks.push(Block {
            line,
            language: language.split(',').next().unwrap_or_default(),
            lines: body.map(|(_, line)| line).collect(),
        });
    }
    blocks
}

impl Block<'_> {
    /// Its paragraphs may stand apart in the file, and further to the right.
    fn stands_in(&self, source: &[&str]) -> bool {
        let mut paragraphs = self.lines.split(|line| line.is_empty());
        paragraphs.all(|paragraph| {
            paragraph.is_empty()
                || source
                    .windows(paragraph.len())
                    .any(|lines| repeats(lines, paragraph))
        })
    }
}

fn repeats(lines: &[&str], paragraph: &[&str]) -> bool {
    let (Some(first), Some(shown)) = (lines.first(), paragraph.first()) else {
        return false;
    };
    let Some(indentation) = first.strip_suffix(shown) else {
        return false;
    };
    indentation.trim().is_empty()
        && lines
            .iter()
            .zip(paragraph)
            .all(|(line, shown)| line.strip_prefix(indentation) == Some(*shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: (&str, &str) = (
        "crates/aquifer/tests/it/guides/a.rs",
        "fn a() {\n    b();\n\n    c();\n}\n\nfn d() {}\n",
    );
    const REFUSED: (&str, &str) = (
        "crates/aquifer/tests/refused/a.rs",
        "//~ error[E1]: no\n//~     a\n",
    );

    fn findings(guide: &str) -> usize {
        let tree = Tree::of(&[SOURCE, REFUSED, ("guides/a.md", guide)]);
        check(&tree).len()
    }

    #[test]
    fn code_that_stands_in_a_source_is_found_there() {
        for code in [
            "fn d() {}",
            "fn a() {\n    b();\n\n    c();\n}",
            "b();\n\nc();",
            "fn d() {}\n\nfn a() {\n    b();",
        ] {
            assert_eq!(findings(&format!("A\n```rust\n{code}\n```\n")), 0, "{code}");
        }
        assert_eq!(findings("```text\nerror[E1]: no\n    a\n```\n"), 0);
    }

    #[test]
    fn code_that_differs_is_a_finding_with_its_line() {
        for code in ["fn e() {}", "fn a() {\n  b();", "a();\n\nc();", "() {}"] {
            assert_eq!(
                findings(&format!("```rust,ignore\n{code}\n```\n")),
                1,
                "{code}"
            );
        }
        assert_eq!(findings("```text\nerror[E2]: no\n```\n"), 1);
        let guide = ("guides/a.md", "A\n\n```rust\nx\n```\n");
        let found = check(&Tree::of(&[SOURCE, guide]));
        assert_eq!(found.first().map(|finding| finding.line), Some(3));
    }

    #[test]
    fn commands_and_other_languages_are_not_looked_at() {
        assert_eq!(
            findings("```sh\nls\n```\n```typescript\nawait a();\n```\n"),
            0
        );
    }
}
