use bytes::BytesMut;

use crate::types::params::encode_parameter;
use crate::types::{Encode, Params, ParamsError, Type};

impl Params for () {
    fn count(&self) -> usize {
        0
    }

    fn encode(&self, _types: &[Type], _out: &mut BytesMut) -> Result<(), ParamsError> {
        Ok(())
    }
}

macro_rules! tuple {
    ($($value:ident)+) => {
        impl<$($value: Encode),+> Params for ($($value,)+) {
            fn count(&self) -> usize {
                [$(stringify!($value)),+].len()
            }

            #[expect(non_snake_case, reason = "each value is named as its type parameter")]
            fn encode(&self, types: &[Type], out: &mut BytesMut) -> Result<(), ParamsError> {
                let ($($value,)+) = self;
                let mut types = types.iter().enumerate();
                $(
                    if let Some((index, ty)) = types.next() {
                        encode_parameter(index + 1, $value, ty, out)?;
                    }
                )+
                Ok(())
            }
        }
    };
}

tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);
tuple!(A B C D E F G);
tuple!(A B C D E F G H);
tuple!(A B C D E F G H I);
tuple!(A B C D E F G H I J);
tuple!(A B C D E F G H I J K);
tuple!(A B C D E F G H I J K L);
tuple!(A B C D E F G H I J K L M);
tuple!(A B C D E F G H I J K L M N);
tuple!(A B C D E F G H I J K L M N O);
tuple!(A B C D E F G H I J K L M N O P);
