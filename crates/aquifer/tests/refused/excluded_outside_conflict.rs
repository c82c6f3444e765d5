//~ `aquifer::entity::Excluded<User>` is not part of this query
include!("schema.rs");

fn main() {
    User::query().filter(User::NAME.eq_col(User::NAME.excluded()));
}
