//! What holds for every repository, whatever is behind it.

mod pages;
mod reads;
mod writes;

use super::schema::World;

macro_rules! contract {
    ($($module:ident: $($name:ident)+;)+) => {
        mod real {
            use super::World;
            $($(
                #[tokio::test]
                async fn $name() {
                    let world = World::real().await;
                    super::$module::$name(&world).await;
                    world.assert_whole().await;
                }
            )+)+
        }

        mod fake {
            use super::World;
            $($(
                #[tokio::test]
                async fn $name() {
                    super::$module::$name(&World::fake().await).await;
                }
            )+)+
        }
    };
}

contract! {
    pages:
        pages_go_on_behind_ties
        pages_go_on_in_every_order
        a_cursor_is_good_for_its_query_only
        chunks_go_through_all_rows
        chunks_pass_over_what_others_delete_and_insert
    ;
    reads:
        a_row_is_found_by_its_key
        many_rows_are_found_in_the_order_of_the_keys
        a_key_may_have_several_columns
        queries_filter_sort_and_cut
        conditions_hold_as_in_sql
        counts_and_existence
        other_tasks_use_it_too
    ;
    writes:
        what_the_database_fills_in_is_read_back
        a_row_that_somebody_else_changed_is_not_saved
        a_row_that_is_gone_is_not_saved
        a_row_that_was_deleted_is_not_brought_back_by_a_save
        deleted_rows_are_passed_over_and_come_back
        what_is_unique_stays_so
        an_upsert_inserts_or_changes
        many_rows_are_inserted_all_or_none
        texts_that_the_server_refuses_are_refused
        what_can_not_be_is_refused
    ;
}
