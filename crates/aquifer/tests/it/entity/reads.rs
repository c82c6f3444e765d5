use aquifer::entity::*;
use aquifer::{Db, ErrorKind, Session};

use super::schema::{Line, Manager, Mood, Post, User, empty, filled};
use crate::support;

#[tokio::test]
async fn rows_come_as_entities_with_renamed_json_enum_and_nullable_columns() {
    let db = filled().await;
    let users = User::query()
        .order_by(User::ID.asc())
        .fetch(&db)
        .await
        .unwrap();
    let [ann, ben, cid] = users.as_slice() else {
        panic!("{users:?}");
    };
    assert_eq!((&*ann.full_name, ann.nick.as_deref()), ("Ann", Some("a_n")));
    assert_eq!((ben.mood, ben.manager_id), (Mood::Sad, Some(ann.id)));
    assert_eq!((cid.active, &*cid.settings.theme), (false, "light"));
    assert_eq!(ann.key(), ann.id);
    support::assert_whole(&db).await;
}

/// The names of the users for whom that holds.
async fn names(db: &Db, condition: Pred<User>) -> String {
    let users = User::query().filter(condition).order_by(User::ID.asc());
    let names = users.pluck(User::FULL_NAME, db).await.unwrap();
    names.join(" ")
}

#[tokio::test]
async fn conditions_compare_columns_with_values() {
    let db = filled().await;
    let cases = [
        (User::ACTIVE.eq(true), "Ann Ben"),
        (User::FULL_NAME.ne("Ann"), "Ben Cid"),
        (User::NICK.is_null(), "Ben Cid"),
        (User::NICK.is_not_null(), "Ann"),
        (User::NICK.eq("a_n"), "Ann"),
        (User::NICK.eq_or_null(None::<&str>), "Ben Cid"),
        (User::NICK.eq_or_null(Some("a_n")), "Ann"),
        (User::MOOD.eq(Mood::Sad), "Ben"),
        (User::MOOD.is_in([Mood::Sad, Mood::Glad]), "Ann Ben Cid"),
        (User::FULL_NAME.is_in(["Ann", "Cid"]), "Ann Cid"),
        (User::FULL_NAME.not_in(["Ann", "Cid"]), "Ben"),
        (User::ID.is_in(Vec::<i64>::new()), ""),
        (User::ID.not_in(Vec::<i64>::new()), "Ann Ben Cid"),
        (User::FULL_NAME.between("B", "C"), "Ben"),
        (User::FULL_NAME.gt("Ann"), "Ben Cid"),
        (User::FULL_NAME.le("Ben"), "Ann Ben"),
        (User::NICK.or("none").eq("none").within(), "Ben Cid"),
    ];
    for (number, (condition, wanted)) in cases.into_iter().enumerate() {
        assert_eq!(names(&db, condition).await, wanted, "condition {number}");
    }
}

#[tokio::test]
async fn conditions_look_into_text_where_wildcards_mean_themselves() {
    let db = filled().await;
    let cases = [
        (User::NICK.contains("_"), "Ann"),
        (User::EMAIL.contains("_"), ""),
        (User::EMAIL.like("_en@%"), "Ben"),
        (User::EMAIL.ilike("_EN@%"), "Ben"),
        (User::EMAIL.icontains("BEN@"), "Ben"),
        (User::EMAIL.starts_with("cid"), "Cid"),
        (User::EMAIL.ends_with(".com"), "Ann Ben Cid"),
        (User::FULL_NAME.lower().eq("ann"), "Ann"),
        (User::FULL_NAME.upper().eq("BEN"), "Ben"),
    ];
    for (number, (condition, wanted)) in cases.into_iter().enumerate() {
        assert_eq!(names(&db, condition).await, wanted, "condition {number}");
    }
}

#[tokio::test]
async fn conditions_are_joined_negated_and_left_out() {
    let db = filled().await;
    assert_eq!(names(&db, !User::FULL_NAME.eq("Ann")).await, "Ben Cid");
    let either = any([User::FULL_NAME.eq("Ann"), User::FULL_NAME.eq("Ben")]);
    assert_eq!(names(&db, either).await, "Ann Ben");
    let sad = User::NICK.is_null().and(User::MOOD.eq(Mood::Sad));
    let mixed = User::ACTIVE.eq(false).or(sad);
    assert_eq!(names(&db, mixed.within()).await, "Ben Cid");
    assert_eq!(names(&db, any([])).await, "");
    assert_eq!(names(&db, all([])).await, "Ann Ben Cid");
    let when = |name: Option<&str>| {
        let users = User::query();
        users.when(name, |users, name| users.filter(User::FULL_NAME.eq(name)))
    };
    assert_eq!(when(None).count(&db).await.unwrap(), 3);
    assert_eq!(when(Some("Cid")).count(&db).await.unwrap(), 1);
    fn active(users: Query<User>) -> Query<User> {
        users.filter(User::ACTIVE.eq(true))
    }
    assert_eq!(User::query().scope(active).count(&db).await.unwrap(), 2);
}

#[tokio::test]
async fn joins_add_columns_and_left_joins_add_null() {
    let db = filled().await;
    let titles: Vec<(String, String)> = User::query()
        .join(User::POSTS)
        .filter(Post::VIEWS.gt(10))
        .order_by(Post::ID.asc())
        .select((User::FULL_NAME, Post::TITLE))
        .fetch(&db)
        .await
        .unwrap();
    let wanted = [("Ann", "100% sure"), ("Ben", "Tea")];
    assert_eq!(
        titles,
        wanted.map(|(name, title)| (name.to_owned(), title.to_owned()))
    );

    let counts = User::query()
        .left_join(User::POSTS)
        .group_by((User::ID, User::FULL_NAME))
        .order_by(User::ID.asc())
        .select((User::FULL_NAME, Post::ID.count(), Post::VIEWS.max()))
        .fetch(&db)
        .await
        .unwrap();
    let counts: Vec<_> = counts
        .iter()
        .map(|(name, count, max)| (&**name, *count, *max))
        .collect();
    assert_eq!(
        counts,
        [("Ann", 2, Some(20)), ("Ben", 1, Some(30)), ("Cid", 0, None)]
    );

    let silent = User::query()
        .left_join(User::POSTS)
        .filter(Post::ID.is_null());
    assert_eq!(silent.pluck(User::FULL_NAME, &db).await.unwrap(), ["Cid"]);

    let popular: Vec<(i64,)> = Post::query()
        .group_by((Post::USER_ID,))
        .having(Post::VIEWS.sum().ge(30))
        .order_by(Post::USER_ID.desc())
        .select((Post::USER_ID,))
        .fetch(&db)
        .await
        .unwrap();
    assert_eq!(popular.len(), 2);
}

/// What a list of users shows.
#[derive(Debug, PartialEq, Projection)]
#[entity(of = User)]
struct Headline {
    full_name: String,
    nick: Option<String>,
    #[entity(column = Post::TITLE)]
    headline: Option<String>,
}

#[tokio::test]
async fn a_struct_is_a_list_of_columns() {
    let db = filled().await;
    let query = User::query()
        .left_join(User::POSTS)
        .order_by(User::ID.desc());
    let query = query.filter(Post::TITLE.is_null().or(Post::TITLE.eq("Rust")));
    let headlines = query.select_as::<Headline, _>().fetch(&db).await.unwrap();
    let headline = |name: &str, nick: Option<&str>, headline: Option<&str>| Headline {
        full_name: name.to_owned(),
        nick: nick.map(str::to_owned),
        headline: headline.map(str::to_owned),
    };
    let wanted = [
        headline("Cid", None, None),
        headline("Ann", Some("a_n"), Some("Rust")),
    ];
    assert_eq!(headlines, wanted);
}

#[tokio::test]
async fn a_table_is_joined_to_itself_by_another_name() {
    let db = filled().await;
    let managers: Vec<(String, Option<String>)> = User::query()
        .left_join(Manager::on(User::ID.of(Manager), User::MANAGER_ID))
        .order_by(User::ID.asc())
        .select((User::FULL_NAME, User::FULL_NAME.of(Manager)))
        .fetch(&db)
        .await
        .unwrap();
    let managers: Vec<_> = managers
        .iter()
        .map(|(name, of)| (&**name, of.as_deref()))
        .collect();
    assert_eq!(
        managers,
        [("Ann", None), ("Ben", Some("Ann")), ("Cid", None)]
    );

    let twice = User::query().join(User::on(User::ID, User::MANAGER_ID));
    let error = twice.to_sql();
    let error = error.expect_err("which one is meant can't be told");
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(
        error
            .to_string()
            .contains("give one of both another name by `alias!`"),
        "{error}"
    );
}

#[tokio::test]
async fn sub_queries_ask_for_rows_of_other_tables() {
    let db = filled().await;
    let rust = User::POSTS.any(Post::TITLE.icontains("rust"));
    assert_eq!(names(&db, rust).await, "Ann");
    assert_eq!(names(&db, !User::POSTS.exists()).await, "Cid");
    let authors = Post::query()
        .filter(Post::VIEWS.ge(20))
        .column(Post::USER_ID);
    assert_eq!(names(&db, User::ID.in_query(authors)).await, "Ann Ben");
    let own = User::POSTS.any(Post::TITLE.eq_col(User::FULL_NAME).or(Post::VIEWS.eq(30)));
    assert_eq!(names(&db, own).await, "Ben");
}

#[tokio::test]
async fn the_final_verbs_give_what_they_say() {
    let db = filled().await;
    let users = || User::query().order_by(User::ID.asc());
    assert_eq!(users().count(&db).await.unwrap(), 3);
    assert_eq!(users().limit(2).count(&db).await.unwrap(), 2);
    assert!(users().exists(&db).await.unwrap());
    assert!(!users().filter(User::ID.eq(-1)).exists(&db).await.unwrap());
    assert_eq!(users().first(&db).await.unwrap().unwrap().full_name, "Ann");
    assert_eq!(
        users().filter(User::ID.lt(0)).first(&db).await.unwrap(),
        None
    );
    assert_eq!(
        users().filter(User::ID.lt(0)).optional(&db).await.unwrap(),
        None
    );
    let ben = users().filter(User::FULL_NAME.eq("Ben"));
    assert_eq!(ben.one(&db).await.unwrap().full_name, "Ben");
    let error = users().one(&db).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyRows);
    let error = users().filter(User::ID.lt(0)).one(&db).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.to_string().contains("no row of User was found"),
        "{error}"
    );
    let value = users().offset(1).value(User::FULL_NAME, &db).await.unwrap();
    assert_eq!(value.as_deref(), Some("Ben"));
    let nick: Option<Option<String>> = users().offset(1).value(User::NICK, &db).await.unwrap();
    assert_eq!(nick, Some(None));
    let views: Option<Option<i64>> = Post::query().value(Post::VIEWS.sum(), &db).await.unwrap();
    assert_eq!(views, Some(Some(60)));
    let by_name = users()
        .key_by(|user| user.full_name.clone(), &db)
        .await
        .unwrap();
    assert_eq!(by_name["Cid"].email, "cid@example.com");
    let page = users().paginate(2, 2, &db).await.unwrap();
    assert_eq!((page.rows.len(), page.total, page.pages), (1, 3, 2));
    let mut stream = users().stream(&db).await.unwrap();
    let mut names = String::new();
    while let Some(user) = stream.next().await.unwrap() {
        names.push_str(&user.full_name);
    }
    assert_eq!(names, "AnnBenCid");
    drop(stream);
    assert_eq!(users().explain(&db).await.unwrap().root().kind(), "Sort");
    users().dry_run(&db).await.unwrap();
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_row_is_found_by_its_key_of_one_or_several_columns() {
    let db = filled().await;
    let id = User::query()
        .filter(User::FULL_NAME.eq("Ben"))
        .value(User::ID, &db);
    let id = id.await.unwrap().unwrap();
    assert_eq!(User::find(id).one(&db).await.unwrap().full_name, "Ben");
    for number in 1..=2 {
        let line = aquifer::insert!(Line {
            order_id: 7,
            number,
            amount: "1.50"
        });
        line.execute(&db).await.unwrap();
    }
    let line = Line::find((7, 2)).one(&db).await.unwrap();
    assert_eq!((line.key(), &*line.amount), ((7, 2), "1.50"));
}

#[tokio::test]
async fn rows_that_are_marked_as_deleted_are_passed_over_everywhere() {
    let db = filled().await;
    let rust = Post::delete().filter(Post::TITLE.eq("Rust"));
    assert_eq!(rust.execute(&db).await.unwrap(), 1);
    assert_eq!(Post::query().count(&db).await.unwrap(), 2);
    assert_eq!(Post::query().with_deleted().count(&db).await.unwrap(), 3);
    let deleted = Post::query().only_deleted();
    assert_eq!(deleted.pluck(Post::TITLE, &db).await.unwrap(), ["Rust"]);
    let joined = || User::query().join(User::POSTS);
    assert_eq!(joined().count(&db).await.unwrap(), 2);
    assert_eq!(joined().with_deleted().count(&db).await.unwrap(), 3);
    // In a left join the mark decides which rows fit, not which users are seen.
    let left = User::query().left_join(User::POSTS);
    assert_eq!(left.count(&db).await.unwrap(), 3);
    let rust = User::POSTS.any(Post::TITLE.eq("Rust"));
    assert_eq!(User::query().filter(rust).count(&db).await.unwrap(), 0);
}

#[tokio::test]
async fn locks_are_taken_and_passed_over() {
    let db = filled().await;
    let first = || Post::query().order_by(Post::ID.asc()).limit(1).for_update();
    let one = db.begin().await.unwrap();
    let rust = first().one(&one).await.unwrap();
    let other = db.begin().await.unwrap();
    let next = first().skip_locked().one(&other).await.unwrap();
    assert_ne!(rust.id, next.id);
    let error = first().no_wait().one(&other).await.unwrap_err();
    assert_eq!(
        error.sqlstate().map(|state| state.code().to_owned()),
        Some("55P03".to_owned())
    );
    let joined = Post::query().left_join(Post::USER).for_share();
    other.rollback().await.unwrap();
    assert_eq!(joined.fetch(&one).await.unwrap().len(), 3);
    one.rollback().await.unwrap();
    let error = Post::query().skip_locked().to_sql().unwrap_err();
    assert!(error.to_string().contains("call `for_update`"), "{error}");
}

#[tokio::test]
async fn nothing_is_read_where_no_table_is() {
    let db = empty().await;
    assert_eq!(User::query().fetch(&db).await.unwrap(), []);
    assert_eq!(
        Post::query().value(Post::VIEWS.max(), &db).await.unwrap(),
        Some(None)
    );
    assert!(db.execute("select 1", ()).await.is_ok());
}
