//! A whole LSTM sequence with its gradient, for training on the CPU: backpropagation through time with one product for
//! the recurrent weight instead of one for each row.
//!
//! Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997; gates in the order i, f, g, o.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use super::exponential::sigmoid;
use super::gradient::{HostGradient, record, tracked, view};
use super::linear::linear_rows;

/// Runs an LSTM whose input-side product is already made: h of every row, and the last c. `None` where the tensors are
/// not on the CPU with gradient tracking; then compose it of [`super::lstm_cell`].
///
/// # Shapes
/// from_input: `[rows, 4 x width]`, weight: `[4 x width, width]`, bias: `[4 x width]`, h and c: `[1, width]` →
/// `[rows, width]`, `[1, width]`
///
/// # Panics
/// When the shapes do not fit.
pub fn tracked_lstm(
    from_input: &Tensor<2>,
    weight: &Tensor<2>,
    bias: &Tensor<1>,
    h: &Tensor<2>,
    c: &Tensor<2>,
) -> Option<(Tensor<2>, Tensor<2>)> {
    let tensors = [tracked(from_input)?, tracked(weight)?, tracked(bias)?, tracked(h)?, tracked(c)?];
    let ([rows, _], [_, width]) = (from_input.dims(), h.dims());
    assert_eq!(weight.dims(), [4 * width, width], "lstm: the state has {width} channels");
    let views = tensors.each_ref().map(view);
    let [from_input, weight, bias, h, c] = views.each_ref().map(|view| view.values());
    let (mut h, mut c) = (h.to_vec(), c.to_vec());
    let mut gates = from_input.to_vec();
    let mut from_past = vec![0.0; 4 * width];
    let mut output = Vec::with_capacity(rows * 2 * width);
    for gates in gates.chunks_exact_mut(4 * width) {
        linear_rows(&h, weight, Some(bias), width, &mut from_past);
        gates.iter_mut().zip(&from_past).for_each(|(gate, past)| *gate += past);
        let (sigmoids, rest) = gates.split_at_mut(2 * width);
        let (tangents, last) = rest.split_at_mut(width);
        sigmoids.iter_mut().chain(last.iter_mut()).for_each(|v| *v = sigmoid(*v));
        tangents.iter_mut().for_each(|v| *v = v.tanh());
        for k in 0..width {
            c[k] = sigmoids[width + k] * c[k] + sigmoids[k] * tangents[k];
            h[k] = last[k] * c[k].tanh();
        }
        output.extend_from_slice(&h);
        output.extend_from_slice(&c);
    }
    let gradient = LstmGradient { gates: Arc::new(gates), states: Arc::new(output.clone()), width };
    let output: Tensor<2> = record(&tensors, views, output, [rows, 2 * width], gradient);
    Some((output.clone().narrow(1, 0, width), output.narrow(0, rows - 1, 1).narrow(1, width, width)))
}

#[derive(Clone, Debug)]
struct LstmGradient {
    /// After their activations, `[rows, 4 x width]`.
    gates: Arc<Vec<f32>>,
    /// h and c of every row, `[rows, 2 x width]`.
    states: Arc<Vec<f32>>,
    width: usize,
}

impl HostGradient<5> for LstmGradient {
    fn gradients(&self, [_, weight, _, h, c]: [&[f32]; 5], dy: &[f32], _: [bool; 5]) -> [Option<Vec<f32>>; 5] {
        let width = self.width;
        let rows = self.gates.len() / (4 * width);
        let turned: Vec<f32> = (0..width).flat_map(|k| (0..4 * width).map(move |g| weight[g * width + k])).collect();
        let state = |row: usize| &self.states[row * 2 * width..(row + 1) * 2 * width];
        let (mut dh, mut dc) = (vec![0.0; width], vec![0.0; width]);
        let mut by_gates = vec![0.0; rows * 4 * width];
        for row in (0..rows).rev() {
            let gates = &self.gates[row * 4 * width..(row + 1) * 4 * width];
            let now = &state(row)[width..];
            let before = if row == 0 { c } else { &state(row - 1)[width..] };
            let dy = &dy[row * 2 * width..(row + 1) * 2 * width];
            let by_gates = &mut by_gates[row * 4 * width..(row + 1) * 4 * width];
            for k in 0..width {
                let [i, f, g, o] = std::array::from_fn(|gate| gates[gate * width + k]);
                let bent = now[k].tanh();
                let h = dh[k] + dy[k];
                let c = dc[k] + dy[width + k] + h * o * (1.0 - bent * bent);
                by_gates[k] = c * g * i * (1.0 - i);
                by_gates[width + k] = c * before[k] * f * (1.0 - f);
                by_gates[2 * width + k] = c * i * (1.0 - g * g);
                by_gates[3 * width + k] = h * bent * o * (1.0 - o);
                dc[k] = c * f;
            }
            linear_rows(by_gates, &turned, None, 4 * width, &mut dh);
        }
        let mut bias = vec![0.0; 4 * width];
        by_gates.chunks_exact(4 * width).for_each(|row| bias.iter_mut().zip(row).for_each(|(sum, v)| *sum += v));
        let past: Vec<f32> = h.iter().copied().chain((1..rows).flat_map(|row| state(row - 1)[..width].iter().copied())).collect();
        let matrix = |values: Vec<f32>, columns: usize| Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), &Device::flex());
        let weight = matrix(by_gates.clone(), 4 * width).transpose().matmul(matrix(past, width));
        let weight = weight.into_data().try_into_vec::<f32>().expect("a product of f32 is f32");
        [Some(by_gates), Some(weight), Some(bias), Some(dh), Some(dc)]
    }
}
