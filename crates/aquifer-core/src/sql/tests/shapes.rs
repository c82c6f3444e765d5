//! Whatever names and values a tree has: its text has one parameter for each value, and the shape that
//! it has with other names and values.

use proptest::prelude::*;

use super::*;

/// Names as somebody with bad intentions would choose them.
fn hostile_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        "\\PC{1,12}",
        Just("\"".to_owned()),
        Just("x\" = $1; drop table users; --".to_owned()),
        Just("/* $9".to_owned()),
        Just("a'b\\".to_owned()),
    ]
    .prop_filter("PostgreSQL keeps 63 bytes", |name| name.len() <= 63)
}

fn hostile_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Number),
        "\\PC{0,20}".prop_map(Value::Text),
        Just(Value::Text("$1 {} ' \" ; --".to_owned())),
    ]
}

/// The shape of a tree, apart from its names and values.
#[derive(Clone, Debug)]
enum Shape {
    Compare(Operator),
    In,
    Null,
    Between,
    Raw,
    Exists(Box<Self>),
    Not(Box<Self>),
    Group(Connective, Vec<Self>),
    Sum(Box<Self>),
    Median,
    Month,
}

fn shape() -> impl Strategy<Value = Shape> {
    let operators: Vec<_> = Operator::ALL
        .iter()
        .copied()
        .filter(|operator| operator.is_condition() && !operator.takes_values())
        .collect();
    let leaf = prop_oneof![
        proptest::sample::select(operators).prop_map(Shape::Compare),
        Just(Shape::In),
        Just(Shape::Null),
        Just(Shape::Between),
        Just(Shape::Raw),
        Just(Shape::Median),
        Just(Shape::Month),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let connective = prop_oneof![Just(Connective::And), Just(Connective::Or)];
        prop_oneof![
            inner
                .clone()
                .prop_map(|shape| Shape::Exists(Box::new(shape))),
            inner.clone().prop_map(|shape| Shape::Not(Box::new(shape))),
            inner.clone().prop_map(|shape| Shape::Sum(Box::new(shape))),
            (connective, proptest::collection::vec(inner, 0..4))
                .prop_map(|(connective, list)| Shape::Group(connective, list)),
        ]
    })
}

/// Where names and values come from while a tree is made.
struct Supply {
    names: Vec<String>,
    values: Vec<Value>,
    next: usize,
    used: usize,
}

impl Supply {
    fn name(&mut self) -> Name {
        self.next += 1;
        Name::new(self.names[self.next % self.names.len()].clone()).unwrap()
    }

    fn column(&mut self) -> Column {
        Column {
            table: Some(self.name()),
            name: self.name(),
        }
    }

    fn value(&mut self) -> Value {
        self.used += 1;
        self.values[self.used % self.values.len()].clone()
    }

    fn tree(&mut self, shape: &Shape) -> Expr<Value> {
        match shape {
            Shape::Compare(operator) => {
                Expr::compare(self.column(), *operator, self.value()).unwrap()
            }
            Shape::In => {
                let list = Value::List(vec![self.value()]);
                Expr::among(self.column().into(), list, false).unwrap()
            }
            Shape::Null => Expr::Test(Box::new(self.column().into()), Test::IsNull),
            Shape::Between => {
                let (low, high) = (self.value(), self.value());
                Expr::between(self.column().into(), low, high, true).unwrap()
            }
            Shape::Raw => Expr::Raw(Fragment {
                template: "x = {} or y".into(),
                values: vec![self.value()],
            }),
            Shape::Exists(inner) => Expr::Exists(Box::new(self.select(inner))),
            Shape::Not(inner) => Expr::Not(Box::new(self.tree(inner))),
            Shape::Group(connective, list) => Expr::Group(
                *connective,
                list.iter().map(|inner| self.tree(inner)).collect(),
            ),
            Shape::Median => {
                let mut call = Call::new(
                    Function::parse("percentile_cont").unwrap(),
                    vec![Expr::Value(self.value())],
                );
                call.within_group = true;
                call.order.push(Order {
                    by: self.column().into(),
                    direction: Direction::Asc,
                    nulls: None,
                });
                let right = Expr::Value(self.value());
                Expr::binary(call.into(), Operator::Greater, right)
            }
            Shape::Month => {
                let month = Call::new(
                    Function::parse("date_trunc").unwrap(),
                    vec![
                        Expr::Constant(Constant::Unit(TimeUnit::Month)),
                        self.column().into(),
                    ],
                );
                Expr::binary(month.into(), Operator::Equal, Expr::Value(self.value()))
            }
            Shape::Sum(inner) => {
                let sum = Expr::binary(
                    self.column().into(),
                    Operator::Add,
                    Expr::Value(self.value()),
                );
                Expr::binary(sum, Operator::Equal, self.tree(inner))
            }
        }
    }

    fn select(&mut self, shape: &Shape) -> Select<Value> {
        let mut select = Select::of(Source::Table {
            table: Table {
                schema: Some(self.name()),
                name: self.name(),
            },
            alias: Some(self.name()),
        });
        select.items.push(Item {
            expr: self.column().into(),
            alias: Some(self.name()),
        });
        select.filter.push(self.tree(shape));
        select.order.push(Order {
            by: self.column().into(),
            direction: Direction::Desc,
            nulls: None,
        });
        select.limit = Some(self.value());
        select
    }
}

fn rendered(shape: &Shape, names: Vec<String>, values: Vec<Value>) -> Rendered<Value> {
    let mut supply = Supply {
        names,
        values,
        next: 0,
        used: 0,
    };
    let select = supply.select(shape);
    let rendered = Statement::from(select).render().unwrap();
    assert_eq!(rendered.values.len(), supply.used);
    rendered
}

/// The text with every quoted name replaced by the same one.
fn without_names(text: &str) -> String {
    let mut shape = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        shape.push(character);
        if character != '"' {
            continue;
        }
        loop {
            match characters.next() {
                Some('"') if characters.peek() == Some(&'"') => {
                    characters.next();
                }
                Some('"') => break,
                Some(_) => {}
                None => panic!("a name without an end: {text}"),
            }
        }
        shape.push('"');
    }
    shape
}

/// The numbers of the parameters in the order of the text; names must have been taken out.
fn parameters(shape: &str) -> Vec<usize> {
    shape
        .split('$')
        .skip(1)
        .map(|rest| {
            let end = rest
                .find(|next: char| !next.is_ascii_digit())
                .unwrap_or(rest.len());
            rest.split_at(end).0.parse().unwrap()
        })
        .collect()
}

proptest! {
    #[test]
    fn names_and_values_never_change_the_shape(
        shape in shape(),
        names in proptest::collection::vec(hostile_name(), 1..6),
        values in proptest::collection::vec(hostile_value(), 1..6),
    ) {
        let hostile = rendered(&shape, names, values);
        let plain = rendered(&shape, vec!["a".to_owned()], vec![Value::Text(String::new())]);
        let text = without_names(&hostile.text);
        prop_assert_eq!(&text, &without_names(&plain.text));
        // Each parameter stands there once, in order.
        prop_assert_eq!(parameters(&text), (1..=hostile.values.len()).collect::<Vec<_>>());
    }

    #[test]
    fn plain_text_becomes_quoted_names_or_an_error(text in "\\PC{0,30}") {
        if let Ok(column) = Column::parse(text.clone()) {
            let shape = without_names(&column.to_string());
            prop_assert!(shape == "\"\"" || shape == "\"\".\"\"", "{}", shape);
        }
        let _operator = Operator::parse(&text);
        if let Ok(name) = TypeName::parse(&text) {
            let written = without_names(name.as_str());
            let plain = written.chars().all(|c| c.is_ascii_alphanumeric() || " _.,()[]\"".contains(c));
            prop_assert!(plain, "{}", written);
        }
    }
}
