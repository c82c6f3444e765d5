use aquifer_core::sql::Constant;
use aquifer_wire::types::NotNull;

use super::Tree;
use super::expression::Expression;

/// A text, number or truth value of the source code that stands in the statement as a literal, quoted:
/// where the server must know it when it plans, as in the condition of a partial index.
///
/// ```
/// use aquifer::query::{col, literal, self};
///
/// let sql = query::from("t").where_expr(col("kind").eq(literal("it's"))).to_sql()?;
/// assert_eq!(sql, r#"select * from "t" where "kind" = 'it''s'"#);
/// # Ok::<(), aquifer::Error>(())
/// ```
pub fn literal(value: impl Literal) -> Expression {
    Tree::Constant(value.into_constant()).into()
}

/// What can be a [`literal`]: `&'static str`, whole numbers, `bool`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a literal",
    note = "texts of the source code, whole numbers and `bool` can; other values are parameters"
)]
pub trait Literal {
    /// The type that it has as a value.
    type Value: NotNull;

    #[doc(hidden)]
    fn into_constant(self) -> Constant;
}

impl Literal for &'static str {
    type Value = String;

    fn into_constant(self) -> Constant {
        Constant::Text(self)
    }
}

impl Literal for bool {
    type Value = Self;

    fn into_constant(self) -> Constant {
        match self {
            true => Constant::True,
            false => Constant::False,
        }
    }
}

impl Literal for i16 {
    type Value = Self;

    fn into_constant(self) -> Constant {
        Constant::Number(self.into())
    }
}

impl Literal for i32 {
    type Value = Self;

    fn into_constant(self) -> Constant {
        Constant::Number(self.into())
    }
}

impl Literal for i64 {
    type Value = Self;

    fn into_constant(self) -> Constant {
        Constant::Number(self)
    }
}
