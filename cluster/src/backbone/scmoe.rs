//! The mixture of experts, zero-computation experts included.
//!
//! m = sum of w_i FFN_i(u) over the chosen experts with weights + (sum of w_i of the chosen ones without) u. Experts
//! without weights return their input, the normed u, with the same factor as the others.

use burn::module::Module;
use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor, TensorData};
use caracal_kernels::ops::{self, HostView};
use caracal_kernels::{LoadError, Weights};
use rayon::prelude::*;

use super::config::BackboneConfig;
use super::ffn::Ffn;
use super::projection::Stored;
use super::router::{Router, Routing};
use super::watcher::{Part, Seen, Watcher};

/// Below this many multiply-adds the calling thread does all experts: waking the pool costs about as much.
const PARALLEL_MACS_MIN: usize = 1 << 18;

/// Router and experts of one layer.
#[derive(Module, Debug)]
pub struct ScMoe {
    /// Chooses.
    pub router: Router,
    /// Those with weights; the router's indices beyond them mean experts without.
    pub experts: Vec<Ffn>,
}

/// The rows that chose one expert, and with which weight.
struct Group {
    expert: usize,
    rows: Vec<usize>,
    weights: Vec<f32>,
}

impl ScMoe {
    /// Loads `router` and `experts.{e}` below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, config: &BackboneConfig, stored: &Stored) -> Result<Self, LoadError> {
        let expert = |e| Ffn::load(&weights.at("experts").at(e), config.hidden_size, config.expert_ffn_hidden_size, stored);
        Ok(Self {
            router: Router::load(&weights.at("router"), config)?,
            experts: (0..config.n_routed_experts).map(expert).collect::<Result<_, _>>()?,
        })
    }

    /// # Shapes
    /// u: `[rows, hidden]` → `[rows, hidden]`
    pub fn forward(&self, u: Tensor<2>, layer: usize, watcher: &mut dyn Watcher) -> Tensor<2> {
        let routing = self.router.forward(u.clone());
        watcher.saw(layer, Part::Router, Seen::Routing(&routing));
        let groups = self.groups(&routing);
        let m = if ops::is_plain_cpu(&u.device()) { self.sum_on_cpu(u, &routing, &groups) } else { self.sum(u, &routing, &groups) };
        watcher.saw(layer, Part::Experts, Seen::Rows(&m));
        m
    }

    /// Rows by expert, experts ascending: the order in which each row's sum is made, whatever else is in the batch.
    fn groups(&self, routing: &Routing) -> Vec<Group> {
        let mut groups: Vec<Group> =
            (0..self.experts.len()).map(|expert| Group { expert, rows: Vec::new(), weights: Vec::new() }).collect();
        for row in 0..routing.rows() {
            for (expert, weight) in routing.row(row).filter(|(expert, _)| *expert < self.experts.len()) {
                groups[expert].rows.push(row);
                groups[expert].weights.push(weight);
            }
        }
        groups.retain(|group| !group.rows.is_empty());
        groups
    }

    fn sum_on_cpu(&self, u: Tensor<2>, routing: &Routing, groups: &[Group]) -> Tensor<2> {
        let (device, dtype, [rows, hidden]) = (u.device(), u.dtype(), u.dims());
        let u = HostView::new(u);
        let u = u.values();
        let compute = |group: &Group| {
            let chosen: Vec<f32> = group.rows.iter().flat_map(|row| &u[row * hidden..(row + 1) * hidden]).copied().collect();
            HostView::new(self.experts[group.expert].forward(ops::from_host(chosen, [group.rows.len(), hidden], &device, DType::F32)))
        };
        let inner = self.experts.first().map_or(0, |e| e.gate_proj.weight.dims()[0]);
        let macs = 3 * inner * hidden * groups.iter().map(|g| g.rows.len()).sum::<usize>();
        let outputs: Vec<HostView> =
            if macs < PARALLEL_MACS_MIN { groups.iter().map(compute).collect() } else { groups.par_iter().map(compute).collect() };
        let mut m = vec![0.0; rows * hidden];
        for (group, output) in groups.iter().zip(&outputs) {
            for ((row, weight), y) in group.rows.iter().zip(&group.weights).zip(output.values().chunks_exact(hidden)) {
                add_scaled(&mut m[row * hidden..(row + 1) * hidden], *weight, y);
            }
        }
        for row in 0..rows {
            let weight: f32 = routing.row(row).filter(|(expert, _)| *expert >= self.experts.len()).map(|(_, weight)| weight).sum();
            let range = row * hidden..(row + 1) * hidden;
            add_scaled(&mut m[range.clone()], weight, &u[range]);
        }
        ops::from_host(m, [rows, hidden], &device, dtype)
    }

    /// The same in tensor operations, through which gradients reach the gates.
    fn sum(&self, u: Tensor<2>, routing: &Routing, groups: &[Group]) -> Tensor<2> {
        let (device, dtype, [rows, _]) = (u.device(), u.dtype(), u.dims());
        let (real, factor) = (self.experts.len(), self.router.factor());
        let zeros = routing.gates.dims()[1] - real;
        let gates = |t: Tensor<2>| if dtype == DType::F32 { t } else { t.cast(dtype) };
        let mut m = if zeros > 0 {
            let mut mask = vec![0f32; rows * zeros];
            for row in 0..rows {
                routing.row(row).filter(|(expert, _)| *expert >= real).for_each(|(expert, _)| mask[row * zeros + expert - real] = 1.0);
            }
            let mask = Tensor::<2>::from_data(TensorData::new(mask, [rows, zeros]), (&device, DType::F32));
            let weights = (routing.gates.clone().narrow(1, real, zeros) * mask).sum_dim(1) * factor;
            u.clone() * gates(weights)
        } else {
            u.zeros_like()
        };
        for group in groups {
            let index: Vec<i32> = group.rows.iter().map(|row| *row as i32).collect();
            let index = Tensor::<1, Int>::from_data(TensorData::new(index, [group.rows.len()]), &device);
            let weights = routing.gates.clone().narrow(1, group.expert, 1).select(0, index.clone()) * factor;
            let y = self.experts[group.expert].forward(u.clone().select(0, index.clone())) * gates(weights);
            m = m.select_assign(0, index, y, IndexingUpdateOp::Add);
        }
        m
    }
}

fn add_scaled(sum: &mut [f32], weight: f32, x: &[f32]) {
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum += weight * x;
    }
}
