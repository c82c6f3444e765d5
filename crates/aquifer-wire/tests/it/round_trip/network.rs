use std::net::IpAddr;

use aquifer_wire::types::{
    Circle, Inet, Line, LineSegment, MacAddr, MacAddr8, Path, PgBox, Point, Polygon,
};
use proptest::prelude::*;

use super::{Trip, printed, printed_by, samples, strategies};
use crate::database::session;

#[tokio::test]
async fn addresses_and_networks() {
    let client = session().await;
    let texts = [
        "0.0.0.0",
        "255.255.255.255/0",
        "10.0.0.1/8",
        "::",
        "::1",
        "2001:db8::1/32",
        "::/0",
        "::ffff:1.2.3.4",
        "::1.2.3.4",
        "::ffff:0:1.2.3.4",
        "fe80::1/64",
        "1::",
        "1:0:0:2::3",
        "::0.8.66.13/31",
    ];
    let mut values: Vec<Inet> = texts.iter().map(|text| text.parse().unwrap()).collect();
    values.extend(samples(strategies::inet()));
    Trip::of(&client, "inet").run(&values).await;
    printed(&client, "inet", &values).await;
    let networks: Vec<Inet> = values.iter().map(|inet| network(*inet)).collect();
    Trip::of(&client, "cidr").run(&networks).await;
    printed_by(&client, "cidr", &networks, |network| format!("{network:#}")).await;
    let hosts: Vec<IpAddr> = samples(any::<IpAddr>());
    Trip::of(&client, "inet").run(&hosts).await;
    Trip::of(&client, "cidr").run(&hosts).await;
}

/// Without the bits beyond the prefix, which a `cidr` must not have.
fn network(inet: Inet) -> Inet {
    let prefix = u32::from(inet.prefix());
    let address = match inet.address() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    };
    Inet::new(address, inet.prefix()).unwrap()
}

#[tokio::test]
async fn hardware_addresses() {
    let client = session().await;
    let values: Vec<MacAddr> = samples(any::<[u8; 6]>().prop_map(MacAddr));
    Trip::of(&client, "macaddr").run(&values).await;
    printed(&client, "macaddr", &values).await;
    let values: Vec<MacAddr8> = samples(any::<[u8; 8]>().prop_map(MacAddr8));
    Trip::of(&client, "macaddr8").run(&values).await;
    printed(&client, "macaddr8", &values).await;
}

#[tokio::test]
async fn geometry() {
    let client = session().await;
    let coordinate = prop_oneof![
        any::<f64>(),
        Just(0.0),
        Just(f64::INFINITY),
        Just(f64::MIN_POSITIVE)
    ];
    let point = (coordinate.clone(), coordinate)
        .prop_map(|(x, y)| Point { x, y })
        .boxed();
    let points = || prop::collection::vec(point.clone(), 1..6);
    Trip::of(&client, "point")
        .run(&samples(point.clone()))
        .await;
    let pair = (point.clone(), point.clone()).boxed();
    let segment = pair
        .clone()
        .prop_map(|(start, end)| LineSegment { start, end });
    Trip::of(&client, "lseg").run(&samples(segment)).await;
    // The server puts the corners in order.
    let rectangle = pair.prop_map(|(a, b)| PgBox {
        upper_right: Point {
            x: a.x.max(b.x),
            y: a.y.max(b.y),
        },
        lower_left: Point {
            x: a.x.min(b.x),
            y: a.y.min(b.y),
        },
    });
    Trip::of(&client, "box").run(&samples(rectangle)).await;
    let path = (any::<bool>(), points()).prop_map(|(closed, points)| Path { closed, points });
    Trip::of(&client, "path").run(&samples(path)).await;
    Trip::of(&client, "polygon")
        .run(&samples(points().prop_map(|points| Polygon { points })))
        .await;
    let circle = (point, 0.0..1e9).prop_map(|(center, radius)| Circle { center, radius });
    Trip::of(&client, "circle").run(&samples(circle)).await;
    let line = [-1e9..-1.0, 1.0..1e9, -5.0..5.0].prop_map(|[a, b, c]| Line { a, b, c });
    Trip::of(&client, "line").run(&samples(line)).await;
}
