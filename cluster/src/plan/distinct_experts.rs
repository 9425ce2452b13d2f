//! How many experts one decode step touches.
//!
//! Under uniform routing the mean is known in closed form; the busiest of several ranks is not, so it is drawn: a fixed
//! seed, enough draws for less than half a percent.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::index::sample;

use crate::backbone::BackboneConfig;

/// Tokens drawn in all for one estimate.
const TOKENS_DRAWN: usize = 1 << 18;

/// Fewest draws of a whole step, however large.
const STEPS_DRAWN_MIN: usize = 2048;

/// Any number: results must be the same on every run.
const SEED: u64 = 0x0ca7_aca1;

/// Expected counts of different experts with weights that one layer reads in one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DistinctExperts {
    /// On all ranks together.
    pub total: f64,
    /// On the busiest rank.
    pub busiest: f64,
}

/// Expectation for `tokens` tokens whose experts lie on `ranks` ranks, each token choosing `moe_topk` of all experts,
/// those without weights included, with equal chance.
///
/// # Panics
/// When there are more experts to choose than there are: the config check refuses that.
pub fn distinct_experts(config: &BackboneConfig, tokens: usize, ranks: usize) -> DistinctExperts {
    let (real, all, chosen) = (config.n_routed_experts, config.experts(), config.moe_topk);
    let missed = (1.0 - chosen as f64 / all as f64).powi(i32::try_from(tokens).unwrap_or(i32::MAX));
    let total = real as f64 * (1.0 - missed);
    if ranks == 1 {
        return DistinctExperts { total, busiest: total };
    }
    let mut random = StdRng::seed_from_u64(SEED);
    let steps = (TOKENS_DRAWN / tokens.max(1)).max(STEPS_DRAWN_MIN);
    let per_rank = real.div_ceil(ranks);
    let mut last_step = vec![0usize; real];
    let mut of_rank = vec![0u32; ranks];
    let mut sum = 0u64;
    for step in 1..=steps {
        of_rank.fill(0);
        let chosen_now = (0..tokens).flat_map(|_| sample(&mut random, all, chosen)).filter(|expert| *expert < real);
        for expert in chosen_now {
            if last_step[expert] != step {
                last_step[expert] = step;
                of_rank[expert / per_rank] += 1;
            }
        }
        sum += u64::from(of_rank.iter().copied().max().unwrap_or(0));
    }
    DistinctExperts { total, busiest: sum as f64 / steps as f64 }
}
