use std::fmt;

use crate::SqlState;

/// What the server said in an ErrorResponse or a NoticeResponse.
///
/// The fields are those of the PostgreSQL manual, "Error and Notice Message Fields". `Display`
/// prints severity, message and code; `detail` and `where` may hold values of rows, so they are
/// shown only by their accessors.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseError(Box<Fields>);

#[derive(Clone, Default, PartialEq, Eq)]
struct Fields {
    severity: String,
    code: Option<SqlState>,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<u32>,
    context: Option<String>,
    schema: Option<String>,
    table: Option<String>,
    column: Option<String>,
    data_type: Option<String>,
    constraint: Option<String>,
    routine: Option<String>,
}

impl DatabaseError {
    /// Reads the fields of a message; unknown ones are passed over, as the protocol asks.
    pub(crate) fn from_fields<'a>(fields: impl Iterator<Item = (u8, &'a [u8])>) -> Self {
        let mut read = Fields::default();
        let mut localized = String::new();
        for (kind, value) in fields {
            let value = String::from_utf8_lossy(value).into_owned();
            match kind {
                b'S' => localized = value,
                b'V' => read.severity = value,
                b'C' => read.code = SqlState::from_code(&value),
                b'M' => read.message = value,
                b'D' => read.detail = Some(value),
                b'H' => read.hint = Some(value),
                b'P' => read.position = value.parse().ok(),
                b'W' => read.context = Some(value),
                b's' => read.schema = Some(value),
                b't' => read.table = Some(value),
                b'c' => read.column = Some(value),
                b'd' => read.data_type = Some(value),
                b'n' => read.constraint = Some(value),
                b'R' => read.routine = Some(value),
                _ => {}
            }
        }
        if read.severity.is_empty() {
            read.severity = localized;
        }
        Self(Box::new(read))
    }

    /// `ERROR`, `FATAL`, `PANIC`, or for notices `WARNING`, `NOTICE` and below; never translated.
    #[must_use]
    pub fn severity(&self) -> &str {
        &self.0.severity
    }

    /// The SQLSTATE; `XX000` where the server sent none that can be read.
    #[must_use]
    pub fn code(&self) -> &SqlState {
        self.0.code.as_ref().unwrap_or(&SqlState::INTERNAL_ERROR)
    }

    /// The primary message, one line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// More about it; may contain values of rows, so keep it out of logs.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// What the server suggests.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Where in the statement, in characters from 1.
    #[must_use]
    pub fn position(&self) -> Option<u32> {
        self.0.position
    }

    /// The stack of functions in which it happened; may contain values.
    #[must_use]
    pub fn context(&self) -> Option<&str> {
        self.0.context.as_deref()
    }

    /// The schema it is about.
    #[must_use]
    pub fn schema(&self) -> Option<&str> {
        self.0.schema.as_deref()
    }

    /// The table it is about.
    #[must_use]
    pub fn table(&self) -> Option<&str> {
        self.0.table.as_deref()
    }

    /// The column it is about.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        self.0.column.as_deref()
    }

    /// The data type it is about.
    #[must_use]
    pub fn data_type(&self) -> Option<&str> {
        self.0.data_type.as_deref()
    }

    /// The constraint it is about.
    #[must_use]
    pub fn constraint(&self) -> Option<&str> {
        self.0.constraint.as_deref()
    }

    /// The function of the server's source that reported it.
    #[must_use]
    pub fn routine(&self) -> Option<&str> {
        self.0.routine.as_deref()
    }

    /// Whether the session ends with this message.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self.0.severity.as_str(), "FATAL" | "PANIC")
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {} ({})",
            self.0.severity,
            self.0.message,
            self.code()
        )
    }
}

impl fmt::Debug for DatabaseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `detail` and `where` may hold values of rows: Debug ends up in logs, so they stay out.
        formatter
            .debug_struct("DatabaseError")
            .field("severity", &self.0.severity)
            .field("code", self.code())
            .field("message", &self.0.message)
            .field("constraint", &self.0.constraint)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for DatabaseError {}
