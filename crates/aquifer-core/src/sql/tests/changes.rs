use super::*;

fn set(column: &'static str, value: i64) -> Assignment<Value> {
    Assignment {
        column: name(column),
        value: Expr::Value(Value::Number(value)),
    }
}

fn users() -> Table {
    Table::parse("users").unwrap()
}

#[test]
fn an_insert_of_one_row() {
    let mut insert = Insert::into(users());
    assert_eq!(text(insert.clone()), "insert into \"users\" default values");
    insert.columns = vec![name("name"), name("age")];
    insert.source = InsertSource::Rows(vec![vec![
        Expr::Value(Value::Text("John".into())),
        Expr::Constant(Constant::Default),
    ]]);
    insert.returning.push(Expr::All(None).into());
    assert_eq!(
        text(insert.clone()),
        "insert into \"users\" (\"name\", \"age\") values ($1, default) returning *"
    );
    insert.columns.pop();
    assert!(refused(insert).contains("same columns"));
}

#[test]
fn lists_take_their_types_from_the_columns() {
    let mut insert = Insert::into(users());
    insert.columns = vec![name("id"), name("name")];
    insert.source = InsertSource::Lists(vec![
        ColumnList::Values(numbers(&[1, 2])),
        ColumnList::Values(Value::List(vec![])),
    ]);
    let rendered = Statement::from(insert).render().unwrap();
    assert_eq!(
        rendered.text,
        "with \"types of columns\" as (select coalesce($1, array[\"id\"]), coalesce($2, array[\"name\"]) \
         from \"users\") insert into \"users\" (\"id\", \"name\") select * from unnest($1, $2)"
    );
    assert_eq!(rendered.values.len(), 2);
    assert!(rendered.read.is_empty());
    assert_eq!(rendered.written.len(), 1);
}

#[test]
fn arrays_of_many_rows_are_slices_of_one_list() {
    let arrays = || ColumnList::Arrays {
        elements: numbers(&[1, 2, 3]),
        starts: numbers(&[1, 3]),
        ends: numbers(&[2, 3]),
    };
    let mut insert = Insert::into(users());
    insert.columns = vec![name("tags"), name("id")];
    insert.source = InsertSource::Lists(vec![arrays(), ColumnList::Values(numbers(&[7, 8]))]);
    let rendered = Statement::from(insert).render().unwrap();
    assert_eq!(
        rendered.text,
        "with \"types of columns\" as (select coalesce($1, array[\"tags\"]), coalesce($2, array[\"id\"]) \
         from \"users\") insert into \"users\" (\"tags\", \"id\") select $1[\"1\":\"2\"], \"3\" \
         from unnest($3::int4[], $4::int4[], $2) as \"list\" (\"1\", \"2\", \"3\")"
    );
    assert_eq!(rendered.values.len(), 4);
    let mut update = Update::of(users());
    update.set.push(Assignment {
        column: name("tags"),
        value: column("new.tags").into(),
    });
    update.lists = Some(Lists {
        alias: name("new"),
        columns: vec![name("tags")],
        lists: vec![arrays()],
    });
    update.filter.push(same("users.id", "new.id"));
    assert!(text(update).contains(
        "from (select $1[\"1\":\"2\"] from unnest($2::int4[], $3::int4[]) as \"list\" (\"1\", \"2\")) \
         as \"new\" (\"tags\") where"
    ));
}

#[test]
fn conflicts_of_all_kinds() {
    let insert = |target, action| {
        let mut insert = Insert::<Value>::into(users());
        insert.conflict = Some(Box::new(Conflict { target, action }));
        insert
    };
    let update = || ConflictAction::Update {
        set: vec![Assignment {
            column: name("name"),
            value: column("excluded.name").into(),
        }],
        filter: same("users.version", "excluded.version").into(),
    };
    let literal = Expr::Constant(Constant::Text("it's"));
    let condition = Expr::binary(column("kind").into(), Operator::Equal, literal);
    let partial = ConflictTarget::Columns(vec![name("email")], condition.into());
    for (target, action, expected) in [
        (
            ConflictTarget::Any,
            ConflictAction::Nothing,
            " on conflict do nothing",
        ),
        (
            ConflictTarget::Constraint(name("k\" DO NOTHING; --")),
            ConflictAction::Nothing,
            " on conflict on constraint \"k\"\" DO NOTHING; --\" do nothing",
        ),
        (
            partial,
            update(),
            " on conflict (\"email\") where \"kind\" = 'it''s' do update set \"name\" = \"excluded\".\"name\" \
             where \"users\".\"version\" = \"excluded\".\"version\"",
        ),
    ] {
        let text = text(insert(target, action));
        assert_eq!(
            text,
            format!("insert into \"users\" default values{expected}")
        );
    }
    assert!(refused(insert(ConflictTarget::Any, update())).contains("same"));
}

#[test]
fn an_update_numbers_set_and_where_in_one_pass() {
    let mut update = Update::of(users());
    update.set = vec![set("name", 1), set("age", 1)];
    update.filter.push(equal("id", 1));
    let rendered = Statement::from(update).render().unwrap();
    assert_eq!(
        rendered.text,
        "update \"users\" set \"name\" = $1, \"age\" = $2 where \"id\" = $3"
    );
    assert_eq!(rendered.values.len(), 3);
}

#[test]
fn all_rows_must_be_asked_for() {
    let mut update = Update::of(users());
    update.set.push(set("a", 1));
    assert!(refused(update.clone()).contains("all_rows()"));
    // A condition that always holds is none.
    update
        .filter
        .push(Expr::among(column("id").into(), numbers(&[]), true).unwrap());
    assert!(refused(update.clone()).contains("all_rows()"));
    update.all_rows = true;
    assert!(text(update).starts_with("update"));
    assert!(refused(Delete::from(users())).contains("DELETE"));
    let mut none = Delete::from(users());
    none.filter
        .push(Expr::among(column("id").into(), numbers(&[]), false).unwrap());
    assert_eq!(text(none), "delete from \"users\" where false");
}

#[test]
fn other_tables_may_say_which_rows() {
    let orders = || Source::table(Table::parse("orders").unwrap());
    let mut delete = Delete::from(users());
    delete.using = Some(orders());
    delete.filter.push(same("orders.user_id", "users.id"));
    assert_eq!(
        text(delete),
        "delete from \"users\" using \"orders\" where \"orders\".\"user_id\" = \"users\".\"id\""
    );
    let mut update = Update::of(users());
    update.set.push(set("a", 1));
    update.from = Some(orders());
    update.filter.push(same("orders.user_id", "users.id"));
    assert_eq!(
        text(update),
        "update \"users\" set \"a\" = $1 from \"orders\" where \"orders\".\"user_id\" = \"users\".\"id\""
    );
}

#[test]
fn many_rows_are_updated_by_one_statement() {
    let mut update = Update::of(users());
    update.set.push(Assignment {
        column: name("name"),
        value: column("new.name").into(),
    });
    update.lists = Some(Lists {
        alias: name("new"),
        columns: vec![name("id"), name("name")],
        lists: vec![
            ColumnList::Values(numbers(&[1])),
            ColumnList::Values(numbers(&[2])),
        ],
    });
    update.filter.push(same("users.id", "new.id"));
    assert_eq!(
        text(update),
        "with \"types of columns\" as (select coalesce($1, array[\"id\"]), coalesce($2, array[\"name\"]) \
         from \"users\") update \"users\" set \"name\" = \"new\".\"name\" \
         from unnest($1, $2) as \"new\" (\"id\", \"name\") where \"users\".\"id\" = \"new\".\"id\""
    );
}

#[test]
fn a_statement_that_writes_may_stand_in_front_of_a_query() {
    let mut delete = Delete::from(users());
    delete.filter.push(equal("id", 1));
    delete.returning.push(Expr::All(None).into());
    let mut select = from("gone");
    select.extra().with.push(Cte {
        name: name("gone"),
        columns: vec![],
        recursive: false,
        materialized: None,
        statement: delete.into(),
    });
    let rendered = Statement::from(select).render().unwrap();
    assert_eq!(
        rendered.text,
        "with \"gone\" as (delete from \"users\" where \"id\" = $1 returning *) select * from \"gone\""
    );
    assert!(rendered.read.is_empty());
    assert_eq!(rendered.written.len(), 1);
}
