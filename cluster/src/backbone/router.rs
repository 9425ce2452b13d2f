//! Choosing experts for each token.
//!
//! Softmax over all experts, those without weights included; a bias that training balances takes part in the choice
//! only; the weights of the chosen ones are their plain gates times a factor, not renormalised.

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor, activation};
use caracal_kernels::ops::{self, HostView};
use caracal_kernels::{Init, LoadError, Weights};

use super::config::BackboneConfig;

/// The router of one layer. Always f32, weights too: rounded logits choose other experts.
#[derive(Module, Debug)]
pub struct Router {
    /// `[experts, hidden]`
    pub classifier: Param<Tensor<2>>,
    /// `[experts]`; takes part in the choice only, so no gradient reaches it: training moves it by the load.
    pub e_score_correction_bias: Param<Tensor<1>>,
    #[module(skip)]
    top_k: usize,
    #[module(skip)]
    factor: f64,
}

/// The experts of some rows.
#[derive(Clone, Debug)]
pub struct Routing {
    /// `[rows, experts]`
    pub logits: Tensor<2>,
    /// softmax of the logits, `[rows, experts]`
    pub gates: Tensor<2>,
    /// Chosen experts, ascending within a row: `[rows, top_k]`.
    pub experts: Vec<u32>,
    /// Gate times factor of each.
    pub weights: Vec<f32>,
    /// Experts per row.
    pub top_k: usize,
}

impl Routing {
    /// Expert and weight of each choice of a row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (usize, f32)> {
        let range = row * self.top_k..(row + 1) * self.top_k;
        self.experts[range.clone()].iter().map(|e| *e as usize).zip(self.weights[range].iter().copied())
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.experts.len() / self.top_k
    }
}

impl Router {
    /// Loads `classifier.weight` and `e_score_correction_bias` below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, config: &BackboneConfig) -> Result<Self, LoadError> {
        let weights = weights.in_dtype(DType::F32);
        let (experts, hidden) = (config.experts(), config.hidden_size);
        Ok(Self {
            classifier: weights.param("classifier.weight", [experts, hidden], Init::Uniform(1.0 / (hidden as f32).sqrt()))?,
            e_score_correction_bias: weights.param("e_score_correction_bias", [experts], Init::Zeros)?,
            top_k: config.moe_topk,
            factor: config.routed_scaling_factor,
        })
    }

    /// Factor of every chosen gate.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// # Shapes
    /// u: `[rows, hidden]`
    pub fn forward(&self, u: Tensor<2>) -> Routing {
        let u = if u.dtype() == DType::F32 { u } else { u.cast(DType::F32) };
        let logits = ops::linear(u, self.classifier.val(), None);
        let device = logits.device();
        let gates = if ops::is_plain_cpu(&device) { softmax_rows(logits.clone()) } else { activation::softmax(logits.clone(), 1) };
        let host = host_values(gates.clone());
        let bias = host_values(self.e_score_correction_bias.val());
        let (mut experts, mut weights) = (Vec::new(), Vec::new());
        for gates in host.chunks_exact(bias.len()) {
            let chosen = choose(gates, &bias, self.top_k);
            weights.extend(chosen.iter().map(|e| gates[*e as usize] * self.factor as f32));
            experts.extend(chosen);
        }
        Routing { logits, gates, experts, weights, top_k: self.top_k }
    }
}

/// The `top_k` largest of gate + bias, ties to the lower index, in ascending order of index.
fn choose(gates: &[f32], bias: &[f32], top_k: usize) -> Vec<u32> {
    let scores: Vec<f32> = gates.iter().zip(bias).map(|(g, b)| g + b).collect();
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    let before = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
    if top_k < order.len() {
        order.select_nth_unstable_by(top_k, before);
        order.truncate(top_k);
    }
    order.sort_unstable();
    order
}

fn host_values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data_dtype(DType::F32).try_into_vec().expect("f32 was asked for")
}

/// Softmax of each row by itself, in one order.
fn softmax_rows(logits: Tensor<2>) -> Tensor<2> {
    let (device, dtype, shape) = (logits.device(), logits.dtype(), logits.dims());
    let mut gates = HostView::new(logits).values().to_vec();
    for row in gates.chunks_exact_mut(shape[1]) {
        let largest = row.iter().fold(f32::NEG_INFINITY, |m, v| m.max(*v));
        row.iter_mut().for_each(|v| *v = (*v - largest).exp());
        let sum = row.iter().map(|v| f64::from(*v)).sum::<f64>() as f32;
        row.iter_mut().for_each(|v| *v /= sum);
    }
    ops::from_host(gates, shape, &device, dtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bias_takes_part_in_the_choice_and_ties_go_to_the_lower_index() {
        let gates = [0.1, 0.3, 0.3, 0.3, 0.0];
        assert_eq!(choose(&gates, &[0.0; 5], 2), [1, 2]);
        assert_eq!(choose(&gates, &[0.0, 0.0, 0.0, 0.0, 0.5], 2), [1, 4]);
        assert_eq!(choose(&gates, &[0.0; 5], 5), [0, 1, 2, 3, 4]);
        assert_eq!(choose(&[f32::NAN; 3], &[0.0; 3], 2), [0, 1]);
    }
}
