//! Lines on the terminal: margins, marks and colours.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::palette::{Palette, Tone};

/// Fits a terminal of 80 columns.
pub(super) const WIDTH: usize = 80;
/// Where text begins; the number of the step stands before it.
pub(super) const INDENT: usize = 7;

/// Where the demo is written; cheap to clone.
#[derive(Clone)]
pub(super) struct Page {
    palette: Palette,
    out: Arc<Mutex<dyn Write + Send>>,
}

impl Page {
    pub(super) fn stdout() -> Self {
        Self {
            palette: Palette::for_stdout(),
            out: Arc::new(Mutex::new(io::stdout())),
        }
    }

    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        self.palette.paint(tone, text)
    }

    /// ✓ or ✗.
    pub(super) fn mark(&self, held: bool) -> String {
        if held {
            self.paint(Tone::Good, "✓")
        } else {
            self.paint(Tone::Bad, "✗")
        }
    }

    pub(super) fn line(&self, text: &str) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever closed the output does not want the rest; the steps and the clean-up still count.
        let _unread = writeln!(out, "{text}");
    }

    /// Text after `margin`, on as many lines as it takes.
    pub(super) fn text(&self, margin: usize, text: &str) {
        for part in wrap(text, WIDTH - margin) {
            self.line(&format!("{:margin$}{part}", ""));
        }
    }

    /// Text after `margin` and a mark.
    pub(super) fn item(&self, margin: usize, mark: &str, text: &str) {
        let mut mark = mark;
        for part in wrap(text, WIDTH - margin - 2) {
            self.line(&format!("{:margin$}{mark} {part}", ""));
            mark = " ";
        }
    }
}

/// Breaks between words; a word that is longer than a line gets one of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in text.split_whitespace() {
        if !current.is_empty() && current.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut current));
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(word);
    }
    lines.push(current);
    lines
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    type Written = Arc<Mutex<Vec<u8>>>;

    /// A page without colours, and what is written on it.
    pub(in crate::demo) fn page() -> (Page, Written) {
        let written = Arc::new(Mutex::new(Vec::new()));
        let page = Page {
            palette: Palette::plain(),
            out: Written::clone(&written),
        };
        (page, written)
    }

    #[test]
    fn text_is_broken_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        let long = ["a", "incomprehensibility", "b"];
        assert_eq!(wrap("a incomprehensibility b", 5), long);
    }

    #[test]
    fn only_the_first_line_of_an_item_is_marked() {
        let (page, written) = page();
        page.item(WIDTH - 6, "✓", "so it is");
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let margin = " ".repeat(WIDTH - 6);
        assert_eq!(
            written,
            format!("{margin}✓ so\n{margin}  it\n{margin}  is\n")
        );
    }
}
