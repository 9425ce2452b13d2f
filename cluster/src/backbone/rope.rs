//! Rotary positions on adjacent pairs of components.
//!
//! Pair j of a token at position p is turned by the angle p theta^(-2j/d). The result stays in place, (r0, r1) for each
//! pair; the published code writes all r0 and then all r1, which gives the same scores because queries and keys agree.

use burn::tensor::{Device, Tensor, TensorData};

/// Cosines and sines for the positions of some rows.
#[derive(Clone, Debug)]
pub struct Rope {
    /// `[rows, pairs]`
    cos: Vec<f32>,
    /// `[rows, pairs]`
    sin: Vec<f32>,
    pairs: usize,
}

impl Rope {
    /// Angles in f64, so that far positions keep their phase; cosines and sines are rounded to f32 once.
    pub fn new(positions: impl IntoIterator<Item = usize>, width: usize, theta: f64) -> Self {
        let pairs = width / 2;
        let frequencies: Vec<f64> = (0..pairs).map(|j| theta.powf(-2.0 * j as f64 / width as f64)).collect();
        let angles = positions.into_iter().flat_map(|p| frequencies.iter().map(move |f| p as f64 * f));
        let (cos, sin) = angles.map(|angle| (angle.cos() as f32, angle.sin() as f32)).unzip();
        Self { cos, sin, pairs }
    }

    /// Turns the vector of row `row` in place.
    ///
    /// # Panics
    /// When `x` has another width.
    pub fn rotate(&self, row: usize, x: &mut [f32]) {
        assert_eq!(x.len(), 2 * self.pairs, "rope: width");
        let range = row * self.pairs..(row + 1) * self.pairs;
        for (pair, (cos, sin)) in x.as_chunks_mut::<2>().0.iter_mut().zip(self.cos[range.clone()].iter().zip(&self.sin[range])) {
            *pair = [pair[0] * cos - pair[1] * sin, pair[1] * cos + pair[0] * sin];
        }
    }

    /// The same in tensor operations.
    ///
    /// # Shapes
    /// x: `[rows, heads, width]` → `[rows, heads, width]`
    pub fn rotate_tensor(&self, x: Tensor<3>, device: &Device) -> Tensor<3> {
        let [rows, heads, width] = x.dims();
        let dtype = x.dtype();
        let table = |values: &[f32]| Tensor::<4>::from_data(TensorData::new(values.to_vec(), [rows, 1, self.pairs, 1]), (device, dtype));
        let (cos, sin) = (table(&self.cos), table(&self.sin));
        let pairs = x.reshape([rows, heads, self.pairs, 2]);
        let (first, second) = (pairs.clone().narrow(3, 0, 1), pairs.narrow(3, 1, 1));
        let turned = Tensor::cat(vec![first.clone() * cos.clone() - second.clone() * sin.clone(), second * cos + first * sin], 3);
        turned.reshape([rows, heads, width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_turn_adjacent_pairs_by_the_angle() {
        let (width, theta, positions) = (6, 10_000_000.0, [0, 1, 131_071]);
        let rope = Rope::new(positions, width, theta);
        let device = Device::flex();
        let x: Vec<f32> = (0..positions.len() * 2 * width).map(|i| i as f32 / 10.0 - 1.0).collect();
        let turned = rope.rotate_tensor(Tensor::from_data(TensorData::new(x.clone(), [positions.len(), 2, width]), &device), &device);
        let turned = turned.into_data().try_into_vec::<f32>().unwrap();
        for (i, (x, turned)) in x.chunks(width).zip(turned.chunks(width)).enumerate() {
            let mut in_place = x.to_vec();
            rope.rotate(i / 2, &mut in_place);
            assert_eq!(in_place, turned);
            for j in 0..width / 2 {
                let angle = positions[i / 2] as f64 * theta.powf(-2.0 * j as f64 / width as f64);
                let want = f64::from(x[2 * j]) * angle.cos() - f64::from(x[2 * j + 1]) * angle.sin();
                assert!((f64::from(turned[2 * j]) - want).abs() < 1e-6);
            }
        }
    }
}
