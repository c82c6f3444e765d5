//! The table of what is logged says what is logged.

use std::collections::BTreeSet;

const PAGE: &str = include_str!("logging.md");
const SOURCE: &str = include_str!("log.rs");
const SPANS: &str = include_str!("spans.rs");
const EVENTS: &str = include_str!("event.rs");

/// Level, target, message, fields.
type Line = (String, String, String, Vec<String>);

fn documented() -> BTreeSet<Line> {
    let rows = PAGE.lines().filter(|line| {
        let level = line.trim_start_matches("| ").split(' ').next();
        matches!(level, Some("TRACE" | "DEBUG" | "INFO" | "WARN" | "ERROR"))
    });
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let fields = cells[4].split_whitespace().map(unquoted);
        let target = unquoted(cells[2]);
        (
            cells[1].to_owned(),
            target,
            cells[3].to_owned(),
            fields.collect(),
        )
    })
    .collect()
}

fn unquoted(text: &str) -> String {
    text.trim_matches('`').to_owned()
}

/// Each call of a macro of `tracing`, as it is written on one line.
fn written() -> BTreeSet<Line> {
    let macros = SOURCE.lines().map(str::trim).filter_map(|line| {
        let (level, arguments) = line.strip_prefix("tracing::")?.split_once("!(")?;
        Some((level.to_uppercase(), arguments.strip_suffix(");")?))
    });
    macros
        .map(|(level, arguments)| {
            let mut parts = arguments.split(", ").collect::<Vec<_>>();
            let target = parts.remove(0).strip_prefix("target: ").unwrap();
            let message = parts.pop().unwrap();
            let field = |part: &str| part.split(" = ").next().unwrap_or_default().to_owned();
            let fields = parts.into_iter().map(field).collect();
            let text = |quoted: &str| quoted.trim_matches('"').to_owned();
            (level, text(target), text(message), fields)
        })
        .collect()
}

#[test]
fn every_line_of_the_log_is_documented_and_none_that_is_not_written() {
    let written = written();
    let code = SOURCE.lines().filter(|line| !line.starts_with("use "));
    let mentions: usize = code.map(|line| line.matches("tracing::").count()).sum();
    assert_eq!(
        written.len(),
        mentions - 2 * SOURCE.matches("tracing::enabled!").count()
    );
    assert_eq!(written, documented());
}

#[test]
fn every_event_and_every_attribute_of_a_span_is_documented() {
    let names = EVENTS
        .lines()
        .filter_map(|line| line.trim().split_once("{ .. } => \""));
    let names: Vec<_> = names
        .map(|(_, name)| name.trim_end_matches("\","))
        .collect();
    assert!(names.len() >= 14, "{names:?}");
    let attributes = SPANS
        .lines()
        .filter_map(|line| line.trim().split_once(" = "));
    let attributes = attributes
        .map(|(name, _)| name)
        .filter(|name| name.contains('.'));
    for name in names.into_iter().chain(attributes) {
        assert!(
            PAGE.contains(&format!("`{name}`")),
            "{name} is not in the table"
        );
    }
}
