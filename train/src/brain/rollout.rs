//! Answers that the model itself gives, text and codes drawn at random: what preferences are learnt from.

use anyhow::Result;
use burn::tensor::{Device, Tensor, TensorData};
use caracal_cluster::backbone::BackboneConfig;
use caracal_cluster::engine::{BurnEngine, CacheLimits, Engine, Read, Work};
use caracal_shared::ids::{CODE_END, TEXT_END};
use caracal_shared::post_process::{CodecCodes, reply_text, spoken_turn};
use caracal_shared::prompt::Row;
use caracal_shared::reply::{CODEBOOKS, ReplyIds, ReplyMachine};
use caracal_shared::tokenize::Markers;
use rand::Rng;
use rand::rngs::StdRng;

use super::batch::Batch;
use super::model::Brain;
use super::sample::{Perceived, Sample, Sampler, Target};

/// Steps of an answer at most: 7 s of speech.
const STEPS_MAX: usize = 120;
/// Positions of one cache block.
const BLOCK_TOKENS: usize = 64;

/// How boldly is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Temperature {
    /// Of text ids.
    pub text: f32,
    /// Of codes.
    pub codes: f32,
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// Clean text.
    pub text: String,
    /// As a spoken turn, unless it has more words than sound or no end.
    pub spoken: Option<(String, Vec<Vec<CodecCodes>>)>,
}

/// Draws `count` answers to one prompt. `brain` lies on the plain CPU.
///
/// # Errors
/// When the engine refuses, or ids cannot be read.
pub fn rollouts(
    brain: &Brain,
    config: &BackboneConfig,
    sampler: &Sampler,
    prompt: &Prompt,
    count: usize,
    temperature: Temperature,
    rng: &mut StdRng,
) -> Result<Vec<Rollout>> {
    let device = Device::flex();
    let sample =
        Sample { rows: prompt.rows.clone(), targets: vec![Target::default(); prompt.rows.len()], perceived: prompt.perceived.clone() };
    let rows: Vec<f32> = Batch::new(vec![sample]).embed(brain, sampler.markers(), prompt.heard, &device).into_data().try_into_vec()?;
    let blocks = (prompt.rows.len() + STEPS_MAX).div_ceil(BLOCK_TOKENS);
    let mut engine = BurnEngine::new(config, brain.language.clone(), CacheLimits { block_tokens: BLOCK_TOKENS, blocks, sessions: 1 });
    let session = engine.open()?;
    let after_prompt = engine.step(&[Work { session, rows, read: Read::Last }]).remove(0)?.rows;
    let mark = engine.checkpoint(session)?;
    let mut answers = Vec::with_capacity(count);
    for _ in 0..count {
        let mut hidden = after_prompt.clone();
        let mut machine = ReplyMachine::new(reply_ids(sampler.markers()));
        let (mut text, mut codes) = (Vec::new(), Vec::new());
        for _ in 0..STEPS_MAX {
            let id = draw(&engine.text_logits(&hidden), temperature.text, rng);
            let step = machine.step(id, draw_codes(brain, &hidden, temperature.codes, rng));
            text.push(step.text);
            codes.push(step.codes);
            if step.finished {
                break;
            }
            let row = brain.codec.decode(&brain.language.embed_tokens, &[step.next.text], &step.next.codes)?;
            let row = row.into_data().try_into_vec::<f32>()?;
            hidden = engine.step(&[Work { session, rows: row, read: Read::Last }]).remove(0)?.rows;
        }
        engine.roll_back(mark)?;
        let spoken = spoken_turn(sampler.tokenizer(), &text, &codes)?;
        answers.push(Rollout { text: reply_text(sampler.tokenizer(), text)?, spoken });
    }
    Ok(answers)
}

/// What an answer is drawn for.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// Up to and with the generation prefix.
    pub rows: Vec<Row>,
    /// What fills the placeholders.
    pub perceived: Perceived,
    /// Width of the audio encoder's output.
    pub heard: usize,
}

fn reply_ids(markers: &Markers) -> ReplyIds {
    ReplyIds { pause: markers.pause, end: TEXT_END, semantic_end: CODE_END }
}

fn draw_codes(brain: &Brain, hidden: &[f32], temperature: f32, rng: &mut StdRng) -> [u32; CODEBOOKS] {
    let mut sum = Tensor::<2>::from_data(TensorData::new(hidden.to_vec(), [1, hidden.len()]), &Device::flex());
    let mut codes = [0; CODEBOOKS];
    for (book, layer) in brain.head.audio_output_layers.iter().enumerate() {
        if book > 0 {
            sum = sum + brain.head.embedding[book - 1].forward(&[codes[book - 1]]);
        }
        let logits: Vec<f32> = layer.forward(sum.clone()).into_data().try_into_vec().expect("the head computes in f32");
        codes[book] = draw(&logits, temperature, rng);
    }
    codes
}

/// An index, by the softmax of the logits at a temperature.
fn draw(logits: &[f32], temperature: f32, rng: &mut StdRng) -> u32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f32> = logits.iter().map(|logit| ((logit - largest) / temperature).exp()).collect();
    let mut at = rng.random_range(0.0..weights.iter().sum::<f32>());
    for (index, weight) in weights.iter().enumerate() {
        if at < *weight {
            return index as u32;
        }
        at -= weight;
    }
    weights.len() as u32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn draws_follow_the_softmax() {
        let mut rng = StdRng::seed_from_u64(1);
        let logits = [0.0, 2f32.ln(), f32::NEG_INFINITY, 5f32.ln()];
        let mut counts = [0; 4];
        (0..8000).for_each(|_| counts[draw(&logits, 1.0, &mut rng) as usize] += 1);
        assert!((900..1100).contains(&counts[0]) && (1850..2150).contains(&counts[1]), "{counts:?}");
        assert_eq!(counts[2], 0);
        let mut bold = [0; 4];
        (0..1000).for_each(|_| bold[draw(&logits, 0.05, &mut rng) as usize] += 1);
        assert_eq!(bold[3], 1000);
    }
}
