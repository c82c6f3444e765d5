use crate::tidy::finding::Finding;
use crate::tidy::tree::Tree;

const PATH: &str = "CHANGELOG.md";

/// The form of keepachangelog.com; its first section takes what is not released yet.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let text = tree.text(PATH).unwrap_or_default();
    let first = text.lines().find(|line| line.starts_with("## "));
    if first.is_some_and(|line| line.trim() == "## [Unreleased]") {
        return Vec::new();
    }
    vec![Finding::new(
        PATH,
        1,
        "the first section is not `## [Unreleased]`",
        "Add it above the newest release and note there what changes for users.",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_section_must_be_unreleased() {
        assert_eq!(
            check(&Tree::of(&[(
                PATH,
                "# Changelog\n\n## [Unreleased]\n\n## 1\n"
            )])),
            []
        );
        assert_eq!(
            check(&Tree::of(&[(
                PATH,
                "# Changelog\n\n## 1\n\n## [Unreleased]\n"
            )]))
            .len(),
            1
        );
        assert_eq!(check(&Tree::of(&[])).len(), 1);
    }
}
