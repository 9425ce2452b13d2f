//! Layer normalisation over the last axis: biased variance, weight and bias.

use burn::tensor::{DType, Tensor};

use super::gradient::{HostGradient, record, tracked, view};

/// y = (x - mean) / sqrt(var + eps) weight + bias, with statistics in f32 whatever the format of x.
///
/// # Shapes
/// x: `[rows, width]`, weight, bias: `[width]` → `[rows, width]`
///
/// # Panics
/// When the widths differ.
pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<2> {
    let [rows, width] = x.dims();
    assert!(weight.dims() == [width] && bias.dims() == [width], "layer_norm: one weight and bias for each of {width} channels");
    if let (Some(x), Some(weight), Some(bias)) = (tracked(&x), tracked(&weight), tracked(&bias)) {
        let tensors = [x, weight, bias];
        let views = tensors.each_ref().map(view);
        let gradient = NormGradient { eps: eps as f32 };
        let y = gradient.forward(views[0].values(), views[1].values(), views[2].values());
        return record(&tensors, views, y, [rows, width], gradient);
    }
    let dtype = x.dtype();
    let wide = |t: Tensor<2>| if dtype == DType::F32 { t } else { t.cast(DType::F32) };
    let x = wide(x);
    let centred = x.clone() - x.mean_dim(1);
    let variance = centred.clone().powi_scalar(2).mean_dim(1);
    let y = centred / (variance + eps).sqrt() * wide(weight.unsqueeze()) + wide(bias.unsqueeze());
    if dtype == DType::F32 { y } else { y.cast(dtype) }
}

/// With n the normalised row and g = dy weight: by x (g - mean(g) - n mean(g n)) / deviation, by weight the sum of dy n
/// over rows, by bias that of dy.
#[derive(Clone, Copy, Debug)]
struct NormGradient {
    eps: f32,
}

impl NormGradient {
    fn statistics(&self, row: &[f32]) -> (f32, f32) {
        let mean = row.iter().sum::<f32>() / row.len() as f32;
        let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / row.len() as f32;
        (mean, 1.0 / (variance + self.eps).sqrt())
    }

    fn forward(&self, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
        let mut y = Vec::with_capacity(x.len());
        for row in x.chunks_exact(weight.len()) {
            let (mean, scale) = self.statistics(row);
            y.extend(row.iter().zip(weight).zip(bias).map(|((x, w), b)| (x - mean) * scale * w + b));
        }
        y
    }
}

impl HostGradient<3> for NormGradient {
    fn gradients(&self, [x, weight, _]: [&[f32]; 3], dy: &[f32], _: [bool; 3]) -> [Option<Vec<f32>>; 3] {
        let width = weight.len();
        let mut by_x = Vec::with_capacity(x.len());
        let (mut by_weight, mut by_bias) = (vec![0.0; width], vec![0.0; width]);
        let (mut normed, mut g) = (vec![0.0; width], vec![0.0; width]);
        for (row, dy) in x.chunks_exact(width).zip(dy.chunks_exact(width)) {
            let (mean, scale) = self.statistics(row);
            normed.iter_mut().zip(row).for_each(|(n, x)| *n = (x - mean) * scale);
            g.iter_mut().zip(dy).zip(weight).for_each(|((g, dy), w)| *g = dy * w);
            by_weight.iter_mut().zip(dy).zip(&normed).for_each(|((sum, dy), n)| *sum += dy * n);
            by_bias.iter_mut().zip(dy).for_each(|(sum, dy)| *sum += dy);
            let level = g.iter().sum::<f32>() / width as f32;
            let along = g.iter().zip(&normed).map(|(g, n)| g * n).sum::<f32>() / width as f32;
            by_x.extend(g.iter().zip(&normed).map(|(g, n)| (g - level - n * along) * scale));
        }
        [Some(by_x), Some(by_weight), Some(by_bias)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn values(count: u32, seed: u32) -> Vec<f32> {
        (0..count).map(|i| ((i + seed).wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0).collect()
    }

    /// A sum in which every output counts differently.
    fn loss(x: &[f32], weight: &[f32], bias: &[f32], device: &Device) -> (Tensor<1>, Tensor<2>, Tensor<1>, Tensor<1>) {
        let vector = |v: &[f32]| Tensor::<1>::from_data(TensorData::new(v.to_vec(), [v.len()]), device);
        let x = Tensor::<2>::from_data(TensorData::new(x.to_vec(), [3, 5]), device);
        let (x, weight, bias) = if device.is_autodiff() {
            (x.require_grad(), vector(weight).require_grad(), vector(bias).require_grad())
        } else {
            (x, vector(weight), vector(bias))
        };
        let y = layer_norm(x.clone(), weight.clone(), bias.clone(), 1e-5);
        let factors = Tensor::from_data(TensorData::new(values(15, 9), [3, 5]), device);
        ((y * factors).sum(), x, weight, bias)
    }

    #[test]
    fn gradients_are_those_that_nudges_of_the_composition_measure() {
        let inputs = [values(15, 1), values(5, 2), values(5, 3)];
        let (sum, x, weight, bias) = loss(&inputs[0], &inputs[1], &inputs[2], &Device::flex().autodiff());
        let gradients = sum.backward();
        let list = |data: TensorData| data.try_to_vec::<f32>().unwrap();
        let got = [
            list(x.grad(&gradients).unwrap().into_data()),
            list(weight.grad(&gradients).unwrap().into_data()),
            list(bias.grad(&gradients).unwrap().into_data()),
        ];
        for (which, gradient) in got.iter().enumerate() {
            for (index, got) in gradient.iter().enumerate() {
                let moved = |by: f32| {
                    let mut inputs = inputs.clone();
                    inputs[which][index] += by;
                    loss(&inputs[0], &inputs[1], &inputs[2], &Device::flex()).0.into_scalar::<f32>()
                };
                let want = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!((got - want).abs() < 2e-2 * want.abs().max(1.0), "input {which}, value {index}: {got}, not {want}");
            }
        }
    }
}
