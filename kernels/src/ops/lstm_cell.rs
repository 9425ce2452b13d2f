//! The elementwise half of one LSTM step; the two matrix products before it are [`super::linear`].

use burn::tensor::{DType, Tensor, activation};

use super::exponential::sigmoid;
use super::{HostView, from_host, is_plain_cpu};

/// c' = σ(f) c + σ(i) tanh(g), h = σ(o) tanh(c').
///
/// # Shapes
/// gates: `[rows, 4 x width]` in the order i, f, g, o; c: `[rows, width]` → h, c', each `[rows, width]`
///
/// # Panics
/// When the shapes do not fit.
pub fn lstm_cell(gates: Tensor<2>, c: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let (device, dtype) = (c.device(), c.dtype());
    let [rows, width] = c.dims();
    assert_eq!(gates.dims(), [rows, 4 * width], "lstm_cell: the state is [{rows}, {width}]");
    if dtype != DType::F32 || !is_plain_cpu(&device) {
        let gate = |index: usize| gates.clone().slice_dim(1, index * width..(index + 1) * width);
        let c = activation::sigmoid(gate(1)) * c + activation::sigmoid(gate(0)) * gate(2).tanh();
        return (activation::sigmoid(gate(3)) * c.clone().tanh(), c);
    }
    let (gates, old) = (HostView::new(gates), HostView::new(c));
    let (mut h, mut c) = (Vec::with_capacity(rows * width), Vec::with_capacity(rows * width));
    for (gates, old) in gates.values().chunks_exact(4 * width).zip(old.values().chunks_exact(width)) {
        for (index, old) in old.iter().enumerate() {
            let [i, f, g, o] = std::array::from_fn(|gate| gates[gate * width + index]);
            let new = sigmoid(f) * old + sigmoid(i) * g.tanh();
            h.push(sigmoid(o) * new.tanh());
            c.push(new);
        }
    }
    (from_host(h, [rows, width], &device, dtype), from_host(c, [rows, width], &device, dtype))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn both_versions_agree_and_gates_do_what_their_names_say() {
        let run = |device: &Device| {
            // Column 0: forget all, take in 1, let out. Column 1: keep all, take in nothing, let out. Column 2: mixed.
            let gates = Tensor::<2>::from_data([[99.0, -99.0, 0.3, -99.0, 99.0, -0.2, 99.0, 5.0, 0.7, 99.0, 99.0, -1.0]], device);
            let (h, c) = lstm_cell(gates, Tensor::from_data([[7.0, 0.25, -0.5]], device));
            [h, c].map(|t| t.into_data().try_to_vec::<f32>().unwrap())
        };
        let [h, c] = run(&Device::flex());
        assert_eq!(c[..2], [1.0, 0.25]);
        assert_eq!(h[..2], [1f32.tanh(), 0.25f32.tanh()]);
        for (a, b) in [h, c].concat().iter().zip(run(&Device::flex().autodiff()).concat()) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
}
