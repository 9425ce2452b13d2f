//! The router's bias, moved by the load: real experts chosen more often than their share lose, others gain.
//!
//! Source: LongCat-Flash technical report, expert bias. The biases of experts without weights stay, so the share of real
//! experts settles where it was asked to.

use burn::tensor::{Tensor, TensorData};
use caracal_cluster::backbone::LongCatFlash;
use caracal_cluster::backbone::watcher::{Part, Seen, Watcher};

/// Wanted real experts a token.
const REAL_PER_TOKEN: f64 = 2.0;

/// Counts how often each expert of each layer is chosen.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Tokens of each expert, by layer.
    pub chosen: Vec<Vec<u64>>,
    /// Tokens in all.
    pub tokens: u64,
}

impl Watcher for Load {
    fn saw(&mut self, layer: usize, part: Part, value: Seen) {
        let (Part::Router, Seen::Routing(routing)) = (part, value) else { return };
        if self.chosen.len() <= layer {
            self.chosen.resize(layer + 1, Vec::new());
        }
        let experts = routing.gates.dims()[1];
        let chosen = &mut self.chosen[layer];
        chosen.resize(experts, 0);
        routing.experts.iter().for_each(|expert| chosen[*expert as usize] += 1);
        if layer == 0 {
            self.tokens += routing.rows() as u64;
        }
    }
}

impl Load {
    /// Adds what another has counted.
    pub fn add(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.chosen.resize(self.chosen.len().max(other.chosen.len()), Vec::new());
        for (mine, others) in self.chosen.iter_mut().zip(&other.chosen) {
            mine.resize(mine.len().max(others.len()), 0);
            mine.iter_mut().zip(others).for_each(|(mine, other)| *mine += other);
        }
    }

    /// Share of choices that fell on experts without weights, and for each layer the least and the most chosen real
    /// expert relative to an even share.
    pub fn report(&self, real: usize) -> (f64, Vec<(f64, f64)>) {
        let all: u64 = self.chosen.iter().flatten().sum();
        let identity: u64 = self.chosen.iter().flat_map(|layer| &layer[real..]).sum();
        let spread = self.chosen.iter().map(|layer| {
            let even = layer[..real].iter().sum::<u64>() as f64 / real as f64;
            let share = |of: Option<&u64>| of.map_or(0.0, |n| *n as f64 / even.max(1.0));
            (share(layer[..real].iter().min()), share(layer[..real].iter().max()))
        });
        (identity as f64 / all.max(1) as f64, spread.collect())
    }
}

/// Moves the biases of the real experts by what `load` saw: b += rate (wanted share - found share).
pub fn rebalance(model: &mut LongCatFlash, load: &Load, rate: f64) {
    for (layer, chosen) in model.layers.iter_mut().zip(&load.chosen) {
        let real = layer.mlp.experts.len();
        let wanted = REAL_PER_TOKEN / real as f64;
        let router = &mut layer.mlp.router;
        router.e_score_correction_bias = router.e_score_correction_bias.clone().map(|bias| {
            let device = bias.device();
            let mut values: Vec<f32> = bias.into_data().try_into_vec().expect("the bias is f32");
            for (value, chosen) in values[..real].iter_mut().zip(chosen) {
                *value += (rate * (wanted - *chosen as f64 / load.tokens.max(1) as f64)) as f32;
            }
            let count = values.len();
            Tensor::from_data(TensorData::new(values, [count]), &device)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_have_counted_adds_up() {
        let mut load = Load::default();
        load.add(&Load { chosen: vec![vec![1, 2], vec![3, 4]], tokens: 5 });
        load.add(&Load { chosen: vec![vec![10, 0], vec![0, 10]], tokens: 7 });
        assert_eq!((load.chosen, load.tokens), (vec![vec![11, 2], vec![3, 14]], 12));
    }

    #[test]
    fn the_report_names_the_share_of_identity_experts_and_the_spread_of_the_others() {
        let load = Load { chosen: vec![vec![10, 30, 20, 40], vec![25, 25, 50, 0]], tokens: 50 };
        let (identity, spread) = load.report(2);
        assert!((identity - 110.0 / 200.0).abs() < 1e-9);
        assert_eq!(spread, [(0.5, 1.5), (1.0, 1.0)]);
    }

    #[test]
    fn biases_of_crowded_experts_fall_and_those_of_identity_experts_stay() {
        use caracal_cluster::backbone::BackboneConfig;
        use caracal_cluster::backbone::projection::Stored;
        use caracal_kernels::Weights;
        let folder = std::env::temp_dir().join(format!("caracal-balance-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.json"), super::super::shape::config(300).to_string()).unwrap();
        let config = BackboneConfig::read(&folder).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        let weights = Weights::random(1, &burn::tensor::Device::flex());
        let mut model = LongCatFlash::load(&weights, &config, &Stored::default()).unwrap();
        let mut crowded = vec![10; config.n_routed_experts + config.zero_expert_num];
        crowded[0] = 100;
        let load = Load { chosen: vec![crowded; config.num_layers], tokens: 100 };
        rebalance(&mut model, &load, 0.1);
        for layer in &model.layers {
            let bias: Vec<f32> = layer.mlp.router.e_score_correction_bias.val().into_data().try_into_vec().unwrap();
            assert!((bias[0] - 0.1 * (0.25 - 1.0)).abs() < 1e-6, "{bias:?}");
            assert!((bias[1] - 0.1 * (0.25 - 0.1)).abs() < 1e-6, "{bias:?}");
            assert_eq!(bias[config.n_routed_experts..], vec![0.0; config.zero_expert_num]);
        }
    }
}
