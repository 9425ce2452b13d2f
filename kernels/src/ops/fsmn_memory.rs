//! The memory of an FSMN layer: each channel sums a few past and future vectors with weights of its own.
//!
//! Cost: rows x channels x taps multiply-adds on data that is in cache; nothing beside the layer's matrices.

use burn::tensor::{DType, Tensor};

use super::gradient::{HostGradient, record, tracked, view};
use super::{HostView, from_host, is_plain_cpu};

/// y[t, c] = sum over k of weight[c, 0, k] h[t + k dilation, c], tap 0 the oldest.
///
/// # Shapes
/// h: `[rows + (taps - 1) dilation, channels]`, weight: `[channels, 1, taps]` → `[rows, channels]`
///
/// # Panics
/// When the channels differ, there is no tap, the dilation is 0, or h is shorter than the reach of the taps.
pub fn fsmn_memory(h: Tensor<2>, weight: Tensor<3>, dilation: usize) -> Tensor<2> {
    let ([length, channels], [weight_channels, _, taps]) = (h.dims(), weight.dims());
    assert!(
        channels == weight_channels && taps > 0 && dilation > 0,
        "fsmn_memory: h has {channels} channels, the weight {weight_channels} with {taps} taps, dilation {dilation}"
    );
    let reach = (taps - 1) * dilation;
    assert!(length >= reach, "fsmn_memory: {length} rows are less than the reach of {reach}");
    let rows = length - reach;
    let (device, dtype) = (h.device(), h.dtype());
    if dtype == DType::F32 && is_plain_cpu(&device) {
        let (h, weight) = (HostView::new(h), HostView::new(weight));
        let mut y = vec![0.0; rows * channels];
        memory_rows(h.values(), weight.values(), channels, dilation, &mut y);
        return from_host(y, [rows, channels], &device, dtype);
    }
    if let (Some(h), Some(weight)) = (tracked(&h), tracked(&weight)) {
        let tensors = [h, weight];
        let views = tensors.each_ref().map(view);
        let mut y = vec![0.0; rows * channels];
        memory_rows(views[0].values(), views[1].values(), channels, dilation, &mut y);
        return record(&tensors, views, y, [rows, channels], MemoryGradient { channels, dilation });
    }
    // Sums are wide whatever the format of h, and are rounded to it once.
    let wide = |t: Tensor<2>| if dtype == DType::F32 { t } else { t.cast(DType::F32) };
    let (h, weight) = (wide(h), wide(weight.reshape([channels, taps]).transpose()));
    let tap = |k: usize| h.clone().slice([k * dilation..k * dilation + rows, 0..channels]) * weight.clone().slice([k..k + 1, 0..channels]);
    let y = (1..taps).fold(tap(0), |sum, k| sum + tap(k));
    if dtype == DType::F32 { y } else { y.cast(dtype) }
}

/// By h, what each row gave to the outputs that it reached; by the weight, h times dy summed over rows.
#[derive(Clone, Copy, Debug)]
struct MemoryGradient {
    channels: usize,
    dilation: usize,
}

impl HostGradient<2> for MemoryGradient {
    fn gradients(&self, [h, weight]: [&[f32]; 2], dy: &[f32], _: [bool; 2]) -> [Option<Vec<f32>>; 2] {
        let taps = weight.len() / self.channels;
        let weight = by_tap(weight, taps, self.channels);
        let (mut by_h, mut by_weight) = (vec![0.0; h.len()], vec![0.0; weight.len()]);
        for (t, dy) in dy.chunks_exact(self.channels).enumerate() {
            for k in 0..taps {
                let row = (t + k * self.dilation) * self.channels..(t + k * self.dilation + 1) * self.channels;
                let tap = k * self.channels..(k + 1) * self.channels;
                by_h[row.clone()].iter_mut().zip(dy).zip(&weight[tap.clone()]).for_each(|((sum, dy), w)| *sum += dy * w);
                by_weight[tap].iter_mut().zip(dy).zip(&h[row]).for_each(|((sum, dy), h)| *sum += dy * h);
            }
        }
        // Back from taps outermost to channels outermost.
        let by_weight = by_tap(&by_weight, self.channels, taps);
        [Some(by_h), Some(by_weight)]
    }
}

/// Transposes `[channels, taps]`, so that the innermost loop runs over neighbours.
fn by_tap(weight: &[f32], taps: usize, channels: usize) -> Vec<f32> {
    (0..taps).flat_map(|k| (0..channels).map(move |c| weight[c * taps + k])).collect()
}

fn memory_rows(h: &[f32], weight: &[f32], channels: usize, dilation: usize, y: &mut [f32]) {
    let taps = weight.len() / channels.max(1);
    let by_tap = by_tap(weight, taps, channels);
    for (t, y) in y.chunks_exact_mut(channels.max(1)).enumerate() {
        for (k, weight) in by_tap.chunks_exact(channels.max(1)).enumerate() {
            let row = (t + k * dilation) * channels;
            for ((y, h), w) in y.iter_mut().zip(&h[row..row + channels]).zip(weight) {
                *y += h * w;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn run(device: &Device, dtype: DType) -> Vec<f32> {
        let values = |count: u16, step: f32| (0..count).map(|i| f32::from(i) * step - 1.0).collect::<Vec<_>>();
        let h = Tensor::<2>::from_data(TensorData::new(values(27, 0.125), [9, 3]), (device, dtype));
        let weight = Tensor::<3>::from_data(TensorData::new(values(9, 0.25), [3, 1, 3]), (device, dtype));
        fsmn_memory(h, weight, 2).into_data_dtype(DType::F32).try_to_vec().unwrap()
    }

    #[test]
    fn sums_past_and_future_vectors_with_the_oldest_tap_first() {
        let y = run(&Device::flex(), DType::F32);
        assert_eq!(y.len(), 5 * 3);
        // Row 0, channel 1: weights -0.25, 0, 0.25 on h[0], h[2] and h[4] of that channel.
        let h = |t: f32| (t * 3.0 + 1.0) * 0.125 - 1.0;
        assert_eq!(y[1], -0.25 * h(0.0) + 0.25 * h(4.0));
    }

    #[test]
    fn gradients_are_those_that_nudges_measure() {
        let values = |count: u32, seed: u32| -> Vec<f32> {
            (0..count).map(|i| ((i + seed).wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0).collect()
        };
        let inputs = [values(27, 1), values(9, 50)];
        let make = |inputs: &[Vec<f32>; 2], device: &Device| {
            let h = Tensor::<2>::from_data(TensorData::new(inputs[0].clone(), [9, 3]), device);
            (h, Tensor::<3>::from_data(TensorData::new(inputs[1].clone(), [3, 1, 3]), device))
        };
        let sum = |h: Tensor<2>, weight: Tensor<3>| {
            let factors = Tensor::from_data(TensorData::new(values(15, 90), [5, 3]), &h.device());
            (fsmn_memory(h, weight, 2) * factors).sum()
        };
        let (h, weight) = make(&inputs, &Device::flex().autodiff());
        let (h, weight) = (h.require_grad(), weight.require_grad());
        let gradients = sum(h.clone(), weight.clone()).backward();
        let list = |data: TensorData| data.try_to_vec::<f32>().unwrap();
        let got = [list(h.grad(&gradients).unwrap().into_data()), list(weight.grad(&gradients).unwrap().into_data())];
        for (which, gradient) in got.iter().enumerate() {
            for (index, got) in gradient.iter().enumerate() {
                let moved = |by: f32| {
                    let mut inputs = inputs.clone();
                    inputs[which][index] += by;
                    let (h, weight) = make(&inputs, &Device::flex());
                    sum(h, weight).into_scalar::<f32>()
                };
                let want = (moved(0.5) - moved(-0.5)) / 1.0;
                assert!((got - want).abs() < 1e-4, "input {which}, value {index}: {got}, not {want}");
            }
        }
    }

    #[test]
    fn both_versions_agree_and_bf16_rounds_once() {
        let wide = run(&Device::flex(), DType::F32);
        for (a, b) in wide.iter().zip(run(&Device::flex().autodiff(), DType::F32)) {
            assert!((a - b).abs() <= 1e-6, "{a} {b}");
        }
        for (a, b) in wide.iter().zip(run(&Device::flex(), DType::BF16)) {
            assert_eq!(half::bf16::from_f32(*a).to_f32(), b);
        }
    }
}
