use super::*;

fn order(by: &'static str, direction: Direction) -> Order<Value> {
    Order {
        by: column(by).into(),
        direction,
        nulls: None,
    }
}

fn inner(source: Source<Value>, on: Filter<Value>) -> Join<Value> {
    Join {
        kind: JoinKind::Inner,
        source,
        on,
        using: Vec::new(),
    }
}

fn aliased(table: &'static str, alias: &'static str) -> Source<Value> {
    Source::Table {
        table: Table::parse(table).unwrap(),
        alias: Some(name(alias)),
    }
}

#[test]
fn the_query_of_the_readme() {
    let mut select = from("posts");
    select.filter.push(equal("user_id", 7));
    select.order.push(order("created_at", Direction::Desc));
    select.limit = Some(Value::Number(10));
    let rendered = Statement::from(select).render().unwrap();
    assert_eq!(
        rendered.text,
        "select * from \"posts\" where \"user_id\" = $1 order by \"created_at\" desc limit $2"
    );
    assert_eq!(rendered.values, [Value::Number(7), Value::Number(10)]);
    assert!(rendered.limited);
    assert_eq!(
        rendered
            .read
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["\"posts\""]
    );
    assert!(rendered.written.is_empty());
}

#[test]
fn joins_of_all_kinds() {
    let mut select = Select::of(aliased("users", "u"));
    for (kind, word) in [
        (JoinKind::Inner, "join"),
        (JoinKind::Left, "left join"),
        (JoinKind::Right, "right join"),
        (JoinKind::Full, "full join"),
    ] {
        let mut join = inner(aliased("posts", "p"), same("u.id", "p.user_id").into());
        join.kind = kind;
        select.joins = vec![join];
        assert_eq!(
            text(select.clone()),
            format!(
                "select * from \"users\" as \"u\" {word} \"posts\" as \"p\" on \"u\".\"id\" = \"p\".\"user_id\""
            )
        );
    }
    select.joins = vec![Join {
        using: vec![name("id")],
        ..inner(aliased("posts", "p"), Filter::default())
    }];
    assert!(text(select.clone()).ends_with("join \"posts\" as \"p\" using (\"id\")"));
    select.joins = vec![inner(aliased("posts", "p"), Filter::default())];
    assert!(refused(select).contains("cross_join"));
}

#[test]
fn a_join_that_connects_nothing_is_noticed() {
    let mut select = Select::of(aliased("users", "u"));
    select.joins = vec![inner(aliased("posts", "p"), equal("p.id", 1).into())];
    let rendered = Statement::from(select.clone()).render().unwrap();
    assert_eq!(rendered.unconnected, Some(name("p")));
    select.joins = vec![inner(
        aliased("posts", "p"),
        same("p.user_id", "u.id").into(),
    )];
    assert_eq!(Statement::from(select).render().unwrap().unconnected, None);
}

#[test]
fn grouping_windows_and_filters_of_aggregates() {
    let mut select = from("sales");
    let mut count = call("count", vec![Expr::All(None)]);
    count.filter.push(equal("state", 1));
    let mut sum = call("sum", vec![column("amount").into()]);
    sum.over = Some(Over::Named(name("w")));
    let mut rank = call("row_number", vec![]);
    rank.over = Some(Over::Window(Box::new(Window {
        order: vec![order("day", Direction::Asc)],
        frame: Some(Frame {
            unit: FrameUnit::Rows,
            start: FrameEdge::Preceding(12),
            end: FrameEdge::CurrentRow,
        }),
        ..Window::default()
    })));
    select.items = List::from(vec![
        Item {
            expr: count.into(),
            alias: Some(name("n")),
        },
        Expr::from(sum).into(),
        Expr::from(rank).into(),
    ]);
    let extra = select.extra();
    extra.group.push(column("region").into());
    extra.having.push(
        Expr::compare_expr(
            call("count", vec![Expr::All(None)]).into(),
            Operator::Greater,
            Value::Number(5),
        )
        .unwrap(),
    );
    extra.windows.push((
        name("w"),
        Window {
            partition: vec![column("region").into()],
            ..Window::default()
        },
    ));
    select.order.push(Order {
        nulls: Some(Nulls::Last),
        ..order("n", Direction::Desc)
    });
    assert_eq!(
        text(select),
        "select count(*) filter (where \"state\" = $1) as \"n\", sum(\"amount\") over \"w\", \
         row_number() over (order by \"day\" rows between 12 preceding and current row) \
         from \"sales\" group by \"region\" having count(*) > $2 \
         window \"w\" as (partition by \"region\") order by \"n\" desc nulls last"
    );
}

#[test]
fn ctes_are_no_tables_and_a_recursive_one_sees_itself() {
    let mut tree = from("parts");
    tree.filter
        .push(Expr::Test(Box::new(column("parent").into()), Test::IsNull));
    let mut children = from("parts");
    children.joins.push(inner(
        aliased("tree", "t"),
        same("parts.parent", "t.id").into(),
    ));
    tree.extra().combine.push(Combination {
        operator: SetOperator::Union,
        all: true,
        select: children,
    });
    let mut select = from("tree");
    select.extra().with.push(Cte {
        name: name("tree"),
        columns: vec![],
        recursive: true,
        materialized: Some(true),
        statement: tree.into(),
    });
    let rendered = Statement::from(select).render().unwrap();
    assert_eq!(
        rendered.text,
        "with recursive \"tree\" as materialized (select * from \"parts\" where \"parent\" is null \
         union all (select * from \"parts\" join \"tree\" as \"t\" on \"parts\".\"parent\" = \"t\".\"id\")) \
         select * from \"tree\""
    );
    let read: Vec<_> = rendered.read.iter().map(ToString::to_string).collect();
    assert_eq!(read, ["\"parts\""]);
}

#[test]
fn distinct_ties_locks_and_sub_queries() {
    let mut select = from("jobs");
    select.extra().distinct = Distinct::On(vec![column("kind").into()]);
    assert_eq!(
        text(select),
        "select distinct on (\"kind\") * from \"jobs\""
    );

    let mut select = from("jobs");
    select.extra().with_ties = true;
    select.limit = Some(Value::Number(3));
    assert!(refused(select.clone()).contains("order"));
    select.order.push(order("priority", Direction::Asc));
    assert_eq!(
        text(select),
        "select * from \"jobs\" order by \"priority\" fetch first ($1) rows with ties"
    );

    let mut select = from("jobs");
    select.extra().locks.push(Lock {
        strength: LockStrength::NoKeyUpdate,
        of: vec![name("jobs")],
        wait: LockWait::SkipLocked,
    });
    let rendered = Statement::from(select).render().unwrap();
    assert!(rendered.locks);
    assert_eq!(
        rendered.text,
        "select * from \"jobs\" for no key update of \"jobs\" skip locked"
    );

    let mut select = from("jobs");
    let mut inner = from("workers");
    inner.filter.push(same("workers.job", "jobs.id"));
    select.filter.push(Expr::Exists(Box::new(inner.clone())));
    select.filter.push(Expr::InSelect(
        Box::new(column("id").into()),
        Box::new(inner),
    ));
    let rendered = Statement::from(select).render().unwrap();
    assert!(rendered.text.contains("where exists (select * from \"workers\" where \"workers\".\"job\" = \"jobs\".\"id\") and \"id\" in (select"));
    assert_eq!(rendered.read.len(), 2);
}

#[test]
fn sources_of_other_kinds() {
    let mut select = Select::of(Source::Values {
        rows: vec![vec![
            Expr::Value(Value::Number(1)),
            Expr::Value(Value::Text("a".into())),
        ]],
        alias: name("v"),
        columns: vec![name("id"), name("label")],
    });
    select.joins.push(Join {
        kind: JoinKind::Cross,
        source: Source::Call {
            call: Box::new(call("unnest", vec![column("v.label").into()])),
            alias: name("u"),
            columns: vec![],
            lateral: true,
        },
        on: Filter::default(),
        using: vec![],
    });
    assert_eq!(
        text(select),
        "select * from (values ($1::int8, $2::text)) as \"v\" (\"id\", \"label\") \
         cross join lateral unnest(\"v\".\"label\") as \"u\""
    );
}

#[test]
fn the_number_of_parameters_is_bounded() {
    let mut select = from("t");
    for _ in 0..=PARAMETERS_MAX {
        select.filter.push(equal("a", 1));
    }
    assert!(refused(select).contains("65536 parameters"));
}

#[test]
fn a_list_that_was_written_before_stands_as_it_is_with_the_table_or_without() {
    static LIST: Written = Written {
        qualified: "\"t\".\"a\", \"t\".\"b\"",
        plain: "\"a\", \"b\"",
    };
    for (qualified, list) in [(true, LIST.qualified), (false, LIST.plain)] {
        let mut select = from("t");
        select.items = List::from(Item::from(Expr::Written(&LIST, qualified)));
        assert_eq!(text(select), format!("select {list} from \"t\""));
    }
}
