//! Goldens of codec.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::tensor::{DType, Device, Tensor};
use caracal_edge::audio::{Cmvn, Waveform};
use caracal_edge::codec::ids::ID_OFFSET;
use caracal_edge::codec::{
    AudioDecoder, AudioTokenizer, CodecFrame, CodecIds, DecoderConfig, EncoderConfig, GroupedResidualQuantizer, SemanticConfig, Trace,
};
use caracal_kernels::Weights;
use caracal_shared::post_process::{clean_text, codec_frames};
use serde_json::{Value, json};

use super::{Entry, Golden, Report, Tolerance};

/// Checks of this family.
pub(super) const ENTRIES: &[Entry] = &[
    Entry { name: "audio/codec_decoder_24k", on_device: true, check: decoder },
    Entry { name: "audio/codec_decoder_16k", on_device: true, check: decoder },
    Entry { name: "audio/codec_encoder", on_device: true, check: encoder },
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
    let waveform =
        decoder.offline_traced(&frames(golden, &ids, config.codebooks)?, &mut Trace::to(&mut |name, stage| stages.see(name, stage)));
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

/// Largest error of the features and of the positions behind them: an exact run differs by more than the sidecar allows
/// (errata).
const FEATURES_ABS: f64 = 1e-3;

fn encoder(golden: &Golden, device: &Device) -> Result<Report> {
    let here = golden.folder.join("config");
    let config = EncoderConfig::from_value(&here, golden.field("/config/codec")?.clone())?;
    let mut semantic = golden.field("/config/semantic")?.clone();
    semantic["fbank"] = golden.field("/config/fbank")?.clone();
    let semantic = SemanticConfig::from_value(&here, semantic)?;
    let tokenizer =
        AudioTokenizer::load(&Weights::from_checkpoint(golden.tensors(), device, DType::F32), &config, &semantic, &golden.folder)?;
    let mut report = Report::default();

    let statistics = Cmvn::from_statistics(&here, &doubles(golden, "cmvn_stats")?)?;
    for (name, ours) in [("cmvn_mean", statistics.mean()), ("cmvn_scale", statistics.scale())] {
        let stored = golden.floats(&format!("semantic_tokenizer.feature_extractor.cmvn.{name}"))?;
        report.close(format!("{name} of the statistics"), ours, &stored, Tolerance::Mixed { atol: 0.0, rtol: 1e-6 });
    }

    let clip = |name: &str| -> Result<Vec<f32>> { Golden::open(&super::golden_root(), name)?.floats("waveform") };
    let (speech, synth) = (clip("audio/fbank_speech")?, clip("audio/fbank_synth")?);
    let mut stages = Stages::default();
    let codes = tokenizer.clip_traced(
        &Waveform::new(speech.clone())?,
        config.input_sample_rate,
        &mut Trace::to(&mut |name, stage| stages.see(name, stage)),
    )?;
    let text = golden.field("/tolerance/float activations")?.as_str().context("the tolerance is no text")?;
    let (on_semantic, on_acoustic) = text.split_once(',').context("two tolerances expected")?;
    let (on_semantic, on_acoustic) = (tolerance(&on_semantic.into())?, tolerance(&on_acoustic.into())?);
    for name in golden.tensors().names().filter_map(|name| name.strip_prefix("out.")) {
        let want = || golden.floats(&format!("out.{name}"));
        match name {
            "fbank_cmvn" | "pos" => report.close(name, &values(stages.rows(name)?), &want()?, Tolerance::Abs(FEATURES_ABS)),
            "subsampled" => report.close(name, &values(stages.rows(name)?), &want()?, on_semantic),
            name if name.starts_with("layer") => report.close(name, &values(stages.rows(name)?), &want()?, on_semantic),
            "from_codes" => report.close(name, &values(tokenizer.quantizer.decode(&codes.acoustic).transpose()), &want()?, on_acoustic),
            "projected" => {
                let books =
                    (0..config.codebooks).map(|book| Ok(stages.rows(&format!("projected.{book}"))?.transpose())).collect::<Result<_>>()?;
                report.close(name, &values(Tensor::cat(books, 0)), &want()?, on_acoustic);
            }
            name if name.ends_with("_codes") || name.ends_with("_margin") => {}
            name => report.close(name, &values(stages.rows(name)?.transpose()), &want()?, on_acoustic),
        }
    }
    compare_codes(&mut report, golden, "semantic", &[codes.semantic])?;
    compare_codes(&mut report, golden, "acoustic", &codes.acoustic)?;

    // The second signal of the batch is the start of the synthetic one; its length is in the name of its own run.
    let single =
        golden.tensors().names().find_map(|name| name.strip_prefix("single")?.strip_suffix(".semantic_codes")?.parse::<usize>().ok());
    let single = single.context("no tensor `single<samples>.semantic_codes`")?;
    let short = Waveform::new(synth[..single].to_vec())?;
    // One clip alone is padded to whole frames, as a batch with lengths is not.
    let mut alone = short.clone().into_samples();
    alone.resize(alone.len().next_multiple_of(config.samples_per_frame()), 0.0);
    let (semantic, acoustic) =
        (golden.integers(&format!("single{single}.semantic_codes"))?, golden.integers(&format!("single{single}.acoustic_codes"))?);
    same_codes(
        &mut report,
        &tokenizer,
        "the short clip alone",
        &Waveform::new(alone)?,
        &semantic,
        &acoustic.chunks(semantic.len()).collect::<Vec<_>>(),
    )?;
    let batch = [Waveform::new(speech)?, short];
    let lengths: Vec<i64> = tokenizer.batch(&batch)?.iter().map(|clip| clip.acoustic[0].len() as i64).collect();
    report.equal("acoustic lengths of the batch", &lengths, &golden.integers("batch.lengths")?);
    let (semantic, acoustic) = (golden.integers("batch.semantic_codes")?, golden.integers("batch.acoustic_codes")?);
    let frames = golden.shape("batch.semantic_codes")[1];
    for (item, ((clip, semantic), acoustic)) in
        batch.iter().zip(semantic.chunks(frames)).zip(acoustic.chunks(frames * config.codebooks)).enumerate()
    {
        let books: Vec<&[i64]> = acoustic.chunks(frames).map(|book| &book[..lengths[item] as usize]).collect();
        same_codes(
            &mut report,
            &tokenizer,
            &format!("batch item {item}"),
            clip,
            &semantic[..tokenizer.semantic.frames(clip.samples().len())],
            &books,
        )?;
    }
    Ok(report)
}

/// Two codes whose distances differ by less are neighbours: these runs have no margins in the golden.
const NEIGHBOURS: f32 = 1e-3;

/// Codes of a clip must be the golden's, or a neighbour at the same distance; after such a one the later codebooks of
/// that frame code another residual and are not compared.
fn same_codes(
    report: &mut Report,
    tokenizer: &AudioTokenizer,
    what: &str,
    clip: &Waveform,
    semantic: &[i64],
    acoustic: &[&[i64]],
) -> Result<()> {
    let mut stages = Stages::default();
    let codes = tokenizer.codes_traced(clip, &mut Trace::to(&mut |name, stage| stages.see(name, stage)));
    report.equal(format!("{what}, number of semantic codes"), &codes.semantic.len(), &semantic.len());
    report.equal(format!("{what}, number of acoustic codes"), &codes.acoustic[0].len(), &acoustic[0].len());
    let table = tokenizer.semantic.encoder.codebook.val().transpose();
    let layer = stages.rows(&format!("layer{}", tokenizer.semantic.encoder.layers.len() - 1))?;
    let mut wrong = Vec::new();
    for (t, (got, want)) in codes.semantic.iter().zip(semantic).enumerate() {
        if i64::from(*got) != *want && !neighbours(&row(&layer, t), &table, *got, *want as u32, false) {
            wrong.push(format!("semantic frame {t}: {got} for {want}"));
        }
    }
    #[allow(clippy::needless_range_loop, reason = "time is the second axis of all of them")]
    for t in 0..acoustic[0].len() {
        for (book, quantizer) in tokenizer.quantizer.quantizers.iter().enumerate() {
            let (got, want) = (codes.acoustic[book][t], acoustic[book][t]);
            if i64::from(got) == want {
                continue;
            }
            let (size, searched) = (quantizer.size as u32, row(&stages.rows(&format!("projected.{book}"))?, t));
            let (a, b) = searched.split_at(searched.len() / 2);
            let close = |searched: &[f32], table: &Tensor<2>, got, want| got == want || neighbours(searched, table, got, want, true);
            let (tables, want) = ([quantizer.a.codebook.weight.val(), quantizer.b.codebook.weight.val()], want as u32);
            if !close(a, &tables[0], got / size, want / size) || !close(b, &tables[1], got % size, want % size) {
                wrong.push(format!("acoustic codebook {book}, frame {t}: {got} for {want}"));
            }
            break;
        }
    }
    report.equal(format!("{what}, codes that are neither the golden's nor a neighbour"), &wrong, &Vec::<String>::new());
    Ok(())
}

fn row(rows: &Tensor<2>, index: usize) -> Vec<f32> {
    values(rows.clone().slice_dim(0, index..index + 1))
}

/// Whether two rows of `table` are as far from `searched`, brought to length 1 (and so are the rows, if `normed`).
fn neighbours(searched: &[f32], table: &Tensor<2>, got: u32, want: u32, normed: bool) -> bool {
    let unit = |v: Vec<f32>| {
        let length = v.iter().map(|v| v * v).sum::<f32>().sqrt();
        v.into_iter().map(|v| v / length).collect::<Vec<_>>()
    };
    let searched = unit(searched.to_vec());
    let distance = |index: u32| {
        let entry = row(table, index as usize);
        let entry = if normed { unit(entry) } else { entry };
        entry.iter().zip(&searched).map(|(c, e)| (c - e).powi(2)).sum::<f32>()
    };
    (distance(got) - distance(want)).abs() < NEIGHBOURS
}

fn as_integers(codes: &[Vec<u32>]) -> Vec<i64> {
    codes.iter().flatten().map(|code| i64::from(*code)).collect()
}

fn doubles(golden: &Golden, name: &str) -> Result<Vec<f64>> {
    let (_, bytes) = golden.tensors().bytes(name, &golden.shape(name))?;
    Ok(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
}

/// Codes must agree wherever the choice, and every choice that it rests on, was clear: below the margin that the sidecar
/// gives either neighbour will do, and later codebooks then code another residual.
fn compare_codes(report: &mut Report, golden: &Golden, half: &str, codes: &[Vec<u32>]) -> Result<()> {
    let text = golden.field("/tolerance/codes")?.as_str().context("the tolerance is no text")?;
    let clear = text
        .split(|c: char| c.is_whitespace() || c == ';')
        .find_map(|word| word.parse::<f32>().ok())
        .with_context(|| format!("no margin in `{text}`"))?;
    let (want, margins) = (golden.integers(&format!("out.{half}_codes"))?, golden.floats(&format!("out.{half}_margin"))?);
    let got = as_integers(codes);
    let frames = want.len() / codes.len();
    if got.len() != want.len() {
        report.equal(format!("number of {half} codes"), &got.len(), &want.len());
        return Ok(());
    }
    let is_clear = |i: usize| (0..=i / frames).all(|book| margins[book * frames + i % frames] > clear);
    let (got, want): (Vec<_>, Vec<_>) = (0..want.len()).filter(|i| is_clear(*i)).map(|i| (got[i], want[i])).unzip();
    report.holds(format!("some {half} codes are clear"), !want.is_empty(), format!("{} of {}", want.len(), margins.len()));
    report.equal(format!("{half} codes, {} of {} clear", want.len(), margins.len()), &got, &want);
    Ok(())
}

fn quantizer(golden: &Golden, device: &Device) -> Result<Report> {
    let encoder = Golden::open(&super::golden_root(), "audio/codec_encoder")?;
    let config = EncoderConfig::from_value(&encoder.folder.join("config"), encoder.field("/config/codec")?.clone())?;
    let weights = Weights::from_checkpoint(encoder.tensors(), device, DType::F32);
    let quantizer = GroupedResidualQuantizer::load(&weights.at("acoustic_quantizer"), &config.quantizer())?;
    let shape = golden.shape("in.codes");
    let codes: Vec<Vec<u32>> =
        golden.integers("in.codes")?.chunks(shape[1]).map(|book| book.iter().map(|code| *code as u32).collect()).collect();
    let allowed = tolerance(golden.field("/tolerance")?)?;
    let mut report = Report::default();
    report.close("first codebook only", &values(quantizer.decode(&codes[..1]).transpose()), &golden.floats("out.one_codebook")?, allowed);
    report.close("all codebooks", &values(quantizer.decode(&codes).transpose()), &golden.floats("out.three_codebooks")?, allowed);
    let rows = quantizer.quantizers.iter().zip(&codes).flat_map(|(quantizer, codes)| quantizer.table_rows(codes));
    report.close("stored table rows", &values(Tensor::cat(rows.collect(), 1).transpose()), &golden.floats("out.raw_vectors")?, allowed);
    Ok(report)
}

/// The sound of `audio/postprocess`: rows to frames, frames to decoder ids ("frame id - 32 for every column").
fn postprocess(golden: &Golden, _device: &Device) -> Result<Report> {
    let mut report = Report::default();
    let text = golden.field("/decoder_ids")?.as_str().context("/decoder_ids is no text")?;
    report.equal("offset of the ids", &text.split_whitespace().find_map(|word| word.parse().ok()), &Some(ID_OFFSET));
    // Ids of this golden stand for codes of the published tables.
    let released = json!({
        "codec_dimension": 1024, "semantic_dim": 1280, "decoder_dim": 1536, "codec_dec_ratios": [8, 6, 6, 5], "decoder_type": "24k",
        "codec_codebooks": 3, "codec_codebook_size": 90, "codec_codebook_search_dim": 8, "semantic_token_nums": 8192,
    });
    let ids = CodecIds::new(&DecoderConfig::from_value(&golden.folder.join("postprocess.json"), released)?);
    for case in golden.field("/audio")?.as_array().context("/audio is no list")? {
        let rows = |key: &str| -> Result<Vec<Vec<i64>>> { Ok(serde_json::from_value(case[key].clone())?) };
        // A negative id stands for none.
        let step = |row: Vec<i64>| std::array::from_fn(|codebook| row.get(codebook).and_then(|id| u32::try_from(*id).ok()));
        let steps: Vec<_> = rows("rows")?.into_iter().map(step).collect();
        let frames: Vec<Vec<i64>> = codec_frames(&steps).iter().map(|frame| frame.map(i64::from).to_vec()).collect();
        let name = case["name"].as_str().unwrap_or("case");
        report.equal(name, &frames, &rows("frames")?);
        for ids_of_frame in &frames {
            let read = ids.read(None, ids_of_frame);
            let codes: Vec<i64> = [read.frame.semantic()].iter().chain(read.frame.acoustic()).map(|code| i64::from(*code)).collect();
            report.equal(format!("{name}, decoder ids"), &codes, &ids_of_frame.iter().map(|id| id - ID_OFFSET).collect());
        }
    }
    for case in golden.field("/text")?.as_array().context("/text is no list")? {
        let raw = case["raw"].as_str().context("raw")?;
        report.equal(raw, clean_text(raw).as_str(), case["clean"].as_str().context("clean")?);
    }
    Ok(report)
}
