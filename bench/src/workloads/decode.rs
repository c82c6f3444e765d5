use std::hint::black_box;

use super::{Sample, Work};
use crate::user::{Keys, READ, ROWS};
use crate::{Contender, Error};

pub(super) struct Decode;

impl Work for Decode {
    async fn once<C: Contender>(contender: &C, keys: &mut Keys) -> Result<Sample, Error> {
        let first = keys.up_to(ROWS - READ as u32);
        let last = first + READ as i64 - 1;
        let users = black_box(contender.users(first, last).await?);
        let outside = |id| !(first..=last).contains(&id);
        if users.len() == READ && !users.iter().any(|user| outside(user.id)) {
            Ok(Sample::Counted)
        } else {
            let got = users.len();
            Err(format!("asked for the users {first} to {last}, got {got}, or others").into())
        }
    }
}
