// What must compile, so that the other cases are refused for what they show and for nothing else.
include!("schema.rs");

#[derive(DerivedTable)]
struct Total {
    user_id: i64,
    posts: i64,
}

fn main() {
    let _users: Query<User> = User::query()
        .filter(User::ACTIVE.eq(true))
        .filter(User::NICK.is_null());
    let _pairs: Query<_, (i64, Option<String>)> = User::query()
        .left_join(User::POSTS)
        .select((User::ID, Post::TITLE));
    let _insert = insert!(User { name: "Ann", active: true });
    let _update = User::update().set(User::NICK, "ann").filter(User::ID.eq(1));
    let by_user = window().partition_by(Post::USER_ID);
    let _numbers: Query<_, (i64, i64)> = Post::query().select((Post::ID, row_number().over(by_user)));
    let totals = Post::query().group_by((Post::USER_ID,)).select((Post::USER_ID, Post::ID.count()));
    let _best: Query<_, (String, i64)> = Total::with(Total::of(totals))
        .join(User::on(User::ID, Total::USER_ID))
        .select((User::NAME, Total::POSTS));
    let _all: Query<User> = User::query().union(User::query().with_deleted());
    let own = Post::query().outer::<User>().filter(Post::USER_ID.eq_col(User::ID));
    let _authors = User::query().filter(own.has_rows());
    let _either: Query<_, (Option<String>, String)> = User::query()
        .right_join(User::POSTS)
        .select((User::NAME, Post::TITLE));
    let name = case(User::ACTIVE.eq(true), User::NAME).or_null();
    let _names: Query<_, (i64, Option<String>)> = User::query().select((User::ID, name));
    let _behind = Post::query().filter(row((Post::USER_ID, Post::ID)).gt((1, 2)));
    let users = User::query().select((User::ID, User::NAME));
    let _found = Post::insert_from((Post::USER_ID, Post::TITLE), users);
    let _many = Post::update_many((Post::ID, Post::TITLE), [(1, "one"), (2, "two")]);
    let _later = User::DELETED_AT.later_by(aquifer::types::Interval::default());
}
