//! The one table of what the rules let pass. An entry that lets nothing pass any more is a finding.

use crate::tidy::finding::Finding;

/// One file that may break one rule.
struct Exception {
    check: &'static str,
    path: &'static str,
    /// Part of the finding's text, so that only the one meant passes.
    what: &'static str,
    /// For the reader of this table.
    #[allow(
        dead_code,
        reason = "it must be written down, but nothing computes with it"
    )]
    reason: &'static str,
}

const THIS_FILE: &str = "xtask/src/tidy/exceptions.rs";

const EXCEPTIONS: &[Exception] = &[];

/// Takes away the findings that the table lets pass, and adds one for each idle entry.
pub(super) fn apply(findings: Vec<(&'static str, Finding)>) -> Vec<Finding> {
    filter(EXCEPTIONS, findings)
}

fn filter(table: &[Exception], findings: Vec<(&'static str, Finding)>) -> Vec<Finding> {
    let mut idle: Vec<&Exception> = table.iter().collect();
    let mut left = Vec::new();
    for (check, finding) in findings {
        let passing = |exception: &Exception| {
            exception.check == check
                && exception.path == finding.path
                && finding.to_string().contains(exception.what)
        };
        if table.iter().any(passing) {
            idle.retain(|&exception| !passing(exception));
        } else {
            left.push(finding);
        }
    }
    left.extend(idle.into_iter().map(|exception| {
        Finding::new(
            THIS_FILE,
            1,
            format!(
                "the exception from `{}` for {} is idle",
                exception.check, exception.path
            ),
            "Remove it: the rule is kept there.",
        )
    }));
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Exception] = &[Exception {
        check: "sizes",
        path: "a.rs",
        what: "long",
        reason: "a table of states",
    }];

    #[test]
    fn an_exception_lets_pass_one_rule_in_one_file_only() {
        let finding = |path: &str, what: &str| Finding::new(path, 1, what, "");
        let others = [
            ("sizes", finding("b.rs", "too long in another file")),
            ("docs", finding("a.rs", "too long by another rule")),
            ("sizes", finding("a.rs", "too wide")),
        ];
        let passing = [("sizes", finding("a.rs", "too long"))];
        let left = filter(TABLE, others.iter().chain(&passing).cloned().collect());
        assert_eq!(left, others.map(|(_, finding)| finding));
    }

    #[test]
    fn an_idle_exception_is_a_finding() {
        let left = filter(TABLE, Vec::new());
        assert!(
            left.first()
                .is_some_and(|finding| finding.to_string().contains("is idle"))
        );
    }
}
