//~ error[E0271]: type mismatch resolving `<Post as In<LeftJoined<User, Post>, Here>>::Side == Always`
include!("schema.rs");

#[derive(Projection)]
#[entity(of = User)]
struct Headline {
    name: String,
    #[entity(column = Post::TITLE)]
    title: String,
}

fn main() {
    User::query()
        .left_join(User::POSTS)
        .select_as::<Headline, _>();
}
