use super::{Bind, Column, Connective, Constant, Error, Expr, List, Nature, Operator, Test};

/// Conditions: all of them hold, or one of them; never a mixture, for which there are groups.
#[derive(Clone, Debug)]
pub struct Filter<V> {
    /// How they belong together.
    pub connective: Connective,
    /// The conditions.
    pub list: List<Expr<V>>,
}

impl<V> Default for Filter<V> {
    fn default() -> Self {
        Self {
            connective: Connective::And,
            list: List::default(),
        }
    }
}

impl<V> Filter<V> {
    /// One condition more.
    #[inline]
    pub fn push(&mut self, condition: Expr<V>) {
        self.list.push(condition);
    }

    /// Makes one condition of alternatives, so that what is pushed from now on must hold besides.
    pub fn all_must_hold(&mut self) {
        if self.connective == Connective::Or && self.list.len() > 1 {
            let any = std::mem::take(&mut self.list);
            self.list.push(Expr::Group(Connective::Or, any.into()));
        }
        self.connective = Connective::And;
    }

    /// Whether there is no condition.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether it lets all rows through, as far as that shows.
    #[must_use]
    pub fn is_always_true(&self) -> bool {
        match self.connective {
            Connective::And => self.list.iter().all(Expr::is_always_true),
            Connective::Or => self.list.is_empty() || self.list.iter().any(Expr::is_always_true),
        }
    }

    /// The conditions as one.
    #[must_use]
    pub fn into_expr(self) -> Expr<V> {
        Expr::Group(self.connective, self.list.into())
    }
}

impl<V> From<Expr<V>> for Filter<V> {
    fn from(condition: Expr<V>) -> Self {
        Self {
            connective: Connective::And,
            list: condition.into(),
        }
    }
}

impl<V: Bind> Expr<V> {
    /// A column compared with a value.
    ///
    /// `=`, `is` and `is not distinct from` NULL become `is null`; `<>`, `is not` and
    /// `is distinct from` NULL become `is not null`. `in` and `not in` take a list, see
    /// [`among`](Self::among).
    ///
    /// # Errors
    /// For an operator that gives no truth value, for other comparisons with NULL, for `is` with
    /// anything but NULL, true and false, and for `between`, which has two values.
    #[inline]
    pub fn compare(column: Column, operator: Operator, value: V) -> Result<Self, Error> {
        match operator {
            Operator::Equal
            | Operator::NotEqual
            | Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual
                if value.nature() != Nature::Null =>
            {
                Ok(Self::Compare(column, operator, value))
            }
            _ => Self::compare_other(Self::Column(column), operator, value),
        }
    }

    /// As [`compare`](Self::compare), of any expression.
    ///
    /// # Errors
    /// As [`compare`](Self::compare).
    pub fn compare_expr(left: Self, operator: Operator, value: V) -> Result<Self, Error> {
        match left {
            Self::Column(column) => Self::compare(column, operator, value),
            left => Self::compare_other(left, operator, value),
        }
    }

    fn compare_other(left: Self, operator: Operator, value: V) -> Result<Self, Error> {
        let nature = value.nature();
        match operator {
            Operator::In => return Self::among(left, value, false),
            Operator::NotIn => return Self::among(left, value, true),
            Operator::Between | Operator::NotBetween => return Err(between_values(&left)),
            _ if !operator.is_condition() => return Err(no_condition(&left, operator)),
            _ => {}
        }
        let test = match (operator, nature) {
            (Operator::Equal | Operator::Is | Operator::IsNotDistinctFrom, Nature::Null) => {
                Test::IsNull
            }
            (Operator::NotEqual | Operator::IsNot | Operator::IsDistinctFrom, Nature::Null) => {
                Test::IsNotNull
            }
            (Operator::Is, Nature::Truth(true)) => Test::IsTrue,
            (Operator::Is, Nature::Truth(false)) => Test::IsFalse,
            (Operator::IsNot, Nature::Truth(true)) => Test::IsNotTrue,
            (Operator::IsNot, Nature::Truth(false)) => Test::IsNotFalse,
            (Operator::Is | Operator::IsNot, _) => return Err(is_what(&left, operator)),
            (_, Nature::Null) => return Err(null_compared(&left, operator)),
            _ => {
                return Ok(match left {
                    Self::Column(column) => Self::Compare(column, operator, value),
                    left => Self::binary(left, operator, Self::Value(value)),
                });
            }
        };
        Ok(Self::Test(Box::new(left), test))
    }

    /// `left = any ($1)`: the list is one parameter, so that one text serves lists of any length.
    ///
    /// An empty list gives the constant FALSE, or TRUE for `negated`.
    ///
    /// # Errors
    /// When the value is no list; for `negated` when the list contains NULL, since no row would ever
    /// pass.
    pub fn among(left: Self, list: V, negated: bool) -> Result<Self, Error> {
        match list.nature() {
            Nature::List { length: 0, .. } if negated => Ok(Self::Constant(Constant::True)),
            Nature::List { length: 0, .. } => Ok(Self::Constant(Constant::False)),
            Nature::List { has_null: true, .. } if negated => Err(Error::new(
                format!("the list for NOT IN of {} contains NULL", shown(&left)),
                "no row would ever pass: take it out, and add a condition for NULL if that is meant",
            )),
            Nature::List { .. } => Ok(Self::Quantified {
                left: Box::new(left),
                operator: if negated {
                    Operator::NotEqual
                } else {
                    Operator::Equal
                },
                all: negated,
                right: Box::new(Self::Value(list)),
            }),
            _ => Err(Error::new(
                format!("IN of {} was given a value that is no list", shown(&left)),
                "give it a Vec, a slice or an array; compare with one value by `=`",
            )),
        }
    }

    /// `left between low and high`.
    ///
    /// # Errors
    /// When an end is NULL.
    pub fn between(left: Self, low: V, high: V, negated: bool) -> Result<Self, Error> {
        if low.nature() == Nature::Null || high.nature() == Nature::Null {
            return Err(Error::new(
                format!("an end of BETWEEN for {} is NULL", shown(&left)),
                "no row would ever pass: use >= or <= alone where an end is open",
            ));
        }
        Ok(Self::Between {
            operand: Box::new(left),
            low: Box::new(Self::Value(low)),
            high: Box::new(Self::Value(high)),
            negated,
            symmetric: false,
        })
    }
}

/// What is compared, for an error.
fn shown<V>(left: &Expr<V>) -> String {
    match left {
        Expr::Column(column) => format!("column {column}"),
        _ => "an expression".to_owned(),
    }
}

#[cold]
fn between_values<V>(left: &Expr<V>) -> Error {
    Error::new(
        format!("BETWEEN for {} needs two values", shown(left)),
        "give it a list of two, or use `where_between`",
    )
}

#[cold]
fn no_condition<V>(left: &Expr<V>, operator: Operator) -> Error {
    Error::new(
        format!(
            "{} of {} gives a value, not a truth value",
            operator.as_str(),
            shown(left)
        ),
        "compare its result with something, or use raw!",
    )
}

#[cold]
fn is_what<V>(left: &Expr<V>, operator: Operator) -> Error {
    Error::new(
        format!(
            "`{}` for {} was given neither NULL nor a bool",
            operator.as_str(),
            shown(left)
        ),
        "use `=`, or `is distinct from`, which takes NULL for a value",
    )
}

#[cold]
fn null_compared<V>(left: &Expr<V>, operator: Operator) -> Error {
    Error::new(
        format!(
            "{} was compared with NULL by `{}`",
            shown(left),
            operator.as_str()
        ),
        "no row would ever pass: use `where_null` or `where_not_null`, or leave the condition out with `when`",
    )
}
