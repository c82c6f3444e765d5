//~ can't be selected
//~ expected a column or an expression
//~ note: a CASE ends with .otherwise(…) or .or_null()
include!("schema.rs");

fn main() {
    User::query().select((User::ID, case(User::ACTIVE.eq(true), User::NAME)));
}
