//~ error[E0277]: `User` is not part of this query
//~ join `User` before its columns are used
include!("schema.rs");

fn main() {
    let by_name = window().partition_by(User::NAME);
    Post::query().select((row_number().over(by_name),));
}
