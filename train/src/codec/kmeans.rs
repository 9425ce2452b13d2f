//! k-means: rows that stand for many rows.

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::Rng;
use rand::rngs::StdRng;

/// Rows whose distances are computed at once: bounds the memory of the distances.
const ROWS: usize = 4096;
/// Rows that the centres are found from; more of them hardly move a centre.
const SAMPLE: usize = 40_000;

/// Finds `count` centres of rows of `width` values, by Lloyd's iterations from k-means++ seeds; a centre that nobody is
/// nearest to starts anew at a random row.
///
/// # Panics
/// When there is no row.
pub fn kmeans(rows: &[f32], width: usize, count: usize, iterations: usize, rng: &mut StdRng) -> Vec<f32> {
    let every = (rows.len() / width).div_ceil(SAMPLE).max(1);
    let rows: Vec<f32> = rows.chunks_exact(width).step_by(every).flatten().copied().collect();
    let row = |index: usize| &rows[index * width..(index + 1) * width];
    let total = rows.len() / width;
    assert!(total > 0, "k-means needs rows");
    let mut centres = seeds(&rows, width, count, rng);
    for _ in 0..iterations {
        let nearest = nearest(&rows, &centres, width);
        let mut sums = vec![0.0f64; count * width];
        let mut members = vec![0usize; count];
        for (index, centre) in nearest.iter().enumerate() {
            members[*centre] += 1;
            let sums = &mut sums[centre * width..(centre + 1) * width];
            sums.iter_mut().zip(row(index)).for_each(|(sum, v)| *sum += f64::from(*v));
        }
        for centre in 0..count {
            let target = &mut centres[centre * width..(centre + 1) * width];
            if members[centre] == 0 {
                target.copy_from_slice(row(rng.random_range(0..total)));
            } else {
                let sums = &sums[centre * width..(centre + 1) * width];
                target.iter_mut().zip(sums).for_each(|(v, sum)| *v = (sum / members[centre] as f64) as f32);
            }
        }
    }
    centres
}

/// The nearest centre of each row.
pub fn nearest(rows: &[f32], centres: &[f32], width: usize) -> Vec<usize> {
    let device = Device::flex();
    let count = centres.len() / width;
    let lengths: Vec<f32> = centres.chunks_exact(width).map(|c| c.iter().map(|v| v * v).sum()).collect();
    let centres = Tensor::<2>::from_data(TensorData::new(centres.to_vec(), [count, width]), &device).transpose();
    let mut found = Vec::with_capacity(rows.len() / width);
    for rows in rows.chunks(ROWS * width) {
        let rows = Tensor::<2>::from_data(TensorData::new(rows.to_vec(), [rows.len() / width, width]), &device);
        let products = rows.matmul(centres.clone()).into_data_dtype(DType::F32).try_into_vec::<f32>().expect("f32 was asked for");
        found.extend(products.chunks_exact(count).map(|products| {
            let distances = products.iter().zip(&lengths).map(|(product, length)| length - 2.0 * product).enumerate();
            distances.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index)
        }));
    }
    found
}

/// Each seed is a row, chosen with a probability that grows with its distance from the seeds before.
fn seeds(rows: &[f32], width: usize, count: usize, rng: &mut StdRng) -> Vec<f32> {
    let total = rows.len() / width;
    let first = rng.random_range(0..total);
    let mut seeds = rows[first * width..(first + 1) * width].to_vec();
    let mut distances = vec![f32::INFINITY; total];
    while seeds.len() < count * width {
        let last = &seeds[seeds.len() - width..];
        for (row, distance) in rows.chunks_exact(width).zip(&mut distances) {
            *distance = distance.min(row.iter().zip(last).map(|(a, b)| (a - b) * (a - b)).sum());
        }
        let sum: f64 = distances.iter().map(|d| f64::from(*d)).sum();
        let mut left = rng.random::<f64>() * sum;
        let chosen = distances.iter().position(|d| {
            left -= f64::from(*d);
            left < 0.0
        });
        let chosen = chosen.unwrap_or_else(|| rng.random_range(0..total));
        seeds.extend_from_slice(&rows[chosen * width..(chosen + 1) * width]);
    }
    seeds
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn heaps_are_found() {
        let mut rng = StdRng::seed_from_u64(1);
        let heaps = [[0.0f32, 0.0], [10.0, 0.0], [0.0, 10.0]];
        let rows: Vec<f32> = (0..300).flat_map(|i| heaps[i % 3].map(|v| v + rng.random_range(-1.0..1.0f32))).collect();
        let centres = kmeans(&rows, 2, 3, 10, &mut rng);
        let places = nearest(&heaps.concat(), &centres, 2);
        assert_eq!(places.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
        for (heap, place) in heaps.iter().zip(places) {
            let centre = &centres[place * 2..place * 2 + 2];
            assert!((centre[0] - heap[0]).abs() < 0.3 && (centre[1] - heap[1]).abs() < 0.3, "{centre:?}");
        }
    }
}
