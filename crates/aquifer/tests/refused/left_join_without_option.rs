//~ error[E0308]: mismatched types
//~ expected struct `aquifer::entity::Query<_, (_, String)>`
//~    found struct `aquifer::entity::Query<LeftJoined<User, Post>, (_, Option<String>)>`
include!("schema.rs");

fn main() {
    let _pairs: Query<_, (i64, String)> = User::query()
        .left_join(User::POSTS)
        .select((User::ID, Post::TITLE));
}
