use std::hint::black_box;

use super::{Sample, Work};
use crate::user::Keys;
use crate::{Contender, Error};

pub(super) struct Select;

impl Work for Select {
    async fn once<C: Contender>(contender: &C, keys: &mut Keys) -> Result<Sample, Error> {
        let id = keys.one();
        let user = black_box(contender.user(id).await?);
        if user.id == id {
            Ok(Sample::Counted)
        } else {
            Err(format!("asked for user {id}, got user {}", user.id).into())
        }
    }
}
