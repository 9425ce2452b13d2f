//! Principal components: the few directions in which many rows differ most.

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::Rng;
use rand::rngs::StdRng;

/// Rounds of subspace iteration; neighbouring components of speech differ enough to part in far fewer.
const ROUNDS: usize = 60;

/// Mean and components of rows.
pub struct Principal {
    mean: Vec<f32>,
    /// `[count][width]`, unit length, most important first.
    components: Vec<Vec<f32>>,
    /// Variance along each component.
    pub variances: Vec<f64>,
    /// Variance in all.
    pub total: f64,
}

impl Principal {
    /// Finds the first `count` components of rows of `width` values.
    pub fn of(rows: &[f32], width: usize, count: usize, rng: &mut StdRng) -> Self {
        let device = Device::flex();
        let number = rows.len() / width;
        let mut mean = vec![0.0f64; width];
        rows.chunks_exact(width).for_each(|row| mean.iter_mut().zip(row).for_each(|(sum, v)| *sum += f64::from(*v)));
        let mean: Vec<f32> = mean.iter().map(|sum| (sum / number as f64) as f32).collect();
        let centred: Vec<f32> = rows.chunks_exact(width).flat_map(|row| row.iter().zip(&mean).map(|(v, m)| v - m)).collect();
        let rows = Tensor::<2>::from_data(TensorData::new(centred, [number, width]), &device);
        let covariance = rows.clone().transpose().matmul(rows) / number as f64;
        let values = |tensor: Tensor<2>| tensor.into_data_dtype(DType::F32).try_into_vec::<f32>().expect("f32 was asked for");
        let total = values(covariance.clone()).iter().step_by(width + 1).map(|v| f64::from(*v)).sum();
        let mut components: Vec<Vec<f32>> = (0..count).map(|_| (0..width).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
        let mut variances = vec![0.0; count];
        for _ in 0..ROUNDS {
            let flat = TensorData::new(components.concat(), [count, width]);
            let moved = values(Tensor::<2>::from_data(flat, &device).matmul(covariance.clone()));
            components = moved.chunks_exact(width).map(<[f32]>::to_vec).collect();
            variances = orthogonalise(&mut components);
        }
        Self { mean, components, variances, total }
    }

    /// Coordinates of rows, `[rows, count]`.
    pub fn project(&self, rows: &[f32]) -> Vec<f32> {
        let width = self.mean.len();
        let centred: Vec<f32> = rows.chunks_exact(width).flat_map(|row| row.iter().zip(&self.mean).map(|(v, m)| v - m)).collect();
        let device = Device::flex();
        let rows = Tensor::<2>::from_data(TensorData::new(centred, [rows.len() / width, width]), &device);
        let components = Tensor::<2>::from_data(TensorData::new(self.components.concat(), [self.components.len(), width]), &device);
        rows.matmul(components.transpose()).into_data_dtype(DType::F32).try_into_vec().expect("f32 was asked for")
    }
}

/// Gram-Schmidt; gives the lengths before they became 1.
fn orthogonalise(vectors: &mut [Vec<f32>]) -> Vec<f64> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let mut lengths = Vec::new();
    for index in 0..vectors.len() {
        let (before, rest) = vectors.split_at_mut(index);
        let vector = &mut rest[0];
        for earlier in before {
            let along = dot(earlier, vector) as f32;
            vector.iter_mut().zip(earlier.iter()).for_each(|(v, e)| *v -= along * e);
        }
        let length = dot(vector, vector).sqrt().max(1e-20);
        vector.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
        lengths.push(length);
    }
    lengths
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn the_long_axes_of_a_cloud_are_found_in_order() {
        let mut rng = StdRng::seed_from_u64(3);
        let rows: Vec<f32> = (0..2000)
            .flat_map(|_| {
                let (a, b) = (rng.random_range(-3.0..3.0f32), rng.random_range(-1.0..1.0f32));
                [5.0 + a * 0.6, a * 0.8, b + 2.0]
            })
            .collect();
        let principal = Principal::of(&rows, 3, 2, &mut rng);
        assert!((principal.components[0][0].abs() - 0.6).abs() < 0.02 && (principal.components[0][1].abs() - 0.8).abs() < 0.02);
        assert!((principal.components[1][2].abs() - 1.0).abs() < 0.02);
        assert!(
            (principal.variances[0] - 3.0).abs() < 0.3 && (principal.variances[1] - 1.0 / 3.0).abs() < 0.05,
            "{:?}",
            principal.variances
        );
        assert!((principal.total - principal.variances.iter().sum::<f64>()).abs() < 0.01);
    }
}
