//! What typed statements know about their tables, and what the server has to do with.

use aquifer::entity::*;
use aquifer::insert;
use aquifer::query::{Explained, Plan};

use super::schema::{Manager, Post, User, filled};

/// Each table of the server's plan must be one of the statement's.
fn assert_known(plan: &Plan, explained: &Explained) {
    let known = plan.tables_read().chain(plan.tables_written());
    let known: Vec<_> = known.map(|table| table.name.as_str()).collect();
    let steps = explained.steps();
    let touched: Vec<_> = steps.iter().filter_map(|step| step.table()).collect();
    assert!(!touched.is_empty(), "{}", plan.sql());
    for table in touched {
        assert!(known.contains(&table), "{table}: {}", plan.sql());
    }
}

macro_rules! assert_all_known {
    ($db:expr; $($statement:expr),+ $(,)?) => {$(
        assert_known(&$statement.build().unwrap(), &$statement.explain($db).await.unwrap());
    )+};
}

#[tokio::test]
async fn statements_know_each_table_that_the_server_touches() {
    let db = filled().await;
    let authors = || {
        Post::query()
            .filter(Post::VIEWS.gt(5))
            .column(Post::USER_ID)
    };
    let user = insert!(User {
        full_name: "Dan",
        email: "dan@example.com"
    });
    let user = user.fetch(&db).await.unwrap();
    assert_all_known!(&db;
        User::query(),
        User::query().with_deleted().filter(User::EMAIL.eq("ann@example.com")),
        User::query().join(User::POSTS).filter(Post::TITLE.contains("a")),
        User::query().left_join(Manager::on(User::ID.of(Manager), User::MANAGER_ID)),
        User::query().filter(!User::POSTS.exists()),
        User::query().filter(User::ID.in_query(authors())),
        insert!(Post { user_id: user.id, title: "x" }),
        User::update().set(User::ACTIVE, false).filter(User::ID.in_query(authors())),
        Post::update().set(Post::VIEWS, Post::VIEWS + 1).all_rows(),
        Post::delete().filter(Post::ID.eq(1)),
        Post::delete().forever().filter(Post::ID.eq(1)),
        User::delete().row(&user),
    );
}

#[tokio::test]
async fn what_is_analyzed_or_judged_leaves_nothing() {
    let db = filled().await;
    let delete = || Post::delete().forever().all_rows();
    let analyzed = delete().explain_analyze(&db).await.unwrap();
    assert!(analyzed.execution_ms().is_some());
    let insert = insert!(Post {
        user_id: 1_i64,
        title: "x"
    });
    insert.explain_analyze(&db).await.unwrap();
    assert_eq!(Post::query().count(&db).await.unwrap(), 3);
    assert_eq!(delete().dry_run(&db).await.unwrap().parameters(), 0);
    assert_eq!(delete().lints(&db).await.unwrap(), []);
    let titles = Post::query().filter(Post::TITLE.eq("Tea")).limit(1);
    let lints = titles.lints(&db).await.unwrap();
    assert_eq!(lints[0].name(), "unindexed_filter");
}
