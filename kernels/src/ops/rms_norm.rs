//! y = w x / sqrt(mean(x²) + eps), over the last axis.

use burn::tensor::{DType, Tensor};

use super::{HostView, from_host, is_plain_cpu};

/// Normalises rows to unit mean square and scales them.
///
/// The statistics are f32; in f16 and bf16 the normalised value is rounded to the format before it is multiplied by the
/// weight, as the published code does.
///
/// # Shapes
/// x: `[rows, width]`, weight: `[width]` → `[rows, width]`
///
/// # Panics
/// When the widths differ.
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    let (device, dtype) = (x.device(), x.dtype());
    if dtype == DType::F32 && is_plain_cpu(&device) {
        let [rows, width] = x.dims();
        let (x, weight) = (HostView::new(x), HostView::new(weight));
        let mut y = vec![0.0; rows * width];
        for (x, y) in x.values().chunks_exact(width.max(1)).zip(y.chunks_exact_mut(width.max(1))) {
            rms_norm_row(x, weight.values(), eps as f32, y);
        }
        return from_host(y, [rows, width], &device, dtype);
    }
    let wide = if dtype == DType::F32 { x } else { x.cast(DType::F32) };
    let mean_square = wide.clone().powi_scalar(2).mean_dim(1);
    let normed = wide / (mean_square + eps).sqrt();
    let normed = if dtype == DType::F32 { normed } else { normed.cast(dtype) };
    normed * weight.unsqueeze()
}

/// One row of the CPU version.
///
/// # Panics
/// When the lengths differ.
pub fn rms_norm_row(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
    assert!(x.len() == weight.len() && x.len() == y.len(), "rms_norm: lengths {} {} {}", x.len(), weight.len(), y.len());
    let mean_square = x.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>() / x.len() as f64;
    let scale = 1.0 / (mean_square as f32 + eps).sqrt();
    for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
        *y = x * scale * w;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn both_versions_agree_and_unit_rows_keep_their_size() {
        let x = vec![3.0, -4.0, 0.0, 0.0, 1.0, 1.0, 1.0, -1.0];
        let run = |device: &Device| {
            let t = |v: Vec<f32>, s: [usize; 2]| Tensor::<2>::from_data(TensorData::new(v, s), device);
            let w = Tensor::<1>::from_data([1.0, 1.0, 1.0, 2.0], device);
            rms_norm(t(x.clone(), [2, 4]), w, 0.0).into_data().try_to_vec::<f32>().unwrap()
        };
        let cpu = run(&Device::flex());
        assert_eq!(cpu[..2], [1.2, -1.6]);
        assert_eq!(cpu[4..], [1.0, 1.0, 1.0, -2.0]);
        for (a, b) in cpu.iter().zip(run(&Device::flex().autodiff())) {
            assert!((a - b).abs() < 1e-6);
        }
    }
}
