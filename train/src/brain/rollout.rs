//! Answers that the model itself gives, text and codes drawn at random: what preferences are learnt from.

use anyhow::Result;
use burn::tensor::{Device, Tensor, TensorData};
use caracal_cluster::backbone::BackboneConfig;
use caracal_cluster::engine::{BurnEngine, CacheLimits, Engine, Read, SessionId, Work};
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

/// An answer on its way.
struct Going {
    session: SessionId,
    machine: ReplyMachine,
    text: Vec<Option<u32>>,
    codes: Vec<[Option<u32>; CODEBOOKS]>,
    finished: bool,
}

/// Draws `count` answers to one prompt, all side by side. `brain` lies on the plain CPU.
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
    let blocks = count * (prompt.rows.len() + STEPS_MAX).div_ceil(BLOCK_TOKENS);
    let limits = CacheLimits { block_tokens: BLOCK_TOKENS, blocks, sessions: count };
    let mut engine = BurnEngine::new(config, brain.language.clone(), limits);
    let begin = |session| Going {
        session,
        machine: ReplyMachine::new(reply_ids(sampler.markers())),
        text: Vec::new(),
        codes: Vec::new(),
        finished: false,
    };
    let mut answers: Vec<Going> = (0..count).map(|_| Ok(begin(engine.open()?))).collect::<Result<_>>()?;
    // Each session reads the prompt itself: the engine copies none, and side by side it costs little.
    let mut works: Vec<Work> =
        answers.iter().map(|answer| Work { session: answer.session, rows: rows.clone(), read: Read::Last }).collect();
    for _ in 0..STEPS_MAX {
        let hidden: Vec<Vec<f32>> = engine.step(&works).into_iter().map(|answer| Ok(answer?.rows)).collect::<Result<_>>()?;
        let hidden = hidden.concat();
        let (logits, codes) = (engine.text_logits(&hidden), draw_codes(brain, &hidden, works.len(), temperature.codes, rng));
        let vocabulary = logits.len() / works.len();
        works.clear();
        let going = answers.iter_mut().filter(|answer| !answer.finished);
        for ((answer, logits), codes) in going.zip(logits.chunks_exact(vocabulary)).zip(codes) {
            let step = answer.machine.step(draw(logits, temperature.text, rng), codes);
            answer.text.push(step.text);
            answer.codes.push(step.codes);
            answer.finished = step.finished;
            if !step.finished {
                let row = brain.codec.decode(&brain.language.embed_tokens, &[step.next.text], &step.next.codes)?;
                works.push(Work { session: answer.session, rows: row.into_data().try_into_vec::<f32>()?, read: Read::Last });
            }
        }
        if works.is_empty() {
            break;
        }
    }
    let told = |answer: Going| {
        let spoken = spoken_turn(sampler.tokenizer(), &answer.text, &answer.codes)?;
        Ok(Rollout { text: reply_text(sampler.tokenizer(), answer.text)?, spoken })
    };
    answers.into_iter().map(told).collect()
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

/// Codes of one step for each of `count` hidden states.
fn draw_codes(brain: &Brain, hidden: &[f32], count: usize, temperature: f32, rng: &mut StdRng) -> Vec<[u32; CODEBOOKS]> {
    let mut sum = Tensor::<2>::from_data(TensorData::new(hidden.to_vec(), [count, hidden.len() / count]), &Device::flex());
    let mut codes = vec![[0; CODEBOOKS]; count];
    for (book, layer) in brain.head.audio_output_layers.iter().enumerate() {
        if book > 0 {
            let before: Vec<u32> = codes.iter().map(|codes| codes[book - 1]).collect();
            sum = sum + brain.head.embedding[book - 1].forward(&before);
        }
        let logits: Vec<f32> = layer.forward(sum.clone()).into_data().try_into_vec().expect("the head computes in f32");
        for (codes, logits) in codes.iter_mut().zip(logits.chunks_exact(logits.len() / count)) {
            codes[book] = draw(logits, temperature, rng);
        }
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
    fn answers_side_by_side_are_those_that_are_drawn_alone() {
        let folder = std::env::temp_dir().join(format!("caracal-rollout-{}", std::process::id()));
        super::super::tokenizer_file::write(&folder, 1).unwrap();
        super::super::shape::write(&folder).unwrap();
        let (files, brain) = super::super::model::BrainFiles::open(&folder, 8, &Device::flex()).unwrap();
        let sampler = Sampler::open(&folder).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        let rows = sampler.prompt(&[super::super::sample::typed("who are you")], true).unwrap();
        let prompt = Prompt { rows, perceived: Perceived::default(), heard: 8 };
        // So cold that nothing but the likeliest is drawn, however close the next one is.
        let cold = Temperature { text: 1e-9, codes: 1e-9 };
        let mut rng = StdRng::seed_from_u64(1);
        let mut answers = |count| rollouts(&brain, &files.config, &sampler, &prompt, count, cold, &mut rng).unwrap();
        let alone = answers(1).remove(0);
        assert!(alone.text.len() > 20, "{alone:?}");
        assert_eq!(answers(3), [alone.clone(), alone.clone(), alone]);
    }

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
