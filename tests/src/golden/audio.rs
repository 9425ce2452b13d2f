//! Goldens of audio: front end, resampling, audio encoder and projector.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_edge::audio::{
    AudioEncoder, AudioEncoderConfig, AudioProjector, Cmvn, Delta, DeltaConfig, FrontEnd, PreprocessorConfig, Splice, SpliceConfig,
    Waveform, sinc_resample,
};
use caracal_kernels::Weights;
use serde_json::{Value, json};

use super::{Check, Entry, Golden, Report, Tolerance, golden_root};

/// Checks of this family.
pub(super) const ENTRIES: &[Entry] = &[
    Entry { name: "audio/frame_counts", on_device: false, check: frame_counts },
    Entry { name: "audio/fbank_synth", on_device: false, check: fbank },
    Entry { name: "audio/fbank_speech", on_device: false, check: fbank },
    Entry { name: "audio/fbank_batch", on_device: false, check: fbank_batch },
    Entry { name: "audio/delta_splice_cmvn", on_device: false, check: delta_splice_cmvn },
    Entry { name: "audio/resample", on_device: false, check: resample },
    Entry { name: "audio/fsmn_encoder", on_device: true, check: fsmn_encoder },
    Entry { name: "audio/fsmn_encoder_batch", on_device: true, check: fsmn_encoder_batch },
    Entry { name: "audio/fsmn_variants", on_device: true, check: fsmn_variants },
];

/// The number that follows `before` in `text`.
fn number_after(text: &str, before: &str) -> Result<f64> {
    let (_, rest) = text.split_once(before).with_context(|| format!("no `{before}` in `{text}`"))?;
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !matches!(c, '0'..='9' | '.' | 'e' | '-' | '+')).unwrap_or(rest.len());
    // A range `4000..4640` gives its start.
    let number = rest[..end].split("..").next().unwrap_or_default();
    Ok(number.trim_end_matches('.').parse()?)
}

/// A tolerance that the sidecar writes as `max abs 1e-4`.
fn max_abs(golden: &Golden, pointer: &str) -> Result<Tolerance> {
    Ok(Tolerance::Abs(number_after(golden.field(pointer)?.as_str().context("a tolerance in words")?, "max abs")?))
}

/// The front end of a sidecar's config; `cmvn` replaces the statistics that the sidecar only names.
fn front_end(golden: &Golden, config: &Value, cmvn: Option<Cmvn>) -> Result<FrontEnd> {
    let mut config = config.clone();
    config["cmvn"] = json!({ "global_cmvn": "" });
    let config = PreprocessorConfig::parse(&golden.folder.join(&golden.name), &config.to_string())?;
    Ok(FrontEnd::new(&config, cmvn)?)
}

fn statistics(golden: &Golden, tensor: &str) -> Result<Cmvn> {
    let (_, bytes) = golden.tensors().bytes(tensor, &golden.shape(tensor))?;
    let values: Vec<f64> = bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
    Ok(Cmvn::from_statistics(Path::new(tensor), &values)?)
}

/// Sample counts to log-mel vectors, audio tokens, and what is final before the end.
fn frame_counts(golden: &Golden, _: &Device) -> Result<Report> {
    let what = golden.field("/what")?.as_str().context("what")?;
    let columns: Vec<&str> = golden.field("/columns")?.as_array().context("columns")?.iter().filter_map(Value::as_str).collect();
    let number_before = |text: &str, after: &str| -> Result<usize> {
        let (before, _) = text.split_once(after).with_context(|| format!("no `{after}` in `{text}`"))?;
        Ok(before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().parse()?)
    };
    let config = json!({
        "fbank": { "freq": 16000, "frame_length": number_before(what, " ms window")?, "frame_shift": number_before(what, " ms hop")?,
            "preemphasis": 0.97, "num_mel_bins": 80, "low_freq": 40, "high_freq": -200 },
        "delta": { "delta_order": 0 },
        "splice": { "left": 0, "right": number_after(columns[3], "right context")? as usize, "stride": number_after(what, "stride")? as usize },
    });
    let front_end = front_end(golden, &config, None)?;
    let look_ahead = number_before(columns[4], " look-ahead")? as u64;
    let mut report = Report::default();
    for row in golden.field("/rows")?.as_array().context("rows")? {
        let want: Vec<u64> = row.as_array().context("row")?.iter().filter_map(Value::as_u64).collect();
        let (samples, spliced) = (want[0], front_end.final_count(want[0]));
        let got = [samples, front_end.fbank().frames(samples), front_end.count(samples), spliced, spliced.saturating_sub(look_ahead)];
        report.equal(format!("{samples} samples"), &got[..], &want[..]);
    }
    Ok(report)
}

/// Log-mel vectors, their normalisation and splicing; window and filter bank where the golden has them.
fn fbank(golden: &Golden, _: &Device) -> Result<Report> {
    let config = golden.field("/config")?;
    // Both signals are normalised with the statistics of the synthetic one.
    let synth = Golden::open(&golden_root(), "audio/fbank_synth")?;
    let cmvn = statistics(&synth, "cmvn_stats")?;
    let bare = front_end(golden, config, None)?;
    let whole = front_end(golden, config, Some(cmvn.clone()))?;
    let fbank = bare.fbank();
    let waveform = Waveform::new(golden.floats("waveform")?)?;
    let mut report = Report::default();
    if golden.tensors().get("window").is_some() {
        let tolerance = |field: &str| -> Result<Tolerance> {
            Ok(Tolerance::Abs(golden.field(&format!("/tolerance/{field}"))?.as_f64().context("tolerance")?))
        };
        report.close("window", fbank.window(), &golden.floats("window")?, tolerance("window")?);
        report.close("mel_banks", &fbank.mel_banks(), &golden.floats("mel_banks")?, tolerance("mel_banks")?);
        report.close("cmvn_mean", cmvn.mean(), &golden.floats("cmvn_mean")?, Tolerance::Mixed { atol: 0.0, rtol: 1e-6 });
        report.close("cmvn_scale", cmvn.scale(), &golden.floats("cmvn_scale")?, Tolerance::Mixed { atol: 0.0, rtol: 1e-6 });
    }
    let mut features = fbank.offline(&waveform);
    two_tolerances(&mut report, golden, "fbank", &features, &golden.floats("fbank")?)?;
    // Normalised values are compared in units of the log-mel values, which is what their tolerance says.
    let undo = |values: Vec<f32>| -> Vec<f32> { values.iter().zip(cmvn.scale().iter().cycle()).map(|(v, scale)| v / scale).collect() };
    cmvn.apply(&mut features);
    two_tolerances(&mut report, golden, "cmvn", &undo(features), &undo(golden.floats("cmvn")?))?;
    two_tolerances(&mut report, golden, "splice", &undo(whole.offline(&waveform)), &undo(golden.floats("splice")?))?;
    Ok(report)
}

/// The largest error and that of the 99th percentile, each with its own limit.
fn two_tolerances(report: &mut Report, golden: &Golden, what: &str, got: &[f32], want: &[f32]) -> Result<()> {
    let limit = |name: &str| -> Result<f64> { golden.field(&format!("/tolerance/fbank/{name}"))?.as_f64().context("tolerance") };
    report.close(what, got, want, Tolerance::Abs(limit("max_abs")?));
    let mut errors: Vec<f64> = got.iter().zip(want).map(|(g, w)| f64::from((g - w).abs())).collect();
    errors.sort_by(f64::total_cmp);
    let error = errors.get(errors.len() * 99 / 100).copied().unwrap_or(f64::INFINITY);
    report.checks.push(Check { what: format!("{what}, 99th percentile"), used: error / limit("p99_abs")?, error, detail: String::new() });
    Ok(())
}

/// Each item of a padded batch equals the item alone.
fn fbank_batch(golden: &Golden, _: &Device) -> Result<Report> {
    let speech = Golden::open(&golden_root(), "audio/fbank_speech")?;
    let synth = Golden::open(&golden_root(), "audio/fbank_synth")?;
    let cmvn = statistics(&synth, "cmvn_stats")?;
    let front_end = front_end(&speech, speech.field("/config")?, Some(cmvn.clone()))?;
    let what = golden.field("/what")?.as_str().context("what")?;
    let start = number_after(what, "item 2 = samples")? as usize;
    let lengths = golden.integers("lengths")?;
    let (speech_samples, synth_samples) = (speech.floats("waveform")?, synth.floats("waveform")?);
    let items = [
        &speech_samples[..lengths[0] as usize],
        &synth_samples[..lengths[1] as usize],
        &speech_samples[start..start + lengths[2] as usize],
    ];
    let (shape, features, mask) = (golden.shape("features"), golden.floats("features")?, golden.integers("feature_mask")?);
    let (rows, width) = (shape[1], shape[2]);
    let undo = |values: &[f32]| -> Vec<f32> { values.iter().zip(cmvn.scale().iter().cycle()).map(|(v, scale)| v / scale).collect() };
    let mut report = Report::default();
    for (i, item) in items.into_iter().enumerate() {
        let valid = mask[i * rows..(i + 1) * rows].iter().filter(|m| **m != 0).count();
        report.equal(format!("item {i}, tokens"), &(front_end.count(item.len() as u64) as usize), &valid);
        let want = &features[i * rows * width..(i * rows + valid) * width];
        two_tolerances(&mut report, &speech, &format!("item {i}"), &undo(&front_end.offline(&Waveform::new(item.to_vec())?)), &undo(want))?;
    }
    Ok(report)
}

fn delta_splice_cmvn(golden: &Golden, _: &Device) -> Result<Report> {
    let mut report = Report::default();
    let (shape, features, lengths) = (golden.shape("features"), golden.floats("features")?, golden.integers("lengths")?);
    let (rows, width) = (shape[1], shape[2]);
    let item = |i: usize| &features[i * rows * width..(i * rows + lengths[i] as usize) * width];
    let docs = golden.field("/tensors")?.as_object().context("tensors")?;
    let delta_tolerance = Tolerance::Abs(number_after(&format!(" {}", golden.field("/tolerance/delta")?.as_str().context("delta")?), " ")?);
    for order in (1..).take_while(|order| docs.contains_key(&format!("delta{order}"))) {
        let kernels = golden.floats(&format!("delta{order}_kernels"))?;
        let taps = golden.shape(&format!("delta{order}_kernels"))[1];
        let delta = Delta::new(&DeltaConfig { order, window_size: (taps - 1) / (2 * order) }, width);
        for (o, kernel) in delta.kernels().iter().enumerate() {
            let mut padded = kernel.clone();
            padded.resize(taps, 0.0);
            report.close(format!("delta {order}, kernel {o}"), &padded, &kernels[o * taps..(o + 1) * taps], Tolerance::Abs(1e-6));
        }
        let want = golden.floats(&format!("delta{order}"))?;
        let out = delta.output_width();
        for i in 0..lengths.len() {
            let want = &want[i * rows * out..(i * rows + lengths[i] as usize) * out];
            report.close(format!("delta {order}, item {i}"), &delta.offline(item(i)), want, delta_tolerance);
        }
    }
    for name in docs.keys().filter(|name| name.starts_with("splice_") && !name.ends_with("_lens")) {
        let numbers: Vec<usize> = name.split('_').skip(1).map(str::parse).collect::<Result<_, _>>()?;
        let splice = Splice::new(&SpliceConfig { left: numbers[0], right: numbers[1], stride: numbers[2] }, width);
        let (want, shape, valid) = (golden.floats(name)?, golden.shape(name), golden.integers(&format!("{name}_lens"))?);
        for (i, valid) in valid.iter().enumerate() {
            report.equal(format!("{name}, item {i}, count"), &splice.count(lengths[i] as u64), &(*valid as u64));
            let start = i * shape[1] * shape[2];
            report.equal(format!("{name}, item {i}"), &splice.offline(item(i))[..], &want[start..start + *valid as usize * shape[2]]);
        }
    }
    let (_, file) = golden.tensors().bytes("kaldi_binary_file", &golden.shape("kaldi_binary_file"))?;
    for (what, cmvn) in
        [("statistics", statistics(golden, "cmvn_degenerate_stats")?), ("Kaldi file", Cmvn::parse(Path::new("kaldi_binary_file"), &file)?)]
    {
        report.close(
            format!("{what}, mean"),
            cmvn.mean(),
            &golden.floats("cmvn_degenerate_mean")?,
            Tolerance::Mixed { atol: 0.0, rtol: 1e-6 },
        );
        report.close(
            format!("{what}, scale"),
            cmvn.scale(),
            &golden.floats("cmvn_degenerate_scale")?,
            Tolerance::Mixed { atol: 0.0, rtol: 1e-6 },
        );
    }
    Ok(report)
}

fn resample(golden: &Golden, _: &Device) -> Result<Report> {
    let tolerance = max_abs(golden, "/tolerance")?;
    let mut report = Report::default();
    for name in golden.tensors().names().filter_map(|name| name.strip_prefix("in.")) {
        let (from, to) = name.split_once('_').context("rates")?;
        let input = Waveform::new(golden.floats(&format!("in.{name}"))?)?;
        let got = sinc_resample(&input, from.parse()?, to.parse()?)?;
        report.close(name, got.samples(), &golden.floats(&format!("out.{name}"))?, tolerance);
    }
    Ok(report)
}

fn tensor(golden: &Golden, name: &str, device: &Device) -> Result<Tensor<2>> {
    let shape = golden.shape(name);
    ensure!(shape.len() == 2, "{name} has {} axes", shape.len());
    Ok(Tensor::from_data(TensorData::new(golden.floats(name)?, shape), (device, DType::F32)))
}

fn values(x: Tensor<2>) -> Vec<f32> {
    x.into_data_dtype(DType::F32).try_into_vec().expect("f32 was asked for")
}

fn encoder_config(golden: &Golden, pointer: &str) -> Result<AudioEncoderConfig> {
    Ok(AudioEncoderConfig::parse(&golden.folder.join(&golden.name), &golden.field(pointer)?.to_string())?)
}

fn load_pair(golden: &Golden, device: &Device, dtype: DType) -> Result<(AudioEncoder, AudioProjector)> {
    let config = encoder_config(golden, "/config")?;
    let weights = Weights::from_checkpoint(golden.tensors(), device, dtype);
    let encoder = AudioEncoder::load(&weights.at("audio_encoder"), &config)?;
    let output = config.proj_output_dim.context("proj_output_dim")?;
    Ok((encoder, AudioProjector::load(&weights.at("audio_projector"), config.output_size(), output)?))
}

fn fsmn_encoder(golden: &Golden, device: &Device) -> Result<Report> {
    let tolerance = max_abs(golden, "/tolerance/f32 outputs")?;
    let mut report = Report::default();
    let (encoder, projector) = load_pair(golden, device, DType::F32)?;
    let features = tensor(golden, "in.features", device)?;
    every_layer(&mut report, golden, "", &encoder, features.clone(), tolerance)?;
    let output = encoder.offline(features.clone()).context("no output")?;
    report.close("projector", &values(projector.forward(output)), &golden.floats("out.projector")?, tolerance);
    golden.tensors().refuse_unread(|name| name.starts_with("out."))?;
    if device.supports_dtype(DType::BF16) {
        let (encoder, projector) = load_pair(golden, device, DType::BF16)?;
        let got = values(projector.forward(encoder.offline(features).context("no output")?));
        let want = golden.floats("out.projector_bf16")?;
        let text = golden.field("/tolerance/bf16 output")?.as_str().context("bf16 tolerance")?;
        report.close("projector in bf16", &got, &want, Tolerance::Abs(number_after(text, "max abs")?));
        let mean = got.iter().zip(&want).map(|(g, w)| f64::from((g - w).abs())).sum::<f64>() / want.len() as f64;
        report.checks.push(Check {
            what: "projector in bf16, mean".into(),
            used: mean / number_after(text, "mean abs")?,
            error: mean,
            detail: String::new(),
        });
    }
    Ok(report)
}

/// Runs the encoder stage by stage and compares what the golden has of each.
fn every_layer(
    report: &mut Report,
    golden: &Golden,
    prefix: &str,
    encoder: &AudioEncoder,
    features: Tensor<2>,
    tolerance: Tolerance,
) -> Result<()> {
    let mut compare = |name: String, got: &Tensor<2>| -> Result<()> {
        if golden.tensors().get(&format!("{prefix}{name}")).is_some() {
            report.close(name.clone(), &values(got.clone()), &golden.floats(&format!("{prefix}{name}"))?, tolerance);
        }
        Ok(())
    };
    let mut x = encoder.pre_ffn(features.clone());
    compare("out.pre_ffn".into(), &x)?;
    for (i, layer) in encoder.layers().iter().enumerate() {
        let (residual, memory) = layer.remember(&mut layer.start(), Some(x), true).context("no rows")?;
        compare(format!("out.layer{i}.memory"), &memory)?;
        x = layer.feed_forward(residual + memory);
        compare(format!("out.layer{i}"), &x)?;
    }
    let output = encoder.post_ffn(x);
    compare("out.encoder".into(), &output)?;
    compare("out.logits".into(), &encoder.ctc_head(output.clone()))?;
    let streamed = encoder.offline(features).context("no output")?;
    report.close("offline equals stage by stage", &values(streamed), &values(output), tolerance);
    Ok(())
}

/// The canonical result (each clip as if alone), and the padded batch of the published code rebuilt from our layers.
fn fsmn_encoder_batch(golden: &Golden, device: &Device) -> Result<Report> {
    let tolerance = max_abs(golden, "/tolerance")?;
    let single = Golden::open(&golden_root(), "audio/fsmn_encoder")?;
    let (encoder, projector) = load_pair(&single, device, DType::F32)?;
    let lengths = golden.integers("in.lengths")?;
    let first = tensor(&single, "in.features", device)?;
    let padded = tensor(golden, "in.features", device)?;
    let (rows, valid) = (padded.dims()[0], lengths[1] as usize);
    let second = padded.clone().slice([0..valid, 0..padded.dims()[1]]);
    let mut report = Report::default();

    let alone = encoder.offline(second.clone()).context("no output")?;
    report.close("item 1 alone", &values(alone.clone()), &golden.floats("out.encoder_single_item1")?, tolerance);
    let together = encoder.offline_batch(vec![first.clone(), second.clone()]);
    report.close("item 1 beside item 0", &values(together[1].clone().context("no output")?), &values(alone), Tolerance::Abs(1e-6));
    let mut x = encoder.pre_ffn(second);
    for (i, layer) in encoder.layers().iter().enumerate() {
        let (residual, memory) = layer.remember(&mut layer.start(), Some(x), true).context("no rows")?;
        x = layer.feed_forward(residual + memory);
        if golden.tensors().get(&format!("out.layer{i}_single_item1")).is_some() {
            report.close(format!("layer {i} alone"), &values(x.clone()), &golden.floats(&format!("out.layer{i}_single_item1"))?, tolerance);
        }
    }

    // The published batch masks before the norm, so padding enters the memory as the norm's bias.
    let masked = |x: Tensor<2>| {
        let width = x.dims()[1];
        Tensor::cat(vec![x.slice([0..valid, 0..width]), Tensor::zeros([rows - valid, width], device)], 0)
    };
    let mut x = encoder.pre_ffn(padded);
    for (i, layer) in encoder.layers().iter().enumerate() {
        let (residual, memory) = layer.remember(&mut layer.start(), Some(masked(x)), true).context("no rows")?;
        x = layer.feed_forward(residual + memory);
        if golden.tensors().get(&format!("out.layer{i}_batched_item1")).is_some() {
            let width = x.dims()[1];
            report.close(
                format!("layer {i} in the padded batch"),
                &values(x.clone().slice([0..valid, 0..width])),
                &golden.floats(&format!("out.layer{i}_batched_item1"))?,
                tolerance,
            );
        }
    }
    let x = masked(x);
    let width = x.dims()[1];
    let batched = encoder.post_ffn(x.slice([0..valid, 0..width]));
    report.close("item 1 in the padded batch", &values(batched.clone()), &golden.floats("out.encoder_batched_item1")?, tolerance);
    let flat = [encoder.offline(first).context("no output")?, batched].map(|x| values(projector.forward(x))).concat();
    report.close("projector rows in item order", &flat, &golden.floats("out.projector_flat")?, tolerance);
    Ok(report)
}

fn fsmn_variants(golden: &Golden, device: &Device) -> Result<Report> {
    let tolerance = max_abs(golden, "/tolerance")?;
    let mut report = Report::default();
    for variant in golden.field("/configs")?.as_object().context("configs")?.keys() {
        let config = encoder_config(golden, &format!("/configs/{variant}"))?;
        let weights = Weights::from_checkpoint(golden.tensors(), device, DType::F32);
        let encoder = AudioEncoder::load(&weights.at(variant), &config)?;
        every_layer(
            &mut report,
            golden,
            &format!("{variant}."),
            &encoder,
            tensor(golden, &format!("{variant}.in.features"), device)?,
            tolerance,
        )?;
    }
    golden.tensors().refuse_unread(|name| name.contains(".out."))?;
    Ok(report)
}
