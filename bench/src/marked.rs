//! The parts of BENCHMARKS.md that runs write anew, each between two markers.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;

/// Puts the text between the markers of that name; returns the path of the document.
///
/// # Errors
/// When the markers are missing, and what the file system says.
pub fn put(name: &str, text: &str) -> Result<PathBuf, Error> {
    let document = root().join("BENCHMARKS.md");
    let old = fs::read_to_string(&document)?;
    fs::write(&document, replaced(&old, name, text)?)?;
    Ok(document)
}

/// The repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn replaced(old: &str, name: &str, text: &str) -> Result<String, Error> {
    let [begin, end] = ["begin", "end"].map(|edge| format!("<!-- {name}: {edge} -->\n"));
    let missing = || format!("BENCHMARKS.md lacks a line {begin}or {}", end.trim());
    let (before, rest) = old.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    let text = text.trim_end();
    Ok(format!("{before}{begin}\n{text}\n\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_is_written_anew() {
        let around =
            |text: &str| format!("before\n<!-- some: begin -->\n{text}<!-- some: end -->\nafter\n");
        let new = replaced(&around("old\n"), "some", "new\n").expect("both markers");
        assert_eq!(new, around("\nnew\n\n"));
        assert!(replaced(&around("old\n"), "other", "new").is_err());
    }
}
