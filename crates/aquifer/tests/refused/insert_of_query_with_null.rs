//~ error[E0277]: a column of type `String` can't take a `Option<String>`
//~ ^^^^^ expected a value of type `String`
//~ note: where a value may be NULL and the column takes none, say what it is then: Order::TOTAL.sum().or(0)
include!("schema.rs");

fn main() {
    let nicks = User::query().select((User::ID, User::NICK));
    Post::insert_from((Post::USER_ID, Post::TITLE), nicks);
}
