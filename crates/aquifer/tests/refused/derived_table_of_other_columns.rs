//~ error[E0308]: mismatched types
//~ expected `Query<_, (i64, Option<i64>)>`, found `Query<Post, (i64, String)>`
include!("schema.rs");

#[derive(DerivedTable)]
struct Total {
    user_id: i64,
    posts: Option<i64>,
}

fn main() {
    Total::of(Post::query().select((Post::USER_ID, Post::TITLE)));
}
