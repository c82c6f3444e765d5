//! Colours, where they are wanted: on a terminal, and unless `NO_COLOR` is set.

use std::env;
use std::io::{self, IsTerminal};

/// How a piece of text is shown.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tone {
    Bad,
    Code,
    Good,
    Quiet,
    Title,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    colours: bool,
}

impl Palette {
    pub(super) fn for_stdout() -> Self {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self {
            colours: io::stdout().is_terminal() && !unwanted,
        }
    }

    #[cfg(test)]
    pub(super) fn plain() -> Self {
        Self { colours: false }
    }

    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Bad => "1;31",
            Tone::Code => "36",
            Tone::Good => "32",
            Tone::Quiet => "2",
            Tone::Title => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}
