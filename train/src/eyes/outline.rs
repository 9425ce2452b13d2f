//! The edges of the shapes: how far a point lies inside or outside.

use super::scene::{Object, Shape};

/// Corners that stand for the round edge of a heart: at 40 pixels radius none is off by a tenth of a pixel.
const HEART_CORNERS: usize = 32;
/// Inner radius of a star as a share of the outer one.
const STAR_WAIST: f32 = 0.45;
/// Half of the width of a cross's bars as a share of its radius.
const CROSS_BAR: f32 = 0.3;

/// The edge of one object.
pub struct Outline {
    centre: [f32; 2],
    radius: f32,
    /// Corners around the centre; empty for a circle.
    corners: Vec<[f32; 2]>,
}

impl Outline {
    /// The edge of `object` where it stands.
    pub fn of(object: &Object) -> Self {
        let (sin, cos) = object.turn.sin_cos();
        let place = |[x, y]: [f32; 2]| {
            let (x, y) = (x * object.radius, y * object.radius);
            [x * cos - y * sin, x * sin + y * cos]
        };
        Self { centre: [object.x, object.y], radius: object.radius, corners: corners(object.shape).into_iter().map(place).collect() }
    }

    /// How far a point lies outside in pixels; negative inside.
    pub fn distance(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x - self.centre[0], y - self.centre[1]);
        if self.corners.is_empty() {
            return x.hypot(y) - self.radius;
        }
        let (mut nearest, mut inside) = (f32::MAX, false);
        let mut from = self.corners[self.corners.len() - 1];
        for to in &self.corners {
            let (ex, ey) = (to[0] - from[0], to[1] - from[1]);
            let (px, py) = (x - from[0], y - from[1]);
            let along = ((px * ex + py * ey) / (ex * ex + ey * ey)).clamp(0.0, 1.0);
            let (dx, dy) = (px - along * ex, py - along * ey);
            nearest = nearest.min(dx * dx + dy * dy);
            // A ray to the right crosses this edge.
            inside ^= (from[1] > y) != (to[1] > y) && px < py * ex / ey;
            from = *to;
        }
        if inside { -nearest.sqrt() } else { nearest.sqrt() }
    }

    /// The box around it, as left, top, right and bottom.
    pub fn bounds(&self) -> [f32; 4] {
        let [x, y] = self.centre;
        [x - self.radius, y - self.radius, x + self.radius, y + self.radius]
    }
}

/// Corners in a circle of radius 1, y downwards.
fn corners(shape: Shape) -> Vec<[f32; 2]> {
    let ring = |count: usize, radius: &dyn Fn(usize) -> f32, start: f32| {
        let corner = |index: usize| {
            let (sin, cos) = (start + std::f32::consts::TAU * index as f32 / count as f32).sin_cos();
            [radius(index) * cos, radius(index) * sin]
        };
        (0..count).map(corner).collect::<Vec<_>>()
    };
    let up = -std::f32::consts::FRAC_PI_2;
    match shape {
        Shape::Circle => Vec::new(),
        Shape::Square => ring(4, &|_| 1.0, up / 2.0),
        Shape::Triangle => ring(3, &|_| 1.0, up),
        Shape::Star => ring(10, &|index| if index % 2 == 0 { 1.0 } else { STAR_WAIST }, up),
        Shape::Cross => {
            // The ends of the bars lie on the circle.
            let (b, e) = (CROSS_BAR, (1.0 - CROSS_BAR * CROSS_BAR).sqrt());
            vec![[-b, -e], [b, -e], [b, -b], [e, -b], [e, b], [b, b], [b, e], [-b, e], [-b, b], [-e, b], [-e, -b], [-b, -b]]
        }
        Shape::Heart => {
            // Two lobes above, a point below: x is a cubed sine; y is fitted so that dip, lobes and point lie well.
            let corner = |index: usize| {
                let angle = std::f32::consts::TAU * index as f32 / HEART_CORNERS as f32;
                let (sin, cos) = angle.sin_cos();
                let y = 0.76 * cos - 0.295 * (2.0 * angle).cos() - 0.115 * (3.0 * angle).cos() - 0.055 * (4.0 * angle).cos();
                [0.94 * sin * sin * sin, -y]
            };
            (0..HEART_CORNERS).map(corner).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eyes::scene::{Colour, Place, Size};

    fn outline(shape: Shape) -> Outline {
        let (colour, size, place) = (Colour::Red, Size::Large, Place::Middle);
        Outline::of(&Object { shape, colour, size, place, x: 100.0, y: 100.0, radius: 40.0, turn: 0.0 })
    }

    #[test]
    fn every_shape_fills_its_circle_and_stays_inside_it() {
        for shape in Shape::ALL {
            let outline = outline(*shape);
            assert!(outline.distance(100.0, 100.0) < -5.0, "{shape:?}: the centre is outside");
            let points = (0..200).flat_map(|y| (0..200).map(move |x| (x as f32 + 0.5, y as f32 + 0.5)));
            let inside: Vec<_> = points.filter(|(x, y)| outline.distance(*x, *y) < 0.0).collect();
            let farthest = inside.iter().map(|(x, y)| (x - 100.0).hypot(y - 100.0)).fold(0.0, f32::max);
            assert!((36.0..=41.5).contains(&farthest), "{shape:?} reaches {farthest}");
            assert!(inside.len() > 1300, "{shape:?} covers {} pixels", inside.len());
        }
    }

    #[test]
    fn a_distance_is_that_of_the_nearest_edge() {
        let square = outline(Shape::Square);
        let half = 40.0 / 2f32.sqrt();
        assert!((square.distance(100.0 + half + 7.0, 100.0) - 7.0).abs() < 1e-3);
        assert!((square.distance(100.0, 100.0 - half + 3.0) + 3.0).abs() < 1e-3);
    }
}
