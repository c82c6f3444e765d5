//! The ten lines of the README, and the texts that must repeat them word for word.

/// The first Rust block of a Markdown text.
pub(crate) fn example(markdown: &str) -> Option<String> {
    blocks(markdown).into_iter().next()
}

/// All Rust blocks in the documentation of a crate's root file, as a reader sees them.
pub(crate) fn documented_examples(source: &str) -> Vec<String> {
    let markdown: Vec<&str> = source
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    blocks(&markdown.join("\n"))
}

/// Whether the text stands in a file: whole, after the module documentation, or in a block of it.
pub(crate) fn repeats(source: &str, example: &str) -> bool {
    without_module_docs(source) == example
        || documented_examples(source)
            .iter()
            .any(|block| block == example)
}

fn without_module_docs(source: &str) -> String {
    let lines: Vec<&str> = source
        .lines()
        .filter(|line| !line.starts_with("//!"))
        .collect();
    lines.join("\n").trim().to_owned()
}

fn blocks(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        let body: Vec<&str> = lines
            .by_ref()
            .take_while(|line| !line.trim_start().starts_with("```"))
            .collect();
        if is_rust(language) {
            blocks.push(shown(&body));
        }
    }
    blocks
}

/// In rustdoc a block without a language is Rust; in the README all blocks name their language.
fn is_rust(language: &str) -> bool {
    const ATTRIBUTES: [&str; 5] = ["rust", "no_run", "should_panic", "compile_fail", ""];
    language
        .split(',')
        .all(|word| ATTRIBUTES.contains(&word.trim()))
}

/// Leaves out the lines that rustdoc hides.
fn shown(body: &[&str]) -> String {
    let hidden = |line: &&&str| line.trim() == "#" || line.trim_start().starts_with("# ");
    let lines: Vec<&str> = body.iter().filter(|line| !hidden(line)).copied().collect();
    lines.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "# Name\n```sh\ncargo add\n```\n\n```rust\nfn main() {}\n```\n";

    #[test]
    fn the_example_is_the_first_block_of_rust() {
        assert_eq!(example(README).as_deref(), Some("fn main() {}"));
        assert_eq!(example("```sh\nls\n```"), None);
    }

    #[test]
    fn a_crate_repeats_it_in_its_documentation_without_the_hidden_lines() {
        let docs = "//! A crate.\n//!\n//! ```no_run\n//! # use a::b;\n//! fn main() {}\n//! ```\n";
        assert!(repeats(docs, "fn main() {}"));
        assert!(!repeats(docs, "fn main() { other() }"));
    }

    #[test]
    fn a_program_repeats_it_as_its_whole_text() {
        assert!(repeats("//! Ten lines.\n\nfn main() {}\n", "fn main() {}"));
        assert!(!repeats("fn main() {}\nfn more() {}\n", "fn main() {}"));
    }
}
