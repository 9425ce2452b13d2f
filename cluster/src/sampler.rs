//! Choosing the next text token.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::backbone::codec_head::argmax;
use crate::backbone::repetition_penalty::{RecentIds, RepetitionPenalty};

/// Steps that the repetition penalty of text looks back on, as in the published decoder.
pub const TEXT_PENALTY_WINDOW: usize = 30;

/// How a request wants its text chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 or less means 1, as in the published decoder.
    pub temperature: f32,
    /// Keeps this many of the likeliest; 1 is greedy, without penalty; 0 keeps all.
    pub top_k: u32,
    /// Keeps the likeliest that together reach this probability; outside (0, 1] means 1.
    pub top_p: f32,
    /// Factor of the repetition penalty; 1 changes nothing.
    pub repetition_penalty: f32,
}

impl Sampling {
    /// Always the likeliest: what the published demo sets.
    pub const GREEDY: Self = Self { temperature: 1.0, top_k: 1, top_p: 1.0, repetition_penalty: 1.0 };
}

/// One request's chooser: the same seed and logits give the same tokens. A plain value: clone it with the session's
/// checkpoint and put it back on rollback.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampler {
    sampling: Sampling,
    rng: StdRng,
    recent: RecentIds,
}

impl Sampler {
    /// A chooser that has seen nothing.
    pub fn new(sampling: Sampling, seed: u64) -> Self {
        Self { sampling, rng: StdRng::seed_from_u64(seed), recent: RecentIds::default() }
    }

    /// The next token for these logits. It is not recorded: what becomes of it is decided elsewhere.
    pub fn choose(&mut self, logits: &[f32]) -> u32 {
        if self.sampling.top_k == 1 {
            return argmax(logits);
        }
        let mut logits = logits.to_vec();
        let penalty = RepetitionPenalty { factor: self.sampling.repetition_penalty, window: TEXT_PENALTY_WINDOW };
        penalty.apply(self.recent.iter(), &mut logits);
        let temperature = if self.sampling.temperature > 0.0 { self.sampling.temperature } else { 1.0 };
        let mut likely = probabilities(&logits, temperature);
        likely.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if self.sampling.top_k > 0 {
            likely.truncate(self.sampling.top_k as usize);
        }
        let top_p = if self.sampling.top_p > 0.0 && self.sampling.top_p <= 1.0 { self.sampling.top_p } else { 1.0 };
        keep_nucleus(&mut likely, f64::from(top_p));
        self.draw(&likely)
    }

    /// Records what a step's text was, `None` where it had none.
    pub fn record(&mut self, id: Option<u32>) {
        self.recent.push(id, TEXT_PENALTY_WINDOW);
    }

    fn draw(&mut self, likely: &[(u32, f64)]) -> u32 {
        let total: f64 = likely.iter().map(|(_, p)| p).sum();
        let mut left = self.rng.random::<f64>() * total;
        for (id, p) in likely {
            left -= p;
            if left < 0.0 {
                return *id;
            }
        }
        likely.last().map_or(0, |(id, _)| *id)
    }
}

fn probabilities(logits: &[f32], temperature: f32) -> Vec<(u32, f64)> {
    let largest = logits.iter().fold(f32::NEG_INFINITY, |m, v| m.max(*v));
    let weights: Vec<f64> = logits.iter().map(|v| (f64::from(v - largest) / f64::from(temperature)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().enumerate().map(|(id, w)| (id as u32, w / sum)).collect()
}

/// Drops every token before which the likelier ones already exceed `top_p` of what is left.
fn keep_nucleus(likely: &mut Vec<(u32, f64)>, top_p: f64) {
    let total: f64 = likely.iter().map(|(_, p)| p).sum();
    let mut before = 0.0;
    likely.retain(|(_, p)| {
        let keep = before <= top_p * total;
        before += p;
        keep
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 5] = [1.0, 3.0, 2.0, 3.0, -1.0];

    fn counts(sampling: Sampling, draws: usize) -> [usize; 5] {
        let mut sampler = Sampler::new(sampling, 7);
        let mut counts = [0; 5];
        (0..draws).for_each(|_| counts[sampler.choose(&LOGITS) as usize] += 1);
        counts
    }

    #[test]
    fn greedy_takes_the_largest_and_the_lower_index_on_ties() {
        assert_eq!(counts(Sampling::GREEDY, 5), [0, 5, 0, 0, 0]);
    }

    #[test]
    fn sampling_follows_the_probabilities() {
        let counts = counts(Sampling { top_k: 0, ..Sampling::GREEDY }, 20_000);
        let sum: f64 = LOGITS.iter().map(|v| f64::from(*v).exp()).sum();
        for (count, logit) in counts.iter().zip(LOGITS) {
            let want = 20_000.0 * f64::from(logit).exp() / sum;
            assert!((*count as f64 - want).abs() < 5.0 * want.sqrt() + 1.0, "{counts:?}, {want}");
        }
    }

    #[test]
    fn top_k_and_top_p_cut_the_tail() {
        let counts_k = counts(Sampling { top_k: 3, ..Sampling::GREEDY }, 2_000);
        assert!(counts_k[0] == 0 && counts_k[4] == 0 && counts_k[2] > 0, "{counts_k:?}");
        // Tokens 1 and 3 hold 0.39 each: 0.5 is reached within the second.
        let counts_p = counts(Sampling { top_k: 0, top_p: 0.5, ..Sampling::GREEDY }, 2_000);
        assert!(counts_p[1] > 0 && counts_p[3] > 0 && counts_p[1] + counts_p[3] == 2_000, "{counts_p:?}");
        let counts_p = counts(Sampling { top_k: 0, top_p: 0.1, ..Sampling::GREEDY }, 100);
        assert_eq!(counts_p, [0, 100, 0, 0, 0]);
    }

    #[test]
    fn a_low_temperature_sharpens_and_zero_means_one() {
        let cold = counts(Sampling { top_k: 0, temperature: 0.05, ..Sampling::GREEDY }, 1_000);
        assert_eq!(cold[1] + cold[3], 1_000);
        assert_eq!(
            counts(Sampling { top_k: 0, temperature: 0.0, ..Sampling::GREEDY }, 300),
            counts(Sampling { top_k: 0, ..Sampling::GREEDY }, 300)
        );
    }

    #[test]
    fn the_penalty_reaches_the_last_thirty_steps_and_greedy_ignores_it() {
        let sampling = Sampling { top_k: 2, repetition_penalty: 100.0, ..Sampling::GREEDY };
        let mut sampler = Sampler::new(sampling, 1);
        sampler.record(Some(1));
        assert!((0..50).all(|_| sampler.choose(&LOGITS) != 1));
        (0..TEXT_PENALTY_WINDOW).for_each(|_| sampler.record(None));
        assert!((0..50).any(|_| sampler.choose(&LOGITS) == 1));
        let mut greedy = Sampler::new(Sampling { repetition_penalty: 100.0, ..Sampling::GREEDY }, 1);
        greedy.record(Some(1));
        assert_eq!(greedy.choose(&LOGITS), 1);
    }

    #[test]
    fn a_seed_repeats_and_a_clone_continues_equally() {
        let sampling = Sampling { top_k: 0, ..Sampling::GREEDY };
        let run = |sampler: &mut Sampler| (0..20).map(|_| sampler.choose(&LOGITS)).collect::<Vec<_>>();
        let (mut a, mut b) = (Sampler::new(sampling, 3), Sampler::new(sampling, 3));
        assert_eq!(run(&mut a), run(&mut b));
        let mut c = a.clone();
        assert_eq!(run(&mut a), run(&mut c));
        assert_ne!(run(&mut Sampler::new(sampling, 4)), run(&mut Sampler::new(sampling, 3)));
    }
}
