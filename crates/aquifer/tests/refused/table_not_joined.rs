//~ error[E0277]: `Post` is not part of this query
//~     User::query().filter(Post::TITLE.eq("x"));
//~                   ------ ^^^^^^^^^^^^^^^^^^^ join `Post` before its columns are used
//~ note: join it by a relation, as in .join(User::POSTS)
include!("schema.rs");

fn main() {
    User::query().filter(Post::TITLE.eq("x"));
}
