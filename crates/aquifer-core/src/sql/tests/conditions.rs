use super::*;

fn compared(operator: Operator, value: Value) -> String {
    condition(Expr::compare(column("c"), operator, value).unwrap())
}

#[test]
fn comparisons_with_null_become_tests() {
    for (operator, expected) in [
        (Operator::Equal, "\"c\" is null"),
        (Operator::Is, "\"c\" is null"),
        (Operator::IsNotDistinctFrom, "\"c\" is null"),
        (Operator::NotEqual, "\"c\" is not null"),
        (Operator::IsNot, "\"c\" is not null"),
        (Operator::IsDistinctFrom, "\"c\" is not null"),
    ] {
        assert_eq!(compared(operator, Value::Null), expected);
    }
    let error = Expr::compare(column("c"), Operator::Less, Value::Null).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("column \"c\" was compared with NULL by `<`")
    );
}

#[test]
fn truth_values_are_tested_by_is() {
    assert_eq!(compared(Operator::Is, Value::Truth(true)), "\"c\" is true");
    assert_eq!(
        compared(Operator::IsNot, Value::Truth(false)),
        "\"c\" is not false"
    );
    assert_eq!(compared(Operator::Equal, Value::Truth(true)), "\"c\" = $1");
    assert!(Expr::compare(column("c"), Operator::Is, Value::Number(1)).is_err());
}

#[test]
fn a_list_is_one_parameter_and_an_empty_one_a_constant() {
    assert_eq!(
        compared(Operator::In, numbers(&[1, 2, 3])),
        "\"c\" = any ($1)"
    );
    assert_eq!(
        compared(Operator::NotIn, numbers(&[1])),
        "\"c\" <> all ($1)"
    );
    assert_eq!(compared(Operator::In, numbers(&[])), "false");
    assert_eq!(compared(Operator::NotIn, numbers(&[])), "true");
}

#[test]
fn null_in_not_in_is_refused_since_no_row_would_pass() {
    let list = Value::List(vec![Value::Number(1), Value::Null]);
    let error = Expr::among(column("c").into(), list.clone(), true).unwrap_err();
    assert!(error.to_string().contains("contains NULL"), "{error}");
    assert!(Expr::among(column("c").into(), list, false).is_ok());
    assert!(Expr::among(column("c").into(), Value::Number(1), false).is_err());
}

#[test]
fn groups_of_several_are_always_in_parentheses() {
    let any = Expr::Group(Connective::Or, vec![equal("a", 1), equal("b", 2)]);
    let mut select = from("t");
    select.filter.push(any.clone());
    select.filter.push(equal("c", 3));
    assert_eq!(
        text(select),
        "select * from \"t\" where (\"a\" = $1 or \"b\" = $2) and \"c\" = $3"
    );
    assert_eq!(
        condition(Expr::Not(Box::new(any))),
        "not (\"a\" = $1 or \"b\" = $2)"
    );
    assert_eq!(condition(Expr::Group(Connective::Or, vec![])), "false");
}

#[test]
fn raw_text_is_in_parentheses_and_its_values_are_numbered_with_the_others() {
    let raw = Fragment {
        template: "a = {} or '{{}}' = {}".into(),
        values: vec![Value::Number(1), Value::Text("x".into())],
    };
    let mut select = from("t");
    select.filter.push(equal("b", 0));
    select.filter.push(Expr::Raw(raw));
    assert_eq!(
        text(select),
        "select * from \"t\" where \"b\" = $1 and (a = $2 or '{}' = $3)"
    );
}

#[test]
fn raw_text_with_another_number_of_values_is_refused() {
    for (template, values) in [("{}", vec![]), ("1", vec![Value::Null]), ("{", vec![])] {
        let mut select = from("t");
        let template = template.into();
        select.filter.push(Expr::Raw(Fragment { template, values }));
        assert!(refused(select).contains("raw text"));
    }
}

#[test]
fn a_comment_in_raw_text_swallows_nothing() {
    let template = "a = 1 -- why".into();
    let raw = Fragment {
        template,
        values: vec![],
    };
    assert_eq!(condition(Expr::Raw(raw)), "(a = 1 -- why\n)");
}

#[test]
fn operands_keep_their_own_operators_together() {
    let sum = Expr::binary(column("a").into(), Operator::Add, column("b").into());
    let product = Expr::binary(sum, Operator::Multiply, Expr::Value(Value::Number(2)));
    let compared = Expr::compare_expr(product, Operator::Greater, Value::Number(3)).unwrap();
    assert_eq!(condition(compared), "((\"a\" + \"b\") * $1) > $2");
    assert!(Expr::compare(column("a"), Operator::Add, Value::Number(1)).is_err());
}

#[test]
fn between_takes_two_values_and_no_null() {
    let between = |low, high| Expr::between(column("c").into(), low, high, false);
    let (one, two) = (Value::Number(1), Value::Number(2));
    assert_eq!(
        condition(between(one.clone(), two).unwrap()),
        "\"c\" between $1 and $2"
    );
    assert!(between(one, Value::Null).is_err());
    assert!(Expr::compare(column("c"), Operator::Between, Value::Number(1)).is_err());
}

#[test]
fn of_two_parameters_the_types_are_named() {
    let (one, two) = (Expr::Value(Value::Number(1)), Expr::Value(Value::Number(1)));
    assert_eq!(
        condition(Expr::binary(one, Operator::Equal, two)),
        "$1::int8 = $2::int8"
    );
}

#[test]
fn case_needs_branches_with_conditions() {
    let case = |branches| {
        Expr::Case(Box::new(Case {
            branches,
            otherwise: None,
        }))
    };
    let branch = Branch {
        when: equal("a", 1).into(),
        then: Expr::Value(Value::Number(2)),
    };
    assert_eq!(
        condition(case(vec![branch])),
        "case when \"a\" = $1 then $2::int8 end"
    );
    let mut select = from("t");
    select.filter.push(case(vec![]));
    assert!(refused(select).contains("CASE"));
}

#[test]
fn a_tree_that_is_too_deep_is_refused_and_not_a_crash() {
    let mut deep = equal("a", 1);
    for _ in 0..500 {
        deep = Expr::Not(Box::new(deep));
    }
    let mut select = from("t");
    select.filter.push(deep);
    assert!(refused(select).contains("levels deep"));
}

#[test]
fn patterns_are_escaped_by_one_function() {
    assert_eq!(escape_like(r"10%_a\b"), r"10\%\_a\\b");
}
