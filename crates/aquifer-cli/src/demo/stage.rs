//! The narration: numbered steps, what each found, and the summary.

use std::error::Error;
use std::time::{Duration, Instant};

use tokio::time;

use super::figures;
use super::page::{INDENT, Page, WIDTH};
use super::palette::Tone;

/// Whatever a step stumbled over; its causes are printed with it.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// The longest title, in the summary.
const TITLE: usize = 40;
/// A step takes seconds at most; one that takes so long hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// What is said before a step is made.
pub(super) struct Chapter {
    pub(super) title: &'static str,
    /// What is done and why it matters.
    pub(super) why: &'static str,
    /// What a user would write.
    pub(super) code: Vec<&'static str>,
}

/// Where the demo is told: it numbers the steps and remembers how they ended.
pub(super) struct Stage {
    page: Page,
    steps_planned: usize,
    ended: Vec<Ended>,
}

struct Ended {
    title: &'static str,
    held: bool,
    checks: usize,
    elapsed: Duration,
}

/// One step while it is made.
pub(super) struct Step {
    page: Page,
    checks: usize,
    failed: usize,
}

impl Stage {
    pub(super) fn new(page: Page, steps_planned: usize) -> Self {
        Self {
            page,
            steps_planned,
            ended: Vec::new(),
        }
    }

    /// The head of the whole.
    pub(super) fn open(&self, title: &str, text: &str) {
        self.page.line("");
        let title = self.page.paint(Tone::Title, title);
        self.page.line(&format!("  {title}"));
        self.page.text(2, text);
    }

    /// Makes one step: says what is done, does it, and says how it ended.
    pub(super) async fn play<T>(
        &mut self,
        chapter: Chapter,
        act: impl AsyncFnOnce(&mut Step) -> Result<T, Failure>,
    ) -> Option<T> {
        self.announce(&chapter);
        let mut step = Step {
            page: self.page.clone(),
            checks: 0,
            failed: 0,
        };
        let begun = Instant::now();
        let done = match time::timeout(LIMIT, act(&mut step)).await {
            Ok(done) => done,
            Err(_elapsed) => Err(format!("not done within {}", figures::time(LIMIT)).into()),
        };
        let elapsed = begun.elapsed();
        if let Err(failure) = &done {
            step.fail(failure.as_ref());
        }
        let held = step.failed == 0;
        let time = format!("{:>width$}", figures::time(elapsed), width = WIDTH - 2);
        let time = self.page.paint(Tone::Quiet, &time);
        self.page.line(&format!("{time} {}", self.page.mark(held)));
        self.ended.push(Ended {
            title: chapter.title,
            held,
            checks: step.checks,
            elapsed,
        });
        done.ok()
    }

    fn announce(&self, chapter: &Chapter) {
        let page = &self.page;
        let number = format!("{}/{}", self.ended.len() + 1, self.steps_planned);
        let number = format!("{number:>width$}", width = INDENT - 2);
        page.line("");
        page.line(&format!(
            "{}  {}",
            page.paint(Tone::Quiet, &number),
            page.paint(Tone::Title, chapter.title)
        ));
        page.text(INDENT, chapter.why);
        page.line("");
        let bar = page.paint(Tone::Quiet, "│");
        for code in &chapter.code {
            let code = page.paint(Tone::Code, code);
            page.line(format!("{:INDENT$}{bar} {code}", "").trim_end());
        }
        if !chapter.code.is_empty() {
            page.line("");
        }
    }

    /// All steps with their times; true when all were made and held.
    pub(super) fn summarize(&self) -> bool {
        let page = &self.page;
        page.line("");
        page.line(&format!("  {}", page.paint(Tone::Title, "Summary")));
        for (position, ended) in self.ended.iter().enumerate() {
            let time = format!("{:>10}", figures::time(ended.elapsed));
            page.line(&format!(
                "  {} {:>2}  {:<TITLE$}{}",
                page.mark(ended.held),
                position + 1,
                ended.title,
                page.paint(Tone::Quiet, &time),
            ));
        }
        let held = self.ended.iter().filter(|ended| ended.held).count();
        let checks: usize = self.ended.iter().map(|ended| ended.checks).sum();
        let elapsed: Duration = self.ended.iter().map(|ended| ended.elapsed).sum();
        let all = held == self.steps_planned;
        let skipped = match self.steps_planned - self.ended.len() {
            0 => String::new(),
            skipped => format!(", {skipped} not made"),
        };
        let text = format!(
            "{held} of {} steps hold{skipped}; {} made in {}",
            self.steps_planned,
            figures::plural(checks, "check"),
            figures::time(elapsed),
        );
        page.item(2, &page.mark(all), &text);
        all
    }

    /// Lines after the last step, with a command that the reader may type.
    pub(super) fn offer(&self, before: &str, command: &str, after: &str) {
        let page = &self.page;
        page.line("");
        page.text(2, before);
        page.line("");
        page.line(&format!("    {}", page.paint(Tone::Code, command)));
        page.line("");
        page.line(&format!("  {}", page.paint(Tone::Title, after)));
    }

    /// How the clean-up ended; true when nothing is left behind.
    pub(super) fn close(&self, ended: Result<String, Failure>) -> bool {
        let held = ended.is_ok();
        let text = ended.unwrap_or_else(|failure| failure.to_string());
        self.page.item(2, &self.page.mark(held), &text);
        self.page.line("");
        held
    }
}

impl Step {
    /// Something that was measured.
    pub(super) fn note(&mut self, text: &str) {
        let dot = self.page.paint(Tone::Quiet, "·");
        self.page.item(INDENT, &dot, text);
    }

    /// Something that must be so; `text` says what was found, in either case.
    pub(super) fn check(&mut self, holds: bool, text: &str) {
        self.checks += 1;
        if !holds {
            self.failed += 1;
        }
        self.page.item(INDENT, &self.page.mark(holds), text);
    }

    /// A line of a drawing.
    pub(super) fn draw(&self, text: &str) {
        self.page.line(&format!("{:INDENT$}  {text}", ""));
    }

    /// The words of somebody else, on as many lines as they take.
    pub(super) fn quote(&self, text: &str) {
        self.page.text(INDENT + 2, text);
    }

    fn fail(&mut self, failure: &dyn Error) {
        self.failed += 1;
        let mark = self.page.mark(false);
        self.page.item(INDENT, &mark, &failure.to_string());
        let mut cause = failure.source();
        while let Some(error) = cause {
            self.page.item(INDENT, " ", &format!("caused by: {error}"));
            cause = error.source();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::page::tests::page;

    fn chapter() -> Chapter {
        Chapter {
            title: "Arithmetic",
            why: "It matters.",
            code: vec!["1 + 1"],
        }
    }

    #[tokio::test]
    async fn all_steps_hold_only_if_none_is_missing() {
        let mut stage = Stage::new(page().0, 2);
        let good = async |step: &mut Step| {
            step.check(true, "one is one");
            Ok(1)
        };
        assert_eq!(stage.play(chapter(), good).await, Some(1));
        assert!(!stage.summarize());
        stage.play(chapter(), good).await;
        assert!(stage.summarize());
    }

    #[tokio::test]
    async fn a_step_with_a_check_that_fails_does_not_hold() {
        let (page, written) = page();
        let mut stage = Stage::new(page, 1);
        let bad = async |step: &mut Step| {
            step.check(false, "one and one: 3");
            Ok(())
        };
        stage.play(chapter(), bad).await;
        assert!(!stage.summarize());
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        for line in [
            "  1/1  Arithmetic\n",
            "│ 1 + 1\n",
            "✗ one and one: 3\n",
            "✗ 0 of 1 steps hold",
        ] {
            assert!(written.contains(line), "{line} is not in: {written}");
        }
    }

    #[tokio::test]
    async fn a_failure_is_told_with_its_cause() {
        #[derive(Debug)]
        struct Away(std::fmt::Error);
        impl std::fmt::Display for Away {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("the server is away")
            }
        }
        impl Error for Away {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let (page, written) = page();
        let mut stage = Stage::new(page, 1);
        let broken = async |_: &mut Step| Err::<(), Failure>(Away(std::fmt::Error).into());
        assert_eq!(stage.play(chapter(), broken).await, None);
        assert!(!stage.summarize());
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(
            written.contains("✗ the server is away\n         caused by: "),
            "{written}"
        );
    }
}
