//! y = w x / sqrt(mean(x²) + eps), over the last axis.

use burn::tensor::{DType, Tensor};

use super::gradient::{HostGradient, record, tracked, view};
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
    let ([rows, width], norm) = (x.dims(), RmsNorm { eps: eps as f32 });
    assert_eq!(weight.dims(), [width], "rms_norm: one weight for each of {width} channels");
    if let (Some(x), Some(weight)) = (tracked(&x), tracked(&weight)) {
        let inputs = [x, weight];
        let views = inputs.each_ref().map(view);
        let y = norm.rows(views[0].values(), views[1].values());
        return record(&inputs, views, y, [rows, width], norm);
    }
    if dtype == DType::F32 && is_plain_cpu(&device) {
        let (x, weight) = (HostView::new(x), HostView::new(weight));
        return from_host(norm.rows(x.values(), weight.values()), [rows, width], &device, dtype);
    }
    composed(x, weight, eps)
}

/// What every device computes.
fn composed(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    let dtype = x.dtype();
    let wide = if dtype == DType::F32 { x } else { x.cast(DType::F32) };
    let mean_square = wide.clone().powi_scalar(2).mean_dim(1);
    let normed = wide / (mean_square + eps).sqrt();
    let normed = if dtype == DType::F32 { normed } else { normed.cast(dtype) };
    normed * weight.unsqueeze()
}

#[derive(Clone, Copy, Debug)]
struct RmsNorm {
    eps: f32,
}

impl RmsNorm {
    fn rows(self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let (mut y, width) = (vec![0.0; x.len()], weight.len().max(1));
        x.chunks_exact(width).zip(y.chunks_exact_mut(width)).for_each(|(x, y)| rms_norm_row(x, weight, self.eps, y));
        y
    }
}

impl HostGradient<2> for RmsNorm {
    /// With s = 1 / sqrt(mean(x²) + eps) and g = w dy: dx = s g - s³ x mean(x g), dw = Σ s x dy.
    fn gradients(&self, [x, weight]: [&[f32]; 2], dy: &[f32], _: [bool; 2]) -> [Option<Vec<f32>>; 2] {
        let (mut dx, mut dw, width) = (vec![0.0; x.len()], vec![0.0; weight.len()], weight.len().max(1));
        for ((x, dy), dx) in x.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width)) {
            let scale = scale(x, self.eps);
            let along = x.iter().zip(dy).zip(weight).map(|((x, dy), w)| f64::from(x * dy * w)).sum::<f64>() / width as f64;
            let back = scale * scale * scale * along as f32;
            for ((((dx, dw), x), dy), w) in dx.iter_mut().zip(&mut dw).zip(x).zip(dy).zip(weight) {
                *dx = scale * w * dy - back * x;
                *dw += scale * x * dy;
            }
        }
        [Some(dx), Some(dw)]
    }
}

/// 1 / sqrt(mean(x²) + eps).
fn scale(x: &[f32], eps: f32) -> f32 {
    let mean_square = x.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>() / x.len() as f64;
    1.0 / (mean_square as f32 + eps).sqrt()
}

/// One row of the CPU version.
///
/// # Panics
/// When the lengths differ.
pub fn rms_norm_row(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32]) {
    assert!(x.len() == weight.len() && x.len() == y.len(), "rms_norm: lengths {} {} {}", x.len(), weight.len(), y.len());
    let scale = scale(x, eps);
    for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
        *y = x * scale * w;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn rows_have_unit_mean_square_times_the_weight() {
        let device = Device::flex();
        let x = Tensor::<2>::from_data([[3.0, -4.0, 0.0, 0.0], [1.0, 1.0, 1.0, -1.0]], &device);
        let y = rms_norm(x, Tensor::from_data([1.0, 1.0, 1.0, 2.0], &device), 0.0).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(y, [1.2, -1.6, 0.0, 0.0, 1.0, 1.0, 1.0, -2.0]);
    }

    #[test]
    #[should_panic(expected = "one weight for each of 6 channels")]
    fn a_weight_of_another_width_is_refused() {
        let device = Device::flex();
        rms_norm(Tensor::ones([2, 6], &device), Tensor::ones([4], &device), 0.0);
    }

    #[test]
    fn result_and_gradients_equal_those_of_the_composition() {
        let device = Device::flex().autodiff();
        let (rows, width) = (5, 37);
        let wave = |salt: usize, count: usize| (0..count).map(|i| ((i * 37 + salt * 11) as f32 * 0.37).sin()).collect::<Vec<_>>();
        let run = |fused: bool| {
            let x = Tensor::<2>::from_data(TensorData::new(wave(1, rows * width), [rows, width]), &device).require_grad();
            let w = Tensor::<1>::from_data(TensorData::new(wave(2, width), [width]), &device).require_grad();
            let y = if fused { rms_norm(x.clone(), w.clone(), 1e-3) } else { composed(x.clone(), w.clone(), 1e-3) };
            let by_y = Tensor::<2>::from_data(TensorData::new(wave(3, rows * width), [rows, width]), &device);
            let gradients = (y.clone() * by_y).sum().backward();
            let values = [y.into_data(), x.grad(&gradients).unwrap().into_data(), w.grad(&gradients).unwrap().into_data()];
            values.map(|values| values.try_to_vec::<f32>().unwrap())
        };
        for (name, (fused, composed)) in ["y", "dx", "dw"].into_iter().zip(run(true).iter().zip(&run(false))) {
            assert_eq!(fused.len(), composed.len(), "{name}");
            for (fused, composed) in fused.iter().zip(composed) {
                assert!((fused - composed).abs() < 1e-5, "{name}: {fused} for {composed}");
            }
        }
    }
}
