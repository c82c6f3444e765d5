use super::{Sample, Work, expect_rows};
use crate::user::Keys;
use crate::{Contender, Error};

pub(super) struct Transaction;

impl Work for Transaction {
    async fn once<C: Contender>(contender: &C, keys: &mut Keys) -> Result<Sample, Error> {
        expect_rows(contender.transaction(keys.one()).await?, 2)
    }
}
