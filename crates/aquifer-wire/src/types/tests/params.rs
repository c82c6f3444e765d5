use bytes::BytesMut;

use crate::types::{Encode, ParamList, Params, Type};

fn bytes_of(params: impl Params, types: &[Type]) -> Vec<u8> {
    assert_eq!(params.count(), types.len());
    let mut out = BytesMut::new();
    params.encode(types, &mut out).unwrap();
    out.to_vec()
}

const TWO: [Type; 2] = [Type::INT2, Type::TEXT];
const SEVEN_AND_A: [u8; 11] = [0, 0, 0, 2, 0, 7, 0, 0, 0, 1, b'a'];

#[test]
fn every_form_of_a_list_is_the_same_on_the_wire() {
    let pair = (7, String::from("a"));
    assert_eq!(bytes_of(&pair, &TWO), SEVEN_AND_A);
    assert_eq!(bytes_of(pair, &TWO), SEVEN_AND_A);
    let values: [&(dyn Encode + Sync); 2] = [&7, &"a"];
    assert_eq!(bytes_of(values, &TWO), SEVEN_AND_A);
    assert_eq!(bytes_of(&values[..], &TWO), SEVEN_AND_A);
    let values = values.to_vec();
    assert_eq!(bytes_of(&values, &TWO), SEVEN_AND_A);
    assert_eq!(bytes_of(values, &TWO), SEVEN_AND_A);
    let mut list = ParamList::new();
    list.push(7);
    list.extend(["a"]);
    assert_eq!(bytes_of(&list, &TWO), SEVEN_AND_A);
    assert_eq!(bytes_of(list, &TWO), SEVEN_AND_A);
    let one_type: ParamList = [1, 2].into_iter().collect();
    assert_eq!(
        bytes_of(one_type, &[Type::INT2, Type::INT2]),
        bytes_of([1, 2], &[Type::INT2, Type::INT2])
    );
    assert!(bytes_of((), &[]).is_empty());
}

#[test]
fn null_has_no_bytes() {
    assert_eq!(
        bytes_of((None::<&str>, 7), &[Type::TEXT, Type::INT2]),
        [255, 255, 255, 255, 0, 0, 0, 2, 0, 7]
    );
}

#[test]
fn sixteen_values_make_a_tuple() {
    let types = vec![Type::INT2; 16];
    let bytes = bytes_of(
        (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
        &types,
    );
    assert_eq!(bytes.len(), 16 * 6);
    assert_eq!(bytes[15 * 6..], [0, 0, 0, 2, 0, 15]);
}

#[test]
fn the_parameter_that_does_not_fit_is_numbered() {
    let types = [Type::TEXT, Type::INT4];
    let error = Params::encode(&("a", "b"), &types, &mut BytesMut::new()).unwrap_err();
    assert_eq!(error.number(), 2);
    assert!(
        error
            .to_string()
            .starts_with("parameter $2: Rust str can't be sent as PostgreSQL int4")
    );
}

#[test]
fn params_may_be_held_across_an_await_of_a_spawned_task() {
    fn assert_send(_future: impl Future + Send) {}
    async fn hold(params: impl Params) -> usize {
        std::future::ready(()).await;
        params.count()
    }
    let name = String::from("a");
    let values = [&1 as &(dyn Encode + Sync), &name];
    assert_send(hold((1, "a", None::<i32>, vec![1], name.clone())));
    assert_send(hold(values));
    assert_send(hold(&values[..]));
    assert_send(hold(ParamList::new()));
    assert_send(hold(()));
    assert!(format!("{:?}", ParamList::from_iter(["secret"])).contains("count: 1"));
}
