//~ error[E0277]: `Post` is not part of this query
//~     User::query().select((User::ID, Post::TITLE));
//~                   ^^^^^^ join `Post` before its columns are used
include!("schema.rs");

fn main() {
    User::query().select((User::ID, Post::TITLE));
}
