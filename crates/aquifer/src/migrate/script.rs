use std::ops::Range;

use aquifer_core::scan::{self, Class, Copy};
use sha2::{Digest, Sha384};

use crate::error::{MigrationFault, MigrationProblem};
use crate::{Error, ErrorKind, SqlState};

/// A file that begins so is run without a transaction around it.
const NO_TRANSACTION: &str = "-- no-transaction";

/// One file with SQL.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) version: i64,
    pub(super) file: String,
    pub(super) text: String,
    /// Whether it is run in a transaction.
    pub(super) in_transaction: bool,
}

/// One statement of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement<'a> {
    pub(super) text: &'a str,
    /// The line that it begins in, from 1.
    pub(super) line: u32,
}

impl Script {
    pub(super) fn new(version: i64, file: String, text: String) -> Self {
        let in_transaction = !text.starts_with(NO_TRANSACTION);
        Self {
            version,
            file,
            text,
            in_transaction,
        }
    }

    /// SHA-384 of the file, byte by byte.
    pub(super) fn checksum(&self) -> Vec<u8> {
        checksum(&self.text)
    }

    /// Whether a file of that checksum differs in its line ends only.
    pub(super) fn differs_in_line_ends(&self, other: &[u8]) -> bool {
        let unix = self.text.replace("\r\n", "\n");
        checksum(&unix) == other || checksum(&unix.replace('\n', "\r\n")) == other
    }

    /// What is to be sent, one after the other.
    ///
    /// A BEGIN at the start and the COMMIT at the end of a file that is run in a transaction are left
    /// out: the transaction is there already, and has to hold what is noted in the table as well.
    ///
    /// # Errors
    /// [`MigrationProblem::Failed`] for what can't be run here, with nothing sent: COPY from or to the
    /// client, and other control of the transaction.
    pub(super) fn statements(&self) -> Result<Vec<Statement<'_>>, Error> {
        // A mark of the byte order is no SQL.
        let start = self.text.len() - self.text.trim_start_matches('\u{feff}').len();
        let sql = self.text.get(start..).unwrap_or_default();
        let ranges = scan::statements(sql);
        let mut statements: Vec<_> = ranges
            .into_iter()
            .filter_map(|range| self.statement(start + range.start..start + range.end))
            .collect();
        if self.in_transaction {
            if let [first, .., last] = statements.as_slice()
                && begins(first.text)
                && commits(last.text)
            {
                statements.pop();
                statements.remove(0);
            }
            for statement in &statements {
                self.refuse_control(statement)?;
            }
        }
        for statement in &statements {
            self.refuse_copy(statement)?;
        }
        Ok(statements)
    }

    fn statement(&self, range: Range<usize>) -> Option<Statement<'_>> {
        let before = self.text.get(..range.start)?;
        Some(Statement {
            text: self.text.get(range)?,
            line: 1 + line_ends(before),
        })
    }

    fn refuse_control(&self, statement: &Statement<'_>) -> Result<(), Error> {
        if scan::scan(statement.text).class != Class::TransactionControl
            || divides(&words(statement.text))
        {
            return Ok(());
        }
        Err(self.refused(
            statement,
            "a migration is run in a transaction that notes it as applied, so it can't begin or end \
             one itself; leave that out, or begin the file with the line `-- no-transaction`",
        ))
    }

    fn refuse_copy(&self, statement: &Statement<'_>) -> Result<(), Error> {
        match scan::copy(statement.text) {
            Some(Copy::In | Copy::Out) => Err(self.refused(
                statement,
                "COPY from or to the client can't run in a migration; use INSERT, or `copy_into` in \
                 a program",
            )),
            _ => Ok(()),
        }
    }

    fn refused(&self, statement: &Statement<'_>, text: &'static str) -> Error {
        let fault = self.fault(MigrationProblem::Failed, Some(statement.line));
        Error::new(ErrorKind::Migration, text).with_migration(fault)
    }

    pub(super) fn fault(&self, problem: MigrationProblem, line: Option<u32>) -> MigrationFault {
        MigrationFault::new(Some(self.version), problem).at(&self.file, line)
    }

    /// Says which statement failed, and which line of it the server points to.
    pub(super) fn failed(&self, statement: &Statement<'_>, mut error: Error) -> Error {
        let position = error.database().and_then(|database| database.position());
        let within = position.map_or(0, |position| {
            let before = usize::try_from(position).unwrap_or(usize::MAX).max(1) - 1;
            let end = statement.text.char_indices().nth(before);
            let end = end.map_or(statement.text.len(), |(at, _)| at);
            line_ends(statement.text.get(..end).unwrap_or_default())
        });
        if error.sqlstate() == Some(&SqlState::ACTIVE_SQL_TRANSACTION)
            && let Some(database) = error.database()
        {
            let text = format!(
                "{database}; begin the file with the line `-- no-transaction`, and leave in it \
                 nothing that must take effect as a whole"
            );
            error = error.with_message(text);
        }
        error.with_migration(self.fault(MigrationProblem::Failed, Some(statement.line + within)))
    }
}

pub(super) fn checksum(text: &str) -> Vec<u8> {
    Sha384::digest(text.as_bytes()).to_vec()
}

fn line_ends(text: &str) -> u32 {
    let ends = text.bytes().filter(|byte| *byte == b'\n').count();
    u32::try_from(ends).unwrap_or(u32::MAX)
}

fn words(sql: &str) -> Vec<String> {
    sql.split_whitespace().map(str::to_lowercase).collect()
}

fn begins(sql: &str) -> bool {
    let words = words(sql);
    match words.first().map(String::as_str) {
        Some("start") => true,
        // Options would be lost.
        Some("begin") => words.len() == 1 || matches!(words.get(1), Some(word) if is_noise(word)),
        _ => false,
    }
}

fn commits(sql: &str) -> bool {
    let words = words(sql);
    let ends = matches!(words.first().map(String::as_str), Some("commit" | "end"));
    ends && words.iter().skip(1).all(|word| is_noise(word))
}

fn is_noise(word: &str) -> bool {
    matches!(word, "work" | "transaction")
}

/// Whether it is about a savepoint.
fn divides(words: &[String]) -> bool {
    match words.first().map(String::as_str) {
        Some("savepoint" | "release") => true,
        Some("rollback") => words.iter().any(|word| word == "to"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Script {
        Script::new(3, "migrations/3_x.sql".to_owned(), text.to_owned())
    }

    fn texts(text: &str) -> Vec<String> {
        let script = script(text);
        let statements = script.statements().unwrap();
        statements.iter().map(|one| one.text.to_owned()).collect()
    }

    #[test]
    fn the_checksum_is_that_of_sha384sum() {
        // printf '%s' 'select 1;' | sha384sum
        let hex: String = checksum("select 1;")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, SELECT_1);
    }

    const SELECT_1: &str = "bb87975f5b43d0b36ebfcc516dd223f75b63cfd63db47ff4ef4aa65bda2e904aea13cf87a5239c302c1f6b19e59748bf";

    #[test]
    fn a_transaction_around_the_whole_file_is_left_to_the_runner() {
        assert_eq!(texts("begin;\nselect 1;\nCOMMIT;"), ["select 1"]);
        assert_eq!(
            texts("-- x\nstart transaction; a; b; end transaction"),
            ["a", "b"]
        );
        assert_eq!(
            texts("-- no-transaction\nbegin; a; commit"),
            ["begin", "a", "commit"]
        );
        assert_eq!(
            texts("savepoint a; rollback to a; release a"),
            ["savepoint a", "rollback to a", "release a"]
        );
    }

    #[test]
    fn what_would_end_the_transaction_is_refused_with_its_line() {
        for text in [
            "select 1;\n\ncommit;\nselect 2",
            "a;\n\nrollback",
            "\n\nbegin isolation level serializable; a; commit",
            "a;\n\ncopy t from stdin;",
        ] {
            let error = script(text).statements().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Migration);
            let fault = error.migration().unwrap();
            assert_eq!(
                (fault.version(), fault.line()),
                (Some(3), Some(3)),
                "{text}"
            );
            let place = "migration 3, migrations/3_x.sql:3: ";
            assert!(error.to_string().starts_with(place), "{error}");
        }
    }

    #[test]
    fn line_ends_are_told_from_other_changes() {
        let (unix, windows) = (script("a;\nb;\n"), script("a;\r\nb;\r\n"));
        assert!(unix.differs_in_line_ends(&windows.checksum()));
        assert!(windows.differs_in_line_ends(&unix.checksum()));
        assert!(!unix.differs_in_line_ends(&script("a;\nc;\n").checksum()));
    }
}
