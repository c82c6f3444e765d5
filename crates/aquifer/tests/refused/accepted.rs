// What must compile, so that the other cases are refused for what they show and for nothing else.
include!("schema.rs");

fn main() {
    let _users: Query<User> = User::query()
        .filter(User::ACTIVE.eq(true))
        .filter(User::NICK.is_null());
    let _pairs: Query<_, (i64, Option<String>)> = User::query()
        .left_join(User::POSTS)
        .select((User::ID, Post::TITLE));
    let _insert = insert!(User { name: "Ann", active: true });
    let _update = User::update().set(User::NICK, "ann").filter(User::ID.eq(1));
}
