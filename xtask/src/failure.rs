use std::fmt;

/// Why a command of xtask ended, and how to run the failed part again.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    again: Option<String>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            again: None,
        }
    }

    /// For a file or directory that can't be used.
    pub(crate) fn io(what: impl fmt::Display, error: &std::io::Error) -> Self {
        Self::new(format!("{what}: {error}"))
    }

    /// Names the command that runs only the failed part.
    pub(crate) fn again(mut self, command: impl Into<String>) -> Self {
        self.again.get_or_insert_with(|| command.into());
        self
    }

    /// Says in which step it happened.
    pub(crate) fn within(mut self, step: &str) -> Self {
        self.message = format!("{step} failed: {}", self.message);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        match &self.again {
            Some(command) => write!(formatter, "\n  to run this part again: {command}"),
            None => Ok(()),
        }
    }
}
