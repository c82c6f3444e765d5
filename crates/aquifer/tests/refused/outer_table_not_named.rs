//~ error[E0277]: `User` is not part of this query
//~ note: in a query within another one, name the table around by .outer::<User>()
include!("schema.rs");

fn main() {
    Post::query().filter(Post::USER_ID.eq_col(User::ID));
}
