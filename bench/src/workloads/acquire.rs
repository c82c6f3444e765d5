use super::{Sample, Work};
use crate::user::Keys;
use crate::{Contender, Error};

pub(super) struct Acquire;

impl Work for Acquire {
    async fn once<C: Contender>(contender: &C, _keys: &mut Keys) -> Result<Sample, Error> {
        contender.acquire().await?;
        Ok(Sample::Counted)
    }
}
