use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

use crate::types::codec::{Binary, binary_codec};
use crate::types::reader::Reader;

/// A point of the plane.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "these are its parts on the wire")]
pub struct Point {
    /// The first coordinate.
    pub x: f64,
    /// The second coordinate.
    pub y: f64,
}

/// The infinite line `a`·x + `b`·y + `c` = 0; the server refuses one where `a` and `b` are 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "these are its parts on the wire")]
pub struct Line {
    /// The coefficient of x.
    pub a: f64,
    /// The coefficient of y.
    pub b: f64,
    /// The constant.
    pub c: f64,
}

/// A line between two points: PostgreSQL's `lseg`.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "these are its parts on the wire")]
pub struct LineSegment {
    /// One end.
    pub start: Point,
    /// The other end.
    pub end: Point,
}

/// A rectangle: PostgreSQL's `box`. The server swaps coordinates so that the corners are those
/// named.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "these are its parts on the wire")]
pub struct PgBox {
    /// The corner with the greater coordinates.
    pub upper_right: Point,
    /// The corner with the lesser coordinates.
    pub lower_left: Point,
}

/// A list of connected points.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "these are its parts on the wire")]
pub struct Path {
    /// Whether the last point is connected with the first.
    pub closed: bool,
    /// The points; the server wants at least one.
    pub points: Vec<Point>,
}

/// A polygon by its corners.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "these are its parts on the wire")]
pub struct Polygon {
    /// The corners; the server wants at least one.
    pub points: Vec<Point>,
}

/// A circle.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "these are its parts on the wire")]
pub struct Circle {
    /// The center.
    pub center: Point,
    /// The radius; the server refuses a negative one.
    pub radius: f64,
}

const POINT_BYTES: usize = 16;

fn read_point(reader: &mut Reader<'_>) -> Option<Point> {
    Some(Point {
        x: reader.f64()?,
        y: reader.f64()?,
    })
}

fn read_points(reader: &mut Reader<'_>) -> Option<Vec<Point>> {
    let count = reader.count(POINT_BYTES)?;
    (0..count).map(|_| read_point(reader)).collect()
}

fn write_points(points: &[Point], out: &mut BytesMut) {
    // More points than that exceed the size of a value, which is refused later.
    out.put_i32(i32::try_from(points.len()).unwrap_or(i32::MAX));
    for point in points {
        point.write(out);
    }
}

impl Binary for Point {
    fn read(raw: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(raw);
        let point = read_point(&mut reader)?;
        reader.finish(point)
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_f64(self.x);
        out.put_f64(self.y);
    }
}

impl Binary for Line {
    fn read(raw: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(raw);
        let line = Self {
            a: reader.f64()?,
            b: reader.f64()?,
            c: reader.f64()?,
        };
        reader.finish(line)
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_f64(self.a);
        out.put_f64(self.b);
        out.put_f64(self.c);
    }
}

impl Binary for LineSegment {
    fn read(raw: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(raw);
        let segment = Self {
            start: read_point(&mut reader)?,
            end: read_point(&mut reader)?,
        };
        reader.finish(segment)
    }

    fn write(&self, out: &mut BytesMut) {
        self.start.write(out);
        self.end.write(out);
    }
}

impl Binary for PgBox {
    fn read(raw: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(raw);
        let rectangle = Self {
            upper_right: read_point(&mut reader)?,
            lower_left: read_point(&mut reader)?,
        };
        reader.finish(rectangle)
    }

    fn write(&self, out: &mut BytesMut) {
        self.upper_right.write(out);
        self.lower_left.write(out);
    }
}

impl Binary for Path {
    fn read(raw: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(raw);
        let path = Self {
            closed: reader.u8()? != 0,
            points: read_points(&mut reader)?,
        };
        reader.finish(path)
    }

    fn write(&self, out: &mut BytesMut) {
        out.put_u8(u8::from(self.closed));
        write_points(&self.points, out);
    }
}

impl Binary for Polygon {
    fn read(raw: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(raw);
        let points = read_points(&mut reader)?;
        reader.finish(Self { points })
    }

    fn write(&self, out: &mut BytesMut) {
        write_points(&self.points, out);
    }
}

impl Binary for Circle {
    fn read(raw: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(raw);
        let circle = Self {
            center: read_point(&mut reader)?,
            radius: reader.f64()?,
        };
        reader.finish(circle)
    }

    fn write(&self, out: &mut BytesMut) {
        self.center.write(out);
        out.put_f64(self.radius);
    }
}

binary_codec!(Point: POINT);
binary_codec!(Line: LINE);
binary_codec!(LineSegment: LSEG);
binary_codec!(PgBox: BOX);
binary_codec!(Path: PATH);
binary_codec!(Polygon: POLYGON);
binary_codec!(Circle: CIRCLE);
