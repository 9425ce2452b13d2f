//! A one-layer LSTM that runs forward in time.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::checkpoint::LoadError;
use crate::ops;
use crate::weights::{Init, Weights};

/// Gates in the order i, f, g, o; both biases are added.
///
/// The input-side product runs once for all rows of a step; the recurrent one reads its whole matrix for every row,
/// which is what its time goes into.
#[derive(Module, Debug)]
pub struct Lstm {
    /// `[4 x width, in]`
    pub weight_ih: Param<Tensor<2>>,
    /// `[4 x width, width]`
    pub weight_hh: Param<Tensor<2>>,
    /// `[4 x width]`
    pub bias_ih: Param<Tensor<1>>,
    /// `[4 x width]`
    pub bias_hh: Param<Tensor<1>>,
}

/// What an [`Lstm`] remembers.
#[derive(Clone, Debug)]
pub struct LstmState {
    /// `[1, width]`
    pub h: Tensor<2>,
    /// `[1, width]`
    pub c: Tensor<2>,
}

impl LstmState {
    /// Memory that it holds, in bytes.
    pub fn bytes(&self) -> usize {
        [&self.h, &self.c].map(|t| t.dims()[1] * t.dtype().size()).iter().sum()
    }
}

impl Lstm {
    /// Loads `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0` and `bias_hh_l0` below `weights`. Random weights are uniform
    /// within 1 / sqrt(width).
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, inner: usize, width: usize) -> Result<Self, LoadError> {
        let init = Init::Uniform(1.0 / (width as f32).sqrt());
        Ok(Self {
            weight_ih: weights.matrix("weight_ih_l0", [4 * width, inner], init)?,
            weight_hh: weights.matrix("weight_hh_l0", [4 * width, width], init)?,
            bias_ih: weights.param("bias_ih_l0", [4 * width], init)?,
            bias_hh: weights.param("bias_hh_l0", [4 * width], init)?,
        })
    }

    /// The state before the first row: all zero.
    pub fn start(&self) -> LstmState {
        let bias = self.bias_hh.val();
        let zeros = Tensor::zeros([1, bias.dims()[0] / 4], (&bias.device(), bias.dtype()));
        LstmState { h: zeros.clone(), c: zeros }
    }

    /// Takes rows in order; gives h after each.
    ///
    /// # Shapes
    /// x: `[rows, in]` → `[rows, width]`
    ///
    /// # Panics
    /// When the width of x is not `in`, or x has no row.
    pub fn forward(&self, state: &mut LstmState, x: Tensor<2>) -> Tensor<2> {
        let [rows, _] = x.dims();
        let from_input = ops::linear(x, self.weight_ih.val(), Some(self.bias_ih.val()));
        if let Some((outputs, c)) = ops::tracked_lstm(&from_input, &self.weight_hh.val(), &self.bias_hh.val(), &state.h, &state.c) {
            (state.h, state.c) = (outputs.clone().narrow(0, rows - 1, 1), c);
            return outputs;
        }
        self.row_by_row(state, from_input)
    }

    fn row_by_row(&self, state: &mut LstmState, from_input: Tensor<2>) -> Tensor<2> {
        let [rows, _] = from_input.dims();
        let outputs = (0..rows).map(|row| {
            let from_past = ops::linear(state.h.clone(), self.weight_hh.val(), Some(self.bias_hh.val()));
            let gates = from_input.clone().slice_dim(0, row..row + 1) + from_past;
            (state.h, state.c) = ops::lstm_cell(gates, state.c.clone());
            state.h.clone()
        });
        Tensor::cat(outputs.collect(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    #[test]
    fn rows_taken_one_by_one_give_the_bits_of_all_at_once() {
        let device = Device::flex();
        let lstm = Lstm::load(&Weights::random(5, &device), 7, 9).unwrap();
        let x = Tensor::<2>::random([11, 7], Distribution::Default, &device);
        let whole = lstm.forward(&mut lstm.start(), x.clone());
        let mut state = lstm.start();
        let pieces = (0..11).map(|row| lstm.forward(&mut state, x.clone().slice_dim(0, row..row + 1))).collect();
        assert_eq!(Tensor::cat(pieces, 0).into_data(), whole.into_data());
    }

    #[test]
    fn gradients_of_the_sequence_equal_those_of_its_rows() {
        let device = Device::flex().autodiff();
        let lstm = Lstm::load(&Weights::random(5, &device), 7, 9).unwrap();
        let x = Tensor::<2>::random([11, 7], Distribution::Default, &Device::flex()).into_data();
        let results = [true, false].map(|whole| {
            let x = Tensor::<2>::from_data(x.clone(), &device).require_grad();
            let mut state = lstm.start();
            let y = if whole {
                lstm.forward(&mut state, x.clone())
            } else {
                lstm.row_by_row(&mut state, ops::linear(x.clone(), lstm.weight_ih.val(), Some(lstm.bias_ih.val())))
            };
            let loss = (y.clone() * y.clone().sin()).sum() + state.c.sum() + state.h.square().sum();
            let gradients = loss.backward();
            let values = |tensor: Tensor<2>| tensor.into_data().try_to_vec::<f32>().unwrap();
            let weight = |param: &Param<Tensor<2>>| values(param.val().grad(&gradients).unwrap());
            let bias = lstm.bias_hh.val().grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap();
            [values(y.inner()), values(x.grad(&gradients).unwrap()), weight(&lstm.weight_ih), weight(&lstm.weight_hh), bias].concat()
        });
        for (whole, rows) in results[0].iter().zip(&results[1]) {
            assert!((whole - rows).abs() < 1e-4, "{whole}, not {rows}");
        }
    }

    #[test]
    fn one_unit_follows_the_definition() {
        let device = Device::flex();
        let column = |v: [[f32; 1]; 4]| Param::from_tensor(Tensor::<2>::from_data(v, &device));
        let vector = |v: [f32; 4]| Param::from_tensor(Tensor::<1>::from_data(v, &device));
        let lstm = Lstm {
            weight_ih: column([[0.5], [-1.0], [2.0], [0.25]]),
            weight_hh: column([[0.1], [0.2], [-0.3], [0.4]]),
            bias_ih: vector([0.0, 1.0, 0.0, 0.0]),
            bias_hh: vector([0.1, 0.0, -0.1, 0.2]),
        };
        let (mut h, mut c) = (0f64, 0f64);
        let sigmoid = |v: f64| 1.0 / (1.0 + (-v).exp());
        let want = [1.0, -2.0, 0.5].map(|x| {
            let (i, f) = (sigmoid(0.5 * x + 0.1 * h + 0.1), sigmoid(-x + 0.2 * h + 1.0));
            let (g, o) = ((2.0 * x - 0.3 * h - 0.1).tanh(), sigmoid(0.25 * x + 0.4 * h + 0.2));
            c = f * c + i * g;
            h = o * c.tanh();
            h
        });
        let got =
            lstm.forward(&mut lstm.start(), Tensor::from_data([[1.0], [-2.0], [0.5]], &device)).into_data().try_to_vec::<f32>().unwrap();
        for (got, want) in got.iter().zip(want) {
            assert!((f64::from(*got) - want).abs() < 1e-6, "{got} {want}");
        }
    }
}
