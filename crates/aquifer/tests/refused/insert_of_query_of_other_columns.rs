//~ error[E0277]: a query of `(i64, String, Option<String>)` does not fill the columns `(Col<Post, i64>, Col<Post, String>)`
//~ ^^^^^ expected a query that selects one value for each column, in their order
include!("schema.rs");

fn main() {
    let users = User::query().select((User::ID, User::NAME, User::NICK));
    Post::insert_from((Post::USER_ID, Post::TITLE), users);
}
