//~ error[E0271]: type mismatch resolving `<i64 as ColumnType>::Value == String`
//~     case(User::ACTIVE.eq(true), User::NAME).otherwise(User::ID);
//~                                             ^^^^^^^^^ expected `String`, found `i64`
include!("schema.rs");

fn main() {
    case(User::ACTIVE.eq(true), User::NAME).otherwise(User::ID);
}
