//! Queries that must not be, and what is said of them.

use aquifer::{Db, ErrorKind, Row};

use super::excerpt::excerpt;
use super::scene::Scene;
use super::stage::{Chapter, Failure, Step};

const SOURCE: &str = include_str!("mistakes.rs");

/// A program that does not compile. The lines that begin with `//~` are those that the compiler says
/// of it; the tests of the library compile it and see to that.
const WRONG_TYPE: &str = include_str!("../../../aquifer/tests/refused/wrong_type.rs");

pub(super) fn chapter() -> Chapter {
    let mut code = program(WRONG_TYPE);
    code.push("");
    code.extend(excerpt(SOURCE, "wrong"));
    Chapter {
        title: "Three mistakes, and what is said",
        why: "A value of another type, an operator that brings SQL, text for a number: one is \
              found by the compiler, two at run time; none of them reaches the table.",
        code,
    }
}

pub(super) async fn perform(step: &mut Step, scene: &Scene) -> Result<(), Failure> {
    let said = said_of(WRONG_TYPE);
    step.check(!said.is_empty(), "the compiler says, as a test makes sure:");
    for line in said {
        step.draw(line);
    }
    let before = scene.tally.calls();
    let operator = wrong_operator(&scene.db).await.err();
    let operator = operator.ok_or("the operator was taken")?;
    step.check(
        operator.kind() == ErrorKind::Usage && scene.tally.calls() == before,
        "the operator is refused, with nothing sent:",
    );
    step.quote(&operator.to_string());
    let value = wrong_value(&scene.db).await.err();
    let value = value.ok_or("text was taken for a number")?;
    step.check(
        value.kind() == ErrorKind::Encode,
        "text is no number, and becomes none by chance:",
    );
    step.quote(&value.to_string());
    Ok(())
}

/// What stands in the program's `main`.
fn program(text: &str) -> Vec<&str> {
    text.lines()
        .skip_while(|line| !line.starts_with("fn main"))
        .filter_map(|line| line.strip_prefix("    "))
        .collect()
}

fn said_of(program: &str) -> Vec<&str> {
    program
        .lines()
        .filter_map(|line| line.strip_prefix("//~ "))
        .collect()
}

#[rustfmt::skip] // Laid out for the width of a terminal.
async fn wrong_operator(db: &Db) -> Result<Vec<Row>, aquifer::Error> {
    // ANCHOR: wrong
    db.from("users").where_("id", "= 1 OR 1=1 OR id =", 1).get().await
    // ANCHOR_END: wrong
}

#[rustfmt::skip]
async fn wrong_value(db: &Db) -> Result<Vec<Row>, aquifer::Error> {
    // ANCHOR: wrong
    db.from("accounts").where_("balance", ">", "plenty").get().await
    // ANCHOR_END: wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_and_what_is_said_of_it_are_found() {
        assert_eq!(
            program(WRONG_TYPE),
            ["User::query().filter(User::ID.eq(\"1\"));"]
        );
        assert_eq!(said_of(WRONG_TYPE).len(), 3);
    }
}
