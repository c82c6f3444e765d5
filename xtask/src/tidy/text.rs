//! What must not stand in any text file, and how large a file may be.

use crate::tidy::finding::Finding;
use crate::tidy::tree::{TextFile, Tree};

/// A word that must not stand in the project.
struct Forbidden {
    /// In two parts, so that this table does not find itself.
    word: (&'static str, &'static str),
    what: &'static str,
    remedy: &'static str,
}

const MACHINE: &str = "a path of one machine";
const MACHINE_REMEDY: &str = "Use a path relative to the project, or look the place up.";
const HOST: &str = "a host or setting of one network";
const HOST_REMEDY: &str = "Others can't reach it; name what is public, or nothing.";

const fn machine(first: &'static str, second: &'static str) -> Forbidden {
    Forbidden {
        word: (first, second),
        what: MACHINE,
        remedy: MACHINE_REMEDY,
    }
}

const fn host(first: &'static str, second: &'static str) -> Forbidden {
    Forbidden {
        word: (first, second),
        what: HOST,
        remedy: HOST_REMEDY,
    }
}

const FORBIDDEN: [Forbidden; 9] = [
    machine("/wo", "rk/"),
    machine("/ro", "ot/"),
    machine("/Use", "rs/"),
    machine("/ho", "me/"),
    host("artifac", "tory"),
    host(".inter", "nal/"),
    host("index", "-url"),
    host("replace", "-with"),
    host("regis", "tries."),
];

/// Homebrew on Linux has this one place on every machine.
const HOMEBREW: &str = "/home/linuxbrew/";

/// Where cargo says that a crate came from its public registry.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Notes for later, in two parts as above.
const NOTES: [(&str, &str); 3] = [("TO", "DO"), ("FIX", "ME"), ("XX", "X")];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let large = tree.large.iter().map(|(path, size)| {
        Finding::new(
            path,
            1,
            format!("{size} bytes, at most a million"),
            "Make it when it is needed, or keep it elsewhere.",
        )
    });
    tree.files
        .iter()
        .flat_map(check_file)
        .chain(large)
        .collect()
}

fn check_file(file: &TextFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        findings.extend(forbidden(file, number, line));
        findings.extend(note(file, number, line));
        findings.extend(foreign_source(file, number, line));
    }
    findings
}

fn forbidden(file: &TextFile, number: usize, line: &str) -> Option<Finding> {
    let line = line.replace(HOMEBREW, "");
    let (found, word) = FORBIDDEN.iter().find_map(|forbidden| {
        let word = [forbidden.word.0, forbidden.word.1].concat();
        stands_alone(&line, &word).then_some((forbidden, word))
    })?;
    let what = format!("{}: `{word}`", found.what);
    Some(Finding::new(&file.path, number, what, found.remedy))
}

/// A path starts where no name ends, so that `network/` and `.github/workflows/` are none.
fn stands_alone(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !word.starts_with('/') || !before.is_some_and(|sign| sign.is_alphanumeric() || sign == '.')
    })
}

/// A note for later names its issue, as in `(#12)`; else nobody comes back to it.
fn note(file: &TextFile, number: usize, line: &str) -> Option<Finding> {
    let note = NOTES
        .iter()
        .map(|(first, second)| [*first, *second].concat())
        .find(|note| {
            line.split(|sign: char| !sign.is_alphanumeric() && sign != '_')
                .any(|word| word == note)
        })?;
    let names_issue = line
        .split('#')
        .skip(1)
        .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    (!names_issue).then(|| {
        Finding::new(
            &file.path,
            number,
            format!("`{note}` without an issue"),
            format!("Do it, or open an issue and write {note}(#number)."),
        )
    })
}

fn foreign_source(file: &TextFile, number: usize, line: &str) -> Option<Finding> {
    let source = line.strip_prefix("source = \"")?;
    let is_lock = file.path.ends_with("Cargo.lock");
    (is_lock && !source.starts_with(REGISTRY)).then(|| {
        Finding::new(
            &file.path,
            number,
            "a dependency does not come from crates.io",
            "Depend on a released version.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(line: &str) -> Vec<String> {
        check(&Tree::of(&[("docs/a.md", line)]))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn paths_and_hosts_of_one_machine_are_found() {
        for forbidden in FORBIDDEN {
            let word = [forbidden.word.0, forbidden.word.1].concat();
            assert_eq!(findings(&format!("see `{word}aquifer`")).len(), 1, "{word}");
        }
        assert!(findings("/home/linuxbrew/.linuxbrew/opt").is_empty());
        assert!(findings("a net/work/ of .github/workflows/ci.yml").is_empty());
    }

    #[test]
    fn a_note_for_later_needs_its_issue() {
        for (first, second) in NOTES {
            assert_eq!(findings(&format!("// {first}{second}: later")).len(), 1);
            assert!(findings(&format!("// {first}{second}(#12): later")).is_empty());
            assert!(findings(&format!("// {first}{second}_LIST")).is_empty());
        }
    }

    #[test]
    fn a_dependency_from_elsewhere_is_found() {
        let line = "source = \"registry+https://example.com/index\"\n";
        assert_eq!(check(&Tree::of(&[("Cargo.lock", line)])).len(), 1);
        let line = format!("source = \"{REGISTRY}\"\n");
        assert_eq!(check(&Tree::of(&[("Cargo.lock", &line)])), []);
    }

    #[test]
    fn a_large_file_is_found() {
        let mut tree = Tree::default();
        tree.large.push(("a.bin".to_owned(), 2_000_000));
        assert_eq!(check(&tree).len(), 1);
    }
}
