//! The whole model in f32: both forms of attention, any cutting of the prompt, greedy decoding and the cache; the MTP
//! head.

use anyhow::{Context, Result};
use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_cluster::backbone::codec_head::argmax;
use caracal_cluster::backbone::mtp::Mtp;
use caracal_cluster::backbone::projection::Stored;
use caracal_cluster::backbone::watcher::{Unwatched, Watcher};
use caracal_cluster::backbone::{BackboneConfig, LongCatFlash};
use caracal_cluster::engine::{BurnEngine, CacheLimits, Engine, Read, SessionId, Work};
use caracal_kernels::{Checkpoint, Weights};

use super::recorder::{Recorder, floats};
use super::{ids, tolerance};
use crate::golden::{Golden, Report, Tolerance};

/// Runs rows through an engine with a watcher and gives back the logits of all of them.
pub fn run_rows(engine: &mut BurnEngine, session: SessionId, rows: &[f32], watcher: &mut Recorder) -> Result<Vec<f32>> {
    let work = Work { session, rows: rows.to_vec(), read: Read::All };
    let hidden = engine.step_watched(&[work], watcher).remove(0)?;
    let logits = engine.text_logits(&hidden.rows);
    let (width, device) = (engine.width(), engine.model().norm.weight.val().device());
    let vocabulary = logits.len() / (hidden.rows.len() / width);
    let logits_tensor =
        Tensor::<2>::from_data(TensorData::new(logits.clone(), [logits.len() / vocabulary, vocabulary]), (&device, DType::F32));
    watcher.saw(
        engine.model().layers.len(),
        caracal_cluster::backbone::watcher::Part::TextHead,
        caracal_cluster::backbone::watcher::Seen::Rows(&logits_tensor),
    );
    Ok(logits)
}

/// An engine with room for the model's context, in blocks that the prompts do not fill evenly.
pub fn engine(config: &BackboneConfig, model: LongCatFlash) -> BurnEngine {
    let block_tokens = 7;
    BurnEngine::new(
        config,
        model,
        CacheLimits { block_tokens, blocks: 3 * config.max_position_embeddings.div_ceil(block_tokens), sessions: 8 },
    )
}

/// Everything of `folder/{prefix}prefill_*` and decoding, in plain form and through the engine.
pub fn check_model(
    report: &mut Report,
    golden: &Golden,
    prefix: &str,
    config: &BackboneConfig,
    model: LongCatFlash,
    within: &dyn Fn(&str) -> Tolerance,
) -> Result<()> {
    let file = |name: &str| golden.file(&format!("{prefix}{name}.safetensors"));
    let prompt = file("prefill_ids")?;
    let input_ids = ids(&integers(&prompt, "input_ids")?);
    let embeds = file("prefill_embeds")?;
    let device = model.norm.weight.val().device();
    let width = config.hidden_size;
    let inputs = [("ids", &prompt, floats(model.embed_tokens.forward(&input_ids))), ("embeds", &embeds, stored(&embeds, "inputs_embeds")?)];
    for (what, file, rows) in &inputs {
        let mut seen = Recorder::default();
        let x = Tensor::<2>::from_data(TensorData::new(rows.clone(), [rows.len() / width, width]), (&device, DType::F32));
        let hidden = model.offline(x, 1, &mut seen);
        model.text_logits(hidden, &mut seen);
        seen.compare(report, &format!("{prefix}{what}, plain form:"), file, within)?;
        let missing: Vec<String> =
            seen.covers(file, &["input_ids", "inputs_embeds"]).into_iter().filter(|n| !n.starts_with("dequant.")).collect();
        report.equal(format!("{prefix}{what}: tensors that nothing was recorded for"), &missing, &Vec::new());
    }
    let mut engine = engine(config, model);
    for (what, file, rows) in &inputs {
        let count = rows.len() / width;
        for cut in [count, (count * 10).div_ceil(24), 1] {
            let (mut seen, session) = (Recorder::default(), engine.open()?);
            for chunk in rows.chunks(cut * width) {
                run_rows(&mut engine, session, chunk, &mut seen)?;
            }
            seen.compare(report, &format!("{prefix}{what}, absorbed form in chunks of {cut}:"), file, within)?;
            engine.close(session)?;
        }
    }
    check_decoding(report, prefix, &file("decode_greedy")?, &mut engine, &inputs[0].2, within)
}

fn check_decoding(
    report: &mut Report,
    prefix: &str,
    file: &Checkpoint,
    engine: &mut BurnEngine,
    prompt: &[f32],
    within: &dyn Fn(&str) -> Tolerance,
) -> Result<()> {
    let want = ids(&integers(file, "tokens")?);
    let session = engine.open()?;
    let logits = run_rows(engine, session, prompt, &mut Recorder::default())?;
    let vocabulary = logits.len() / (prompt.len() / engine.width());
    let mut next = argmax(&logits[logits.len() - vocabulary..]);
    let (mut seen, mut tokens) = (Recorder::default(), Vec::new());
    for _ in &want {
        tokens.push(next);
        let row = floats(engine.model().embed_tokens.forward(&[next]));
        next = argmax(&run_rows(engine, session, &row, &mut seen)?);
    }
    report.equal(format!("{prefix}decoding: tokens"), &tokens, &want);
    seen.compare(report, &format!("{prefix}decoding:"), file, within)?;
    for index in 0..2 * engine.model().layers.len() {
        let names = ["c_kv", "k_rope"].map(|part| format!("final_cache.attn{index}.{part}"));
        if file.get(&names[0]).is_none() {
            continue;
        }
        let [latent, rope] = names.each_ref().map(|name| file.get(name).map_or(0, |t| t.shape[1]));
        let cache = engine.cache().read(session, index).map_err(|e| anyhow::anyhow!("{e:?}"))?;
        let latents: Vec<f32> = cache.chunks(latent + rope).flat_map(|row| &row[..latent]).copied().collect();
        // Ours keeps each turned pair in place, the golden has all first components and then all second ones.
        let keys: Vec<f32> =
            cache.chunks(latent + rope).flat_map(|row| (0..2).flat_map(move |i| row[latent + i..].iter().step_by(2))).copied().collect();
        report.close(format!("{prefix}decoding: {}", names[0]), &latents, &stored(file, &names[0])?, within(&names[0]));
        report.close(format!("{prefix}decoding: {}", names[1]), &keys, &stored(file, &names[1])?, within(&names[1]));
    }
    engine.close(session)?;
    Ok(())
}

/// `backbone/tiny`
pub fn tiny(golden: &Golden, device: &Device) -> Result<Report> {
    let mut report = Report::default();
    let (config, model) = LongCatFlash::open(&golden.folder.join("checkpoint"), device, false)?;
    let [weights, outputs, logits] =
        ["router.topk_weights", "layer outputs, final_norm, cache", "logits"].map(|name| tolerance(golden, name));
    let (weights, outputs, logits) = (weights?, outputs?, logits?);
    let within = |name: &str| match name {
        "logits" => logits,
        name if name.ends_with("topk_weights") => weights,
        _ => outputs,
    };
    check_model(&mut report, golden, "", &config, model, &within)?;
    Ok(report)
}

/// `backbone/mtp`: the head's own weights, the text head of the tiny model.
pub fn mtp(golden: &Golden, device: &Device) -> Result<Report> {
    let mut report = Report::default();
    let tiny = golden.folder.parent().context("the folder has a parent")?.join("tiny/checkpoint");
    let (config, model) = LongCatFlash::open(&tiny, device, false)?;
    let head = Mtp::load(&Weights::from_checkpoint(golden.tensors(), device, DType::F32), &config, &Stored::default())?;
    let shape = golden.shape("in.target_hidden");
    let hidden = Tensor::<2>::from_data(TensorData::new(golden.floats("in.target_hidden")?, [shape[0], shape[1]]), (device, DType::F32));
    let hidden = head.offline(hidden, &ids(&golden.integers("in.next_token_ids")?));
    let within = super::mixed(golden.field("/tolerance")?).context("the tolerance holds no number")?;
    report.close("hidden", &floats(hidden.clone()), &golden.floats("out.hidden")?, within);
    report.close("logits", &floats(model.text_logits(hidden, &mut Unwatched)), &golden.floats("out.logits")?, within);
    Ok(report)
}

/// A float tensor of a file, whatever its shape.
pub fn stored(file: &Checkpoint, name: &str) -> Result<Vec<f32>> {
    Ok(file.floats(name, &file.get(name).with_context(|| format!("no tensor {name}"))?.shape)?)
}

/// An integer tensor of a file, whatever its shape.
pub fn integers(file: &Checkpoint, name: &str) -> Result<Vec<i64>> {
    Ok(file.integers(name, &file.get(name).with_context(|| format!("no tensor {name}"))?.shape)?)
}
