//! Lines of the demo's own source, so that what is shown is what has run.

/// The lines between `// ANCHOR: name` and `// ANCHOR_END: name`, without their common indentation;
/// of several such pairs one after another, with an empty line between them.
pub(super) fn excerpt<'a>(source: &'a str, name: &str) -> Vec<&'a str> {
    let mut excerpt = Vec::new();
    let mut lines = source.lines();
    while lines.any(|line| is_mark(line, "// ANCHOR:", name)) {
        if !excerpt.is_empty() {
            excerpt.push("");
        }
        let inside = lines.by_ref();
        let inside = inside.take_while(|line| !is_mark(line, "// ANCHOR_END:", name));
        excerpt.extend(without_indentation(&inside.collect::<Vec<_>>()));
    }
    excerpt
}

fn without_indentation<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let indentation = lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    lines
        .iter()
        .map(|line| line.get(indentation..).unwrap_or_default())
        .collect()
}

fn is_mark(line: &str, mark: &str, name: &str) -> bool {
    let rest = line.trim_start().strip_prefix(mark);
    rest.is_some_and(|rest| rest.trim() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_between_the_marks_lose_their_common_indentation() {
        let source =
            "a\n    // ANCHOR: two\n    b {\n\n        c\n    }\n    // ANCHOR_END: two\nd";
        assert_eq!(excerpt(source, "two"), ["b {", "", "    c", "}"]);
        assert!(excerpt(source, "three").is_empty());
    }

    #[test]
    fn several_pairs_of_one_name_are_joined() {
        let source = "// ANCHOR: a\nb\n// ANCHOR_END: a\nc\n// ANCHOR: a\n  d\n// ANCHOR_END: a";
        assert_eq!(excerpt(source, "a"), ["b", "", "d"]);
    }
}
