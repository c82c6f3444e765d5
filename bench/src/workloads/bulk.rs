use super::{Sample, Work, expect_rows};
use crate::user::{Keys, LOAD, to_load};
use crate::{Contender, Error};

pub(super) struct Bulk;

impl Work for Bulk {
    async fn once<C: Contender>(contender: &C, _keys: &mut Keys) -> Result<Sample, Error> {
        expect_rows(contender.load(to_load()).await?, LOAD as u64)
    }
}
