//! The audio heads, and the loop that generates with them: hidden states and text ids are given.

use anyhow::{Context, Result, ensure};
use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_cluster::backbone::embedding::{Features, PADDING_ID};
use caracal_cluster::backbone::repetition_penalty::{RecentIds, RepetitionPenalty};
use caracal_cluster::backbone::{CodecEmbedding, CodecHead};
use caracal_kernels::Weights;
use caracal_kernels::burn::module::Param;
use caracal_kernels::layers::{Embedding, Linear};
use caracal_shared::reply::{CODEBOOKS, ReplyIds, ReplyMachine, ReplyStage, ReplyStep};

use super::recorder::floats;
use super::{ids, number, tolerance};
use crate::golden::{Golden, Report, Tolerance};

fn tensor(values: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
}

/// What the model side of a loop needs.
struct Loop {
    head: CodecHead,
    embedding: CodecEmbedding,
    text: Embedding,
    penalty: RepetitionPenalty,
    ids: ReplyIds,
}

/// What a loop did.
#[derive(Default)]
struct Trace {
    raw: Vec<f32>,
    penalised: Vec<f32>,
    codes: Vec<Vec<u32>>,
    steps: Vec<ReplyStep>,
    next: Vec<f32>,
}

impl Loop {
    /// Generates from hidden states `[steps, width]` and the text ids of the text head.
    fn run(&self, hidden: &[f32], text_ids: &[u32], device: &Device) -> Result<Trace> {
        let mut machine = ReplyMachine::new(self.ids);
        let mut past = vec![RecentIds::default(); CODEBOOKS];
        let mut trace = Trace::default();
        for (hidden, text) in hidden.chunks(hidden.len() / text_ids.len()).zip(text_ids) {
            let (raw, penalised) = (&mut trace.raw, &mut trace.penalised);
            let codes = self.head.choose(tensor(hidden.to_vec(), [1, hidden.len()], device), &[&past], self.penalty, |logits| {
                raw.extend_from_slice(logits.raw);
                penalised.extend_from_slice(logits.penalised);
            });
            let step = machine.step(*text, <[u32; CODEBOOKS]>::try_from(codes[0].as_slice()).context("one code per codebook")?);
            past.iter_mut().zip(step.codes).for_each(|(past, code)| past.push(code, self.penalty.window));
            trace.next.extend(floats(self.embedding.decode(&self.text, &[step.next.text], &step.next.codes)?));
            trace.codes.extend(codes);
            trace.steps.push(step);
        }
        Ok(trace)
    }
}

fn stage(name: &str) -> Result<ReplyStage> {
    Ok(match name {
        "AT_ST0" | "ST0_AUDIO_TEXT" => ReplyStage::Text,
        "AT_ST1" | "ST1_AUDIO" => ReplyStage::Audio,
        "ABORT" => ReplyStage::Finished,
        other => anyhow::bail!("unknown state {other}"),
    })
}

/// Recorded codes as the goldens have them, any negative number for none.
fn recorded(steps: &[ReplyStep]) -> Vec<i64> {
    steps.iter().flat_map(|s| s.codes.map(|c| c.map_or(-1, i64::from))).collect()
}

fn none_is_minus_one(values: Vec<i64>) -> Vec<i64> {
    values.into_iter().map(|v| v.max(-1)).collect()
}

/// `audio/audio_heads_loop`
pub fn audio_heads_loop(golden: &Golden, device: &Device) -> Result<Report> {
    let mut report = Report::default();
    let weights = Weights::from_checkpoint(golden.tensors(), device, DType::F32);
    let (codes, width, heads) = (
        number(golden, "/config/audio_vocab")? as usize,
        number(golden, "/config/hidden")? as usize,
        number(golden, "/config/heads")? as usize,
    );
    let run = Loop {
        head: CodecHead::load(&weights, heads, codes, width)?,
        embedding: CodecEmbedding::load(&weights, heads, codes, width)?,
        text: Embedding::load(&weights.at("word_embeddings"), number(golden, "/config/text_vocab")? as usize, width)?,
        penalty: RepetitionPenalty {
            factor: golden.field("/config/penalty")?.as_f64().context("a factor")? as f32,
            window: number(golden, "/config/window")? as usize,
        },
        ids: ReplyIds {
            pause: number(golden, "/config/text_round_end")?,
            end: number(golden, "/config/text_final_end")?,
            semantic_end: number(golden, "/config/semantic_eos")?,
        },
    };
    let trace = run.run(&golden.floats("in.hidden")?, &ids(&golden.integers("in.text_argmax")?), device)?;
    report.close("raw logits", &trace.raw, &golden.floats("out.raw_logits")?, Tolerance::Abs(1e-4));
    report.close("penalised logits", &trace.penalised, &golden.floats("out.penalized_logits")?, Tolerance::Abs(1e-4));
    report.close("next embedding", &trace.next, &golden.floats("out.next_embedding")?, Tolerance::Abs(1e-5));
    report.equal("recorded codes", &recorded(&trace.steps), &none_is_minus_one(golden.integers("out.audio_codes")?));
    report.equal(
        "recorded text",
        &trace.steps.iter().map(|s| s.text.map_or(-1, i64::from)).collect::<Vec<_>>(),
        &none_is_minus_one(golden.integers("out.text_codes")?),
    );
    report.equal(
        "visible text",
        &trace.steps.iter().map(|s| i64::from(s.emitted_text_id)).collect::<Vec<_>>(),
        &golden.integers("out.visible_text_ids")?,
    );
    let states: Vec<(String, String, u32, i64)> = serde_json::from_value(golden.field("/states")?.clone())?;
    ensure!(states.len() == trace.steps.len(), "{} states for {} steps", states.len(), trace.steps.len());
    for (at, (step, (before, after, count, embedded))) in trace.steps.iter().zip(states).enumerate() {
        let got = (step.before, step.after, step.count, step.next.text.map_or(-1, i64::from));
        report.equal(format!("state of step {at}"), &got, &(stage(&before)?, stage(&after)?, count, embedded));
    }
    Ok(report)
}

/// `backbone/omni_head`: the prompt rows and the same loop on other tables.
pub fn omni_head(golden: &Golden, device: &Device) -> Result<Report> {
    let mut report = Report::default();
    let stacked = |name: &str| -> Result<Vec<Param<Tensor<2>>>> {
        let shape = golden.shape(name);
        let values = golden.floats(name)?;
        Ok(values.chunks(shape[1] * shape[2]).map(|v| Param::from_tensor(tensor(v.to_vec(), [shape[1], shape[2]], device))).collect())
    };
    let tables = |name: &str| -> Result<Vec<Embedding>> { Ok(stacked(name)?.into_iter().map(|weight| Embedding { weight }).collect()) };
    let head = CodecHead {
        audio_output_layers: stacked("audio_output_layers")?.into_iter().map(|weight| Linear { weight, bias: None }).collect(),
        embedding: tables("rq_embeddings")?,
    };
    let run = Loop {
        head,
        embedding: CodecEmbedding { audio_embeddings: tables("audio_embeddings")? },
        text: super::embedding::table(golden, "text_embedding", device, DType::F32)?,
        penalty: RepetitionPenalty {
            factor: golden.field("/constants/repetition_penalty")?.as_f64().context("a factor")? as f32,
            window: number(golden, "/constants/window")? as usize,
        },
        ids: ReplyIds {
            pause: number(golden, "/constants/pause_id")?,
            end: number(golden, "/constants/eos_id")?,
            semantic_end: number(golden, "/constants/eos_id")?,
        },
    };
    ensure!(number(golden, "/constants/pad_id")? == PADDING_ID, "the published embedding code compares with the number {PADDING_ID}");
    let (logits, embeds) = (tolerance(golden, "logits")?, tolerance(golden, "embeds")?);
    let no_features: [Features; 0] = [];
    let prompt =
        run.embedding.prompt(&run.text, &ids(&golden.integers("prompt_ids")?), &ids(&golden.integers("prompt_codecs")?), &no_features)?;
    report.close("prompt rows", &floats(prompt), &golden.floats("prompt_embeds")?, embeds);

    let steps = golden.field("/trace")?.as_array().context("a list")?;
    let text_ids = steps.iter().map(|s| s["text_argmax"].as_u64().map(|id| id as u32).context("a text id")).collect::<Result<Vec<_>>>()?;
    let trace = run.run(&golden.floats("hidden")?, &text_ids, device)?;
    report.close("raw logits", &trace.raw, &golden.floats("raw_logits")?, logits);
    report.close("penalised logits", &trace.penalised, &golden.floats("penalised_logits")?, logits);
    report.close("next rows", &trace.next, &golden.floats("next_embeds")?, embeds);
    report.equal("recorded codes", &recorded(&trace.steps), &none_is_minus_one(golden.integers("codes_recorded")?));
    for (at, (want, (step, codes))) in steps.iter().zip(trace.steps.iter().zip(&trace.codes)).enumerate() {
        let (before, after): ((String, u32), (String, u32)) =
            (serde_json::from_value(want["state_before"].clone())?, serde_json::from_value(want["state_after"].clone())?);
        report.equal(
            format!("state of step {at}"),
            &(step.before, step.after, step.count),
            &(stage(&before.0)?, stage(&after.0)?, after.1),
        );
        report.equal(format!("ids of step {at}"), codes, &serde_json::from_value::<Vec<u32>>(want["head_ids"].clone())?);
        let texts = [step.text.map_or(-1, i64::from), i64::from(step.emitted_text_id), step.next.text.map_or(-1, i64::from)];
        let wanted = ["text_recorded", "text_output", "next_text_id"].map(|name| want[name].as_i64().map_or(i64::MIN, |v| v.max(-1)));
        report.equal(format!("text of step {at}"), &texts, &wanted);
    }
    Ok(report)
}

/// `prompt/audio_heads`: one step of a batch, with and without a past.
pub fn audio_heads(golden: &Golden, device: &Device) -> Result<Report> {
    let mut report = Report::default();
    let weights = Weights::from_checkpoint(golden.tensors(), device, DType::F32);
    let (codes, width, heads) = (
        number(golden, "/config/audio_vocab")? as usize,
        number(golden, "/config/hidden")? as usize,
        number(golden, "/config/heads")? as usize,
    );
    let (batch, window) = (number(golden, "/config/batch")? as usize, number(golden, "/config/window")? as usize);
    let head = CodecHead::load(&weights, heads, codes, width)?;
    let penalty = RepetitionPenalty { factor: golden.field("/config/penalty")?.as_f64().context("a factor")? as f32, window };
    let empty = vec![vec![RecentIds::default(); heads]; batch];
    let mut past = empty.clone();
    for (index, ids) in golden.integers("past_ids")?.chunks(golden.shape("past_ids")[2]).enumerate() {
        ids.iter().for_each(|id| past[index / heads][index % heads].push(u32::try_from(*id).ok(), window));
    }
    for (name, past) in [("nopast", &empty), ("past", &past)] {
        let past: Vec<&[RecentIds]> = past.iter().map(Vec::as_slice).collect();
        let (mut raw, mut penalised) = (vec![Vec::new(); batch], vec![Vec::new(); batch]);
        let chosen = head.choose(tensor(golden.floats("hidden")?, [batch, width], device), &past, penalty, |logits| {
            raw[logits.row].extend_from_slice(logits.raw);
            penalised[logits.row].extend_from_slice(logits.penalised);
        });
        report.close(format!("{name}: raw logits"), &raw.concat(), &golden.floats(&format!("{name}.raw_logits"))?, Tolerance::Abs(1e-5));
        report.close(
            format!("{name}: penalised logits"),
            &penalised.concat(),
            &golden.floats(&format!("{name}.penalised_logits"))?,
            Tolerance::Abs(1e-5),
        );
        report.equal(format!("{name}: ids"), &chosen.concat(), &ids(&golden.integers(&format!("{name}.ids"))?));
    }
    Ok(report)
}
