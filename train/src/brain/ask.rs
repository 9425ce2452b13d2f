//! Greedy answers in writing, for measuring on the way: whole prompts, no cache.

use anyhow::Result;
use caracal_cluster::backbone::watcher::Unwatched;
use caracal_shared::post_process::reply_text;
use caracal_shared::prompt::{Message, Row};

use super::batch::Batch;
use super::model::Brain;
use super::sample::{Perceived, Sample, Sampler, Target};

/// Longest answer in ids.
const IDS_MAX: usize = 24;

/// The text that follows `messages`, chosen greedily. `brain` lies on the plain CPU.
///
/// # Errors
/// When the prompt cannot be assembled or the ids not be read.
pub fn ask(brain: &Brain, sampler: &Sampler, messages: &[Message], perceived: &Perceived, heard: usize) -> Result<String> {
    let mut rows = sampler.prompt(messages, false)?;
    let device = brain.language.norm.weight.val().device();
    let mut ids = Vec::new();
    while ids.len() < IDS_MAX {
        let sample = Sample { targets: vec![Target::default(); rows.len()], rows: rows.clone(), perceived: perceived.clone() };
        let x = Batch::new(vec![sample]).embed(brain, sampler.markers(), heard, &device);
        let hidden = brain.language.offline(x, 1, &mut Unwatched);
        let last = hidden.clone().narrow(0, hidden.dims()[0] - 1, 1);
        let logits: Vec<f32> = brain.language.text_logits(last, &mut Unwatched).into_data().try_into_vec()?;
        let id = caracal_cluster::backbone::codec_head::argmax(&logits);
        ids.push(Some(id));
        if id == sampler.markers().end {
            break;
        }
        rows.push(Row::text(id));
    }
    Ok(reply_text(sampler.tokenizer(), ids)?)
}
