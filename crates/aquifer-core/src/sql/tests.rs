use super::*;

mod changes;
mod conditions;
mod names;
mod queries;
mod shapes;

/// A value as the tests need it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Value {
    #[default]
    Null,
    Truth(bool),
    Number(i64),
    Text(String),
    List(Vec<Self>),
}

impl Bind for Value {
    fn nature(&self) -> Nature {
        match self {
            Self::Null => Nature::Null,
            Self::Truth(truth) => Nature::Truth(*truth),
            Self::List(list) => Nature::List {
                length: list.len(),
                has_null: list.contains(&Self::Null),
            },
            _ => Nature::Plain,
        }
    }

    fn type_name(&self) -> Option<&'static str> {
        match self {
            Self::Truth(_) => Some("bool"),
            Self::Number(_) => Some("int8"),
            Self::Text(_) => Some("text"),
            _ => None,
        }
    }
}

fn numbers(list: &[i64]) -> Value {
    Value::List(list.iter().copied().map(Value::Number).collect())
}

fn column(name: &'static str) -> Column {
    Column::parse(name).unwrap()
}

fn name(name: &'static str) -> Name {
    Name::new(name).unwrap()
}

fn from(table: &'static str) -> Select<Value> {
    Select::of(Source::table(Table::parse(table).unwrap()))
}

fn equal(left: &'static str, value: i64) -> Expr<Value> {
    Expr::compare(column(left), Operator::Equal, Value::Number(value)).unwrap()
}

fn same(left: &'static str, right: &'static str) -> Expr<Value> {
    let (left, right) = (column(left).into(), column(right).into());
    Expr::binary(left, Operator::Equal, right)
}

fn call(function: &'static str, arguments: Vec<Expr<Value>>) -> Call<Value> {
    Call::new(Function::parse(function).unwrap(), arguments)
}

fn text(statement: impl Into<Statement<Value>>) -> String {
    statement.into().render().unwrap().text
}

fn refused(statement: impl Into<Statement<Value>>) -> String {
    statement.into().render().unwrap_err().to_string()
}

/// The text of one condition.
fn condition(condition: Expr<Value>) -> String {
    let mut select = from("t");
    select.filter.push(condition);
    let text = text(select);
    text.strip_prefix("select * from \"t\" where ")
        .unwrap()
        .to_owned()
}
