//~ error[E0277]: a column of type `String` can't be set to `{float}`
//~ expected a value of type `String`
include!("schema.rs");

fn main() {
    Post::update_many((Post::ID, Post::TITLE), [(1, "one"), (2, "two")]);
    Post::update_many((Post::ID, Post::TITLE), [(1, 1.5)]);
}
