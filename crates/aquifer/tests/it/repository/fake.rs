//! What only the fake repository has.

use std::sync::Arc;

use aquifer::entity::*;
use aquifer::testing::FakeRepository;
use aquifer::{ErrorKind, Repository, insert};

use super::schema::{Kind, Post, Token, User, World};

#[tokio::test]
async fn a_part_that_can_not_be_evaluated_is_named() {
    let world = World::fake().await;
    world.users(&["Ann"]).await;
    let ids = Post::query().column(Post::USER_ID);
    let cases = [
        (
            User::query().filter(User::POSTS.exists()),
            "exists (select …)",
        ),
        (
            User::query().filter(User::ID.in_query(ids)),
            "in (select …)",
        ),
        (User::query().filter((User::AGE + 1).gt(5)), "`+`"),
        (User::query().order_by((User::AGE * 2).asc()), "`*`"),
        (User::query().group_by((User::AGE,)), "group by"),
    ];
    for (query, part) in cases {
        let error = world.users.fetch(query).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        let text = error.to_string();
        assert!(
            text.contains(part) && text.contains("testing::sandbox"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_a_column_takes_must_be_said() {
    let users = FakeRepository::<User>::new();
    let row = || {
        insert!(User {
            full_name: "Ann",
            email: "a"
        })
    };
    let error = users.insert(row()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("User.active"), "{error}");
    let row = row().set(User::ACTIVE, true).set(User::KIND, Kind::Guest);
    let upsert = row.on_conflict(User::EMAIL);
    let error = users.upsert(upsert).await.unwrap_err();
    assert!(error.to_string().contains("unique"), "{error}");
}

#[tokio::test]
async fn columns_are_filled_by_rules() {
    let fake = FakeRepository::<Token>::new()
        .auto(Token::ID, |number| format!("token {number}"))
        .default(Token::TAGS, vec!["new".to_owned()]);
    let tokens: Arc<dyn Repository<Token>> = Arc::new(fake.clone());
    let row = Token::insert().set(Token::ID, "own").set(Token::NOTE, "x");
    let token = tokens.insert(row).await.unwrap();
    assert_eq!((&*token.id, &*token.tags), ("own", &["new".to_owned()][..]));
    assert_eq!(fake.find(token.id.clone()).await.unwrap(), Some(token));
    assert!(!format!("{fake:?}").contains("own"), "{fake:?}");
}
