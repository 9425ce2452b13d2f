//! Goldens of codec.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::tensor::{DType, Device, Tensor};
use caracal_edge::codec::{AudioDecoder, CodecFrame, CodecIds, DecoderConfig, EncoderConfig, GroupedResidualQuantizer, ReplyCodes, Trace};
use caracal_kernels::Weights;
use serde_json::Value;

use super::{Entry, Golden, Report, Tolerance};

/// Checks of this family.
pub(super) const ENTRIES: &[Entry] = &[
    Entry { name: "audio/codec_decoder_24k", on_device: true, check: decoder },
    Entry { name: "audio/codec_decoder_16k", on_device: true, check: decoder },
    Entry { name: "audio/codec_quantizer", on_device: true, check: quantizer },
    Entry { name: "audio/postprocess", on_device: false, check: postprocess },
];

/// Stages by name, the pieces of a stream joined; transposed to the goldens' `[channels, time]`.
#[derive(Default)]
struct Stages(BTreeMap<String, Vec<Tensor<2>>>);

impl Stages {
    fn see(&mut self, name: &str, stage: Tensor<2>) {
        self.0.entry(name.into()).or_default().push(stage);
    }

    fn rows(&self, name: &str) -> Result<Tensor<2>> {
        Ok(Tensor::cat(self.0.get(name).with_context(|| format!("no stage `{name}` was shown"))?.clone(), 0))
    }
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data_dtype(DType::F32).try_into_vec().expect("f32 was asked for")
}

/// The number behind `max abs` in a tolerance text; relative to the largest value when the text says so.
fn tolerance(text: &Value) -> Result<Tolerance> {
    let text = text.as_str().context("a tolerance is no text")?;
    let number = text.split_whitespace().find_map(|word| word.parse::<f64>().ok()).with_context(|| format!("no number in `{text}`"))?;
    Ok(if text.contains("max|ref|") { Tolerance::OfMax(number) } else { Tolerance::Abs(number) })
}

fn frames(golden: &Golden, ids: &CodecIds, codebooks: usize) -> Result<Vec<CodecFrame>> {
    let semantic = golden.integers("in.semantic_codes")?;
    let acoustic = golden.integers("in.acoustic_codes")?;
    let count = semantic.len();
    let frame = |t: usize| Ok(ids.frame(semantic[t], &(0..codebooks).map(|book| acoustic[book * count + t]).collect::<Vec<_>>())?);
    (0..count).map(frame).collect()
}

/// Largest error of `out.model.4` in f32 as a share of its largest value: an exact run differs by more than the sidecar
/// allows (errata).
const LAST_BLOCK_OF_MAX: f64 = 2e-4;

fn decoder(golden: &Golden, device: &Device) -> Result<Report> {
    let config = DecoderConfig::from_value(&golden.folder.join("config"), golden.field("/config")?.clone())?;
    let decoder = AudioDecoder::load(&Weights::from_checkpoint(golden.tensors(), device, DType::F32), &config)?;
    golden.tensors().refuse_unread(|name| name.starts_with("in.") || name.starts_with("out."))?;
    let ids = CodecIds::new(&config);
    let mut report = Report::default();
    report.equal("samples of a frame", &(decoder.samples_per_frame() as u64), &golden.field("/hop")?.as_u64().unwrap_or(0));

    let mut stages = Stages::default();
    let waveform = decoder.offline_traced(&frames(golden, &ids, config.codebooks)?, &mut Trace::to(&mut |name, stage| stages.see(name, stage)));
    let tolerances = golden.field("/tolerance")?;
    for name in golden.tensors().names().filter_map(|name| name.strip_prefix("out.")).filter(|name| !name.starts_with("waveform")) {
        let kind = match name {
            "acoustic_latents" | "latents" => "out.acoustic_latents, out.latents",
            "mem" => "out.lstm*, out.mem",
            name if name.starts_with("lstm") => "out.lstm*, out.mem",
            _ => "out.model.*",
        };
        let allowed = match name.strip_prefix("model.").and_then(|rest| rest.parse::<usize>().ok()) {
            Some(block) if block == config.rates.len() => Tolerance::OfMax(LAST_BLOCK_OF_MAX),
            _ => tolerance(&tolerances[kind])?,
        };
        let stage = stages.rows(name)?;
        let stage = if name.starts_with("lstm") { stage } else { stage.transpose() };
        report.close(name, &values(stage), &golden.floats(&format!("out.{name}"))?, allowed);
    }
    let allowed = tolerance(&tolerances["waveforms"])?;
    report.close("waveform", &waveform, &golden.floats("out.waveform")?, allowed);
    let fewer = decoder.offline(&frames(golden, &ids, 1)?);
    report.close("waveform of one acoustic codebook", &fewer, &golden.floats("out.waveform_1acoustic")?, allowed);
    Ok(report)
}

fn quantizer(golden: &Golden, device: &Device) -> Result<Report> {
    let encoder = Golden::open(&super::golden_root(), "audio/codec_encoder")?;
    let config = EncoderConfig::from_value(&encoder.folder.join("config"), encoder.field("/config/codec")?.clone())?;
    let weights = Weights::from_checkpoint(encoder.tensors(), device, DType::F32);
    let quantizer = GroupedResidualQuantizer::load(&weights.at("acoustic_quantizer"), &config.quantizer())?;
    let shape = golden.shape("in.codes");
    let codes: Vec<Vec<u32>> = golden.integers("in.codes")?.chunks(shape[1]).map(|book| book.iter().map(|code| *code as u32).collect()).collect();
    let allowed = tolerance(golden.field("/tolerance")?)?;
    let mut report = Report::default();
    report.close("first codebook only", &values(quantizer.decode(&codes[..1]).transpose()), &golden.floats("out.one_codebook")?, allowed);
    report.close("all codebooks", &values(quantizer.decode(&codes).transpose()), &golden.floats("out.three_codebooks")?, allowed);
    let rows = quantizer.quantizers.iter().zip(&codes).flat_map(|(quantizer, codes)| quantizer.table_rows(codes));
    report.close("stored table rows", &values(Tensor::cat(rows.collect(), 1).transpose()), &golden.floats("out.raw_vectors")?, allowed);
    Ok(report)
}

/// The sound of `audio/postprocess`: rows to frames, frames to decoder ids.
fn postprocess(golden: &Golden, _device: &Device) -> Result<Report> {
    let mut report = Report::default();
    for case in golden.field("/audio")?.as_array().context("/audio is no list")? {
        let rows = |key: &str| -> Result<Vec<Vec<i64>>> { Ok(serde_json::from_value(case[key].clone())?) };
        let mut reply = ReplyCodes::default();
        let frames: Vec<Vec<i64>> = rows("rows")?.iter().filter_map(|row| reply.push(row)).collect();
        report.equal(case["name"].as_str().unwrap_or("case"), &frames, &rows("frames")?);
    }
    Ok(report)
}
