use super::{Sample, Work, expect_rows};
use crate::user::Keys;
use crate::{Contender, Error};

pub(super) struct Insert;

impl Work for Insert {
    async fn once<C: Contender>(contender: &C, keys: &mut Keys) -> Result<Sample, Error> {
        expect_rows(contender.insert(keys.one()).await?, 1)
    }
}
