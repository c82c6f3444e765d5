//~ error[E0599]: the method `fetch` exists for struct `Query<RightJoined<User, Post>, NothingSelected>`
//~ `NothingSelected: FromRow`
include!("schema.rs");

fn posts(db: &Db) {
    User::query().right_join(User::POSTS).fetch(db);
}

fn main() {}
