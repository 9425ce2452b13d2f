//! A whole model of a few hundred kilobytes with made-up weights, in the published layout.
//!
//! Every tensor is named and shaped by the `load` of the module that will read it, so this file can name none wrongly.
//! The weights are random but for what keeps a reply in shape: pauses, ends and semantic ends come every few steps, and
//! neither reserved ids nor markers are ever chosen.

use std::path::Path;

use anyhow::{Context, Result};
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use caracal_cluster::backbone::projection::Stored;
use caracal_cluster::backbone::{BackboneConfig, CodecEmbedding, CodecHead, LongCatFlash};
use caracal_edge::audio::{AudioEncoder, AudioEncoderConfig, AudioProjector};
use caracal_edge::codec::{AudioDecoder, DecoderConfig};
use caracal_edge::vision::{LongCatVit, RopeTable, VisionConfig, VisionProjector};
use caracal_kernels::checkpoint::{StoredDtype, write_safetensors};
use caracal_kernels::layers::Embedding;
use caracal_kernels::{Checkpoint, Weights};
use caracal_shared::ids::{CODE_END, CODE_OFFSET, TEXT_END, TEXT_PAUSE};
use caracal_shared::reply::CODEBOOKS;
use serde_json::{Value, json};

use crate::golden::{Golden, golden_root};

/// The seed whose model ends its replies to the demo conversations after some dozens of steps.
pub const SEED: u64 = 5;
/// Width of the language model.
const HIDDEN: usize = 64;
/// Semantic codes of the codec.
const SEMANTIC_CODES: usize = 512;
/// Rows of each group's table of an acoustic codebook: 400 codes, fewer than the heads have outputs.
const ACOUSTIC_ROWS: usize = 20;
/// Name of the codec's decoder, as its config has it.
const DECODER: &str = "LongCatAudioCodec_decoder_24k_4codebooks";

/// Writes the model into `folder`, which is made if need be. Equal seeds write equal files.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path, seed: u64) -> Result<()> {
    for part in ["audio", "vision", "audio_codec"] {
        std::fs::create_dir_all(folder.join(part)).with_context(|| format!("{}: cannot be made", folder.join(part).display()))?;
    }
    write_language_model(folder, seed)?;
    write_audio(&folder.join("audio"), seed)?;
    write_vision(&folder.join("vision"), seed)?;
    write_codec(&folder.join("audio_codec"), seed)
}

/// Replaces `model.safetensors` by shards of `tensors` tensors each and their index.
///
/// # Errors
/// When a file cannot be read or written.
pub fn shard(folder: &Path, tensors: usize) -> Result<()> {
    let single = folder.join("model.safetensors");
    let file = Checkpoint::open(&single)?;
    let names: Vec<&str> = file.names().collect();
    let shards = names.len().div_ceil(tensors);
    let mut map = serde_json::Map::new();
    for (index, names) in names.chunks(tensors).enumerate() {
        let shard = format!("model-{:05}-of-{shards:05}.safetensors", index + 1);
        let stored = names.iter().map(|name| {
            let tensor = file.get(name).expect("the name is the file's");
            Ok((name.to_string(), tensor.dtype, tensor.shape.clone(), file.bytes(name, &tensor.shape)?.1.into_owned()))
        });
        write_safetensors(&folder.join(&shard), &stored.collect::<Result<Vec<_>>>()?)?;
        map.extend(names.iter().map(|name| (name.to_string(), Value::from(shard.clone()))));
    }
    std::fs::remove_file(&single)?;
    write_json(&folder.join("model.safetensors.index.json"), &json!({"metadata": {}, "weight_map": map}))
}

/// A config that the demo goldens were made with.
fn stand_in(part: &str) -> Result<Value> {
    Ok(Golden::open(&golden_root(), "prompt/demo_cases")?.field(&format!("/standin/{part}"))?.clone())
}

fn random(seed: u64, part: u64) -> Weights<'static> {
    Weights::random(seed * 16 + part, &Device::flex())
}

fn write_json(file: &Path, value: &Value) -> Result<()> {
    std::fs::write(file, format!("{value:#}")).with_context(|| format!("{}: cannot be written", file.display()))
}

fn write_language_model(folder: &Path, seed: u64) -> Result<()> {
    let tokenizer = std::fs::read_to_string(golden_root().join("prompt/standin_tokenizer.json"))?;
    std::fs::write(folder.join("tokenizer.json"), &tokenizer)?;
    let tokenizer: Value = serde_json::from_str(&tokenizer)?;
    let tokens = tokenizer["model"]["vocab"].as_object().context("the stand-in tokenizer has a vocabulary")?;
    let vocabulary = 1 + tokens.values().filter_map(Value::as_u64).max().unwrap_or(0) as usize;
    // Words and punctuation only: no marker, no part of a character. `Ġ` is how byte-level tokens spell a space.
    let spoken = |token: &str| token.chars().all(|c| c.is_ascii_alphabetic() || "Ġ,.?!".contains(c));
    let silent = tokens.iter().filter(|(token, _)| !spoken(token)).filter_map(|(_, id)| id.as_u64()).map(|id| id as usize);
    write_json(
        &folder.join("config.json"),
        &json!({
            "architectures": ["LongcatFlashForCausalLM"], "model_type": "longcat_flash", "torch_dtype": "float32",
            "vocab_size": vocabulary, "hidden_size": HIDDEN, "num_layers": 2, "num_attention_heads": 4, "q_lora_rank": 24, "kv_lora_rank": 16,
            "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8, "ffn_hidden_size": 96, "expert_ffn_hidden_size": 32,
            "n_routed_experts": 8, "zero_expert_num": 4, "zero_expert_type": "identity", "moe_topk": 3, "routed_scaling_factor": 6.0,
            "rms_norm_eps": 1e-5, "rope_theta": 1e7, "max_position_embeddings": 4096, "attention_method": "MLA", "attention_bias": false,
            "mla_scale_q_lora": true, "mla_scale_kv_lora": true, "tie_word_embeddings": false,
        }),
    )?;
    let config = BackboneConfig::read(folder)?;
    let weights = random(seed, 0);
    let mut model = LongCatFlash::load(&weights, &config, &Stored::default())?;
    model.embed_tokens.weight = drift(model.embed_tokens.weight, 25.0, 3.0);
    let text = Lean {
        never: silent.filter(|id| ![TEXT_PAUSE, TEXT_END].contains(&(*id as u32))).collect(),
        often: vec![(TEXT_PAUSE, 0.15), (TEXT_END, 0.13)],
    };
    model.lm_head.weight = text.apply(model.lm_head.weight);
    weights.save(&model, &folder.join("model.safetensors"), StoredDtype::F32)?;
    // The published release stores the table a second time under its own name.
    let weights = random(seed, 1);
    let mut table = Embedding::load(&weights.at("word_embeddings"), config.vocab_size, HIDDEN)?;
    let values = model.embed_tokens.weight.val();
    table.weight = table.weight.map(|_| values);
    Ok(weights.save(&table, &folder.join("language_model_embedding.safetensors"), StoredDtype::F32)?)
}

fn write_audio(folder: &Path, seed: u64) -> Result<()> {
    let config = json!({
        "input_size": 1200, "hidden_size": 48, "proj_size": 24, "vocab_size": 50, "nlayer": 4, "num_right_layers": 2, "left_order": 10,
        "right_order": 1, "left_stride": 1, "right_stride": 1, "ndnn": 2, "activation": "relu6", "dropout": 0.1,
    });
    write_json(&folder.join("config.json"), &config)?;
    // The golden's own filter bank is degenerate: its frequencies are those of the sibling codec instead.
    let mut front_end = stand_in("audio")?;
    for (pointer, value) in
        [("/fbank/low_freq", json!(40)), ("/fbank/high_freq", json!(-200)), ("/cmvn/global_cmvn", json!("audio/global_cmvn"))]
    {
        *front_end.pointer_mut(pointer).with_context(|| format!("the stand-in front end has {pointer}"))? = value;
    }
    write_json(&folder.join("preprocessor_config.json"), &front_end)?;
    std::fs::write(
        folder.join("global_cmvn"),
        statistics(front_end["fbank"]["num_mel_bins"].as_u64().context("the front end has a width")? as usize),
    )?;
    let config = AudioEncoderConfig::read(&folder.join("config.json"))?;
    let weights = random(seed, 2);
    weights.save(&AudioEncoder::load(&weights, &config)?, &folder.join("audio_encoder.safetensors"), StoredDtype::F32)?;
    weights.save(
        &AudioProjector::load(&weights, config.output_size(), HIDDEN)?,
        &folder.join("audio_projector.safetensors"),
        StoredDtype::F32,
    )?;

    let codes = SEMANTIC_CODES + CODE_OFFSET as usize;
    let weights = random(seed, 3);
    let mut embedding = CodecEmbedding::load(&weights, CODEBOOKS, codes, HIDDEN)?;
    embedding.audio_embeddings.iter_mut().for_each(|table| table.weight = drift(table.weight.clone(), 25.0, 1.5));
    weights.save(&embedding, &folder.join("audio_embeddings.safetensors"), StoredDtype::F32)?;
    let weights = random(seed, 4);
    let mut head = CodecHead::load(&weights, CODEBOOKS, codes, HIDDEN)?;
    for (book, layer) in head.audio_output_layers.iter_mut().enumerate() {
        let end = if book == 0 { 1 + ACOUSTIC_ROWS * ACOUSTIC_ROWS + SEMANTIC_CODES } else { ACOUSTIC_ROWS * ACOUSTIC_ROWS }
            + CODE_OFFSET as usize;
        let reserved = (0..CODE_OFFSET as usize).filter(|id| book > 0 || *id != CODE_END as usize);
        let lean = Lean { never: reserved.chain(end..codes).collect(), often: if book == 0 { vec![(CODE_END, 0.25)] } else { Vec::new() } };
        layer.weight = lean.apply(layer.weight.clone());
    }
    Ok(weights.save(&head, &folder.join("audio_output_layers.safetensors"), StoredDtype::F32)?)
}

/// Limits as in the golden's stand-in, so that pictures take the same number of positions.
fn write_vision(folder: &Path, seed: u64) -> Result<()> {
    let mut config = stand_in("vision")?;
    for (key, size) in
        [("hidden_size", 32), ("num_hidden_layers", 2), ("num_attention_heads", 4), ("intermediate_size", 48), ("adaptor_dim", 48)]
    {
        config[key] = size.into();
    }
    write_json(&folder.join("config.json"), &config)?;
    let config = VisionConfig::read(folder)?.vit;
    let weights = random(seed, 5);
    weights.save(&LongCatVit::load(&weights, &config, RopeTable::Demo)?, &folder.join("vision_model.safetensors"), StoredDtype::F32)?;
    let weights = random(seed, 6);
    Ok(weights.save(&VisionProjector::load(&weights, &config, HIDDEN)?, &folder.join("vision_projector.safetensors"), StoredDtype::F32)?)
}

fn write_codec(folder: &Path, seed: u64) -> Result<()> {
    let file = folder.join("config.yaml");
    let yaml = format!(
        "codec_config:\n  codec_dimension: 16\n  semantic_dim: 24\n  decoder_dim: 32\n  codec_dec_ratios: [8, 6, 6, 5]\n  decoder_type: 24k\n  \
         codec_codebooks: {}\n  codec_codebook_size: {ACOUSTIC_ROWS}\n  codec_codebook_search_dim: 8\n  semantic_token_nums: {SEMANTIC_CODES}\n  \
         ckpt_path: ckpts/{DECODER}.pt\n",
        CODEBOOKS - 1
    );
    std::fs::write(&file, yaml)?;
    let weights = random(seed, 7);
    let decoder = AudioDecoder::load(&weights, &DecoderConfig::read(&file)?)?;
    Ok(weights.save(&decoder, &folder.join(format!("{DECODER}.safetensors")), StoredDtype::F32)?)
}

/// Channel 0 carries the same value at every position: a lean of the heads towards some ids hangs on it.
fn drift(table: Param<Tensor<2>>, scale: f32, first: f32) -> Param<Tensor<2>> {
    table.map(|table| {
        let [rows, width] = table.dims();
        let device = table.device();
        Tensor::cat(vec![Tensor::full([rows, 1], first, &device), table.narrow(1, 1, width - 1) * scale], 1)
    })
}

/// Which ids a head never chooses, and which it likes.
struct Lean {
    never: Vec<usize>,
    often: Vec<(u32, f32)>,
}

impl Lean {
    fn apply(&self, head: Param<Tensor<2>>) -> Param<Tensor<2>> {
        head.map(|head| {
            let [rows, width] = head.dims();
            let device = head.device();
            let mut lean = vec![0.0; rows];
            self.never.iter().for_each(|id| lean[*id] = -4.0);
            self.often.iter().for_each(|(id, by)| lean[*id as usize] = *by);
            let lean = Tensor::from_data(TensorData::new(lean, [rows, 1]), &device);
            Tensor::cat(vec![lean, head.narrow(1, 1, width - 1)], 1)
        })
    }
}

/// A Kaldi binary matrix of sums, count, and sums of squares: mean 8, variance 9 for every value.
fn statistics(width: usize) -> Vec<u8> {
    let (count, mean, variance) = (1000.0f64, 8.0, 9.0);
    let mut bytes = b"\0BDM ".to_vec();
    for size in [2, width as i32 + 1] {
        bytes.push(4);
        bytes.extend(size.to_le_bytes());
    }
    let row = |value: f64, last: f64| std::iter::repeat_n(value * count, width).chain([last]);
    bytes.extend(row(mean, count).chain(row(variance + mean * mean, 0.0)).flat_map(f64::to_le_bytes));
    bytes
}
