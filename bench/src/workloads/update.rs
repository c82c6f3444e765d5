use super::{Sample, Work, expect_rows};
use crate::user::Keys;
use crate::{Contender, Error};

pub(super) struct Update;

impl Work for Update {
    async fn once<C: Contender>(contender: &C, keys: &mut Keys) -> Result<Sample, Error> {
        expect_rows(contender.update(keys.one()).await?, 1)
    }
}
