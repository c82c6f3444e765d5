//~ error[E0277]: `&str` can't be compared with a column of type `i64`
//~     Post::query().filter(row((Post::USER_ID, Post::ID)).gt((1, "2")));
//~                                                         --     ^^^ expected a value of type `i64`
include!("schema.rs");

fn main() {
    Post::query().filter(row((Post::USER_ID, Post::ID)).gt((1, "2")));
}
