use super::select::Select;
use super::{Sample, Work};
use crate::user::Keys;
use crate::{Contender, Error};

/// One call in so many is slow.
const ONE_IN: u32 = 100;

/// How long a slow one takes, in seconds: from the first to twice as much.
const SECONDS: f64 = 0.05;

pub(super) struct Slow;

impl Work for Slow {
    async fn once<C: Contender>(contender: &C, keys: &mut Keys) -> Result<Sample, Error> {
        if keys.up_to(ONE_IN) > 1 {
            return Select::once(contender, keys).await;
        }
        contender.slow(SECONDS * (1.0 + keys.part())).await?;
        Ok(Sample::NotCounted)
    }
}
