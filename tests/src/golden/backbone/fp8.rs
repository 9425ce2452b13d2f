//! Block FP8: codes and scales, the model with rounded weights, and with rounded activations too.

use anyhow::{Context, Result};
use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_cluster::backbone::LongCatFlash;
use caracal_cluster::backbone::fp8::{
    Quantized, ScaleFormat, decode, dequantize_blocks, dequantize_rows, encode, quantize_blocks, quantize_rows,
};
use caracal_cluster::backbone::mla::Context as Attend;
use caracal_cluster::backbone::projection::{Projection, Stored};
use caracal_cluster::backbone::rope::Rope;
use caracal_cluster::backbone::watcher::Unwatched;
use caracal_kernels::checkpoint::StoredDtype;
use caracal_kernels::{Checkpoint, Weights, ops};

use super::recorder::{Recorder, floats};
use super::tiny::{check_model, integers, stored};
use super::{ids, tolerance};
use crate::golden::{Golden, Report, Tolerance};

/// Bytes of activations that may differ by one code, one in this many.
const CODES_PER_DIFFERENCE: usize = 1000;
/// Relative L2 error of one block where all activation codes agree, and where one differs.
const BLOCK_L2: [f64; 2] = [1e-5, 1e-2];
/// Relative L2 error end to end, where codes that round the other way change what follows.
const LAYER_L2: f64 = 5e-2;
const LOGITS_L2: f64 = 1.5e-1;
/// Share of rows whose experts are the same.
const EQUAL_CHOICES: f64 = 0.9;

/// `backbone/fp8`
pub fn fp8(golden: &Golden, device: &Device) -> Result<Report> {
    let mut report = Report::default();
    units(&mut report, golden, device)?;
    weights_only(&mut report, golden, device)?;
    activations_too(&mut report, golden, device)?;
    Ok(report)
}

fn units(report: &mut Report, golden: &Golden, device: &Device) -> Result<()> {
    let file = golden.file("unit_quant.safetensors")?;
    let block: [usize; 2] = serde_json::from_value(golden.field("/config/quantization_config/weight_block_size")?.clone())?;
    let shape = |name: &str| file.get(name).map(|t| t.shape.clone()).with_context(|| format!("no tensor {name}"));
    let bits = |values: &[f32]| values.iter().map(|v| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() }).collect::<Vec<u32>>();
    let decoded: Vec<f32> = (0..=255).map(decode).collect();
    report.equal("value of each code", &bits(&decoded), &bits(&with_nan(&file, "e4m3_decode")?));
    let probe = stored(&file, "e4m3_probe")?;
    report.equal(
        "codes of the probe",
        &probe.iter().map(|v| i64::from(encode(*v))).collect::<Vec<_>>(),
        &integers(&file, "e4m3_probe_encoded")?,
    );

    let scales_within = tolerance(golden, "scales")?;
    let (w, width) = (stored(&file, "w")?, shape("w")?[1]);
    let quantized = quantize_blocks(&w, width, block);
    report.equal("codes of w", &quantized.codes[..], &codes(&file, "w_fp8")?[..]);
    report.close("scales of w", &quantized.scales, &stored(&file, "w_scale_inv")?, scales_within);
    let w = dequantize_blocks(&codes(&file, "w_fp8")?, &stored(&file, "w_scale_inv")?, width, block);
    report.close("w back", &w, &stored(&file, "w_dequant")?, Tolerance::Abs(0.0));

    let (x, rows, outer) = (stored(&file, "x")?, shape("x")?[0], shape("w")?[0]);
    for (suffix, format) in [("", ScaleFormat::F32), ("_ue8m0", ScaleFormat::PowerOfTwo)] {
        let quantized = quantize_rows(&x, width, block[1], format);
        let want = codes(&file, &format!("x_fp8{suffix}"))?;
        let different: Vec<u8> = quantized.codes.iter().zip(&want).map(|(a, b)| a.abs_diff(*b)).filter(|d| *d > 0).collect();
        let allowed = different.len() * CODES_PER_DIFFERENCE <= want.len()
            && different.iter().all(|d| *d == 1)
            && want.len() == quantized.codes.len();
        report.holds(format!("codes of x{suffix}"), allowed, format!("{} of {} differ, by {different:?}", different.len(), want.len()));
        report.close(format!("scales of x{suffix}"), &quantized.scales, &stored(&file, &format!("x_scale{suffix}"))?, scales_within);
        if format == ScaleFormat::PowerOfTwo {
            let exponents: Vec<i64> = quantized.scales.iter().map(|s| i64::from(s.to_bits() >> 23)).collect();
            report.equal("exponents of scales", &exponents, &integers(&file, "x_scale_ue8m0_exponent")?);
        }
        let stored_x = Quantized { codes: want, scales: stored(&file, &format!("x_scale{suffix}"))? };
        let tensor = |values: Vec<f32>, shape: [usize; 2]| Tensor::<2>::from_data(TensorData::new(values, shape), (device, DType::F32));
        let y = ops::linear(tensor(dequantize_rows(&stored_x, width, block[1]), [rows, width]), tensor(w.clone(), [outer, width]), None);
        report.close(format!("y{suffix}"), &floats(y), &stored(&file, &format!("y{suffix}"))?, tolerance(golden, "y")?);
    }
    Ok(())
}

fn weights_only(report: &mut Report, golden: &Golden, device: &Device) -> Result<()> {
    let (config, model) = LongCatFlash::open(&golden.folder.join("checkpoint"), device, false)?;
    let file = golden.file("weight_only_prefill_ids.safetensors")?;
    let checkpoint = Checkpoint::open(&golden.folder.join("checkpoint"))?;
    let weights = Weights::from_checkpoint(&checkpoint, device, DType::F32);
    let how = Stored::new(config.quantization_config.as_ref(), false);
    for name in file.names().filter(|n| n.starts_with("dequant.")) {
        let matrix =
            name.strip_prefix("dequant.").and_then(|n| n.strip_suffix(".weight")).with_context(|| format!("{name} names no weight"))?;
        let shape = &file.get(name).expect("its own name").shape;
        let got = Projection::load(&weights.at(matrix), shape[1], shape[0], &how)?.host_weight();
        report.close(name, &got, &stored(&file, name)?, Tolerance::Abs(0.0));
    }
    let (outputs, logits) = (tolerance(golden, "weight_only: layer outputs")?, tolerance(golden, "weight_only: logits")?);
    check_model(report, golden, "weight_only_", &config, model, &|name: &str| if name == "logits" { logits } else { outputs })
}

fn activations_too(report: &mut Report, golden: &Golden, device: &Device) -> Result<()> {
    let (config, model) = LongCatFlash::open(&golden.folder.join("checkpoint"), device, true)?;
    let file = golden.file("w8a8_prefill_ids.safetensors")?;
    let tensor = |name: &str| -> Result<Tensor<2>> {
        let values = stored(&file, name)?;
        Ok(Tensor::from_data(
            TensorData::new(values.clone(), [values.len() / config.hidden_size, config.hidden_size]),
            (device, DType::F32),
        ))
    };
    let layer = &model.layers[0];
    let (h, u) = (tensor("layer0.input_norm0.out")?, tensor("layer0.post_norm0.out")?);
    let rope = Rope::new(0..h.dims()[0], config.qk_rope_head_dim, config.rope_theta);
    let blocks = [
        ("layer0.attn0.out", layer.self_attn[0].forward(h, &rope, 0, &mut Attend::Offline { sequences: 1 })),
        ("layer0.mlp0.out", layer.mlps[0].forward(u.clone())),
        ("layer0.moe.out", layer.mlp.forward(u, 0, &mut Unwatched)),
    ];
    for (name, got) in blocks {
        let (got, want) = (floats(got), stored(&file, name)?);
        let error = relative_l2(&got, &want);
        // A code that rounds the other way changes its own row, in attention also those after it.
        let changed =
            got.chunks(config.hidden_size).zip(want.chunks(config.hidden_size)).filter(|(g, w)| relative_l2(g, w) >= BLOCK_L2[0]).count();
        let one_code = error < BLOCK_L2[1] && (changed <= 1 || name.contains("attn"));
        report.holds(
            format!("w8a8 {name} from the golden's own input"),
            error < BLOCK_L2[0] || one_code,
            format!("relative L2 {error:.1e}, {changed} rows changed"),
        );
    }

    let input_ids = ids(&integers(&file, "input_ids")?);
    let mut seen = Recorder::default();
    let hidden = model.offline(model.embed_tokens.forward(&input_ids), 1, &mut seen);
    model.text_logits(hidden, &mut seen);
    for (name, limit) in [("layer0.out", LAYER_L2), ("logits", LOGITS_L2)] {
        let error = relative_l2(seen.floats(name)?, &stored(&file, name)?);
        report.holds(format!("w8a8 {name}"), error < limit, format!("relative L2 {error:.1e}"));
    }
    for (name, share) in seen.equal_choices(&file)? {
        report.holds(format!("w8a8 {name}"), share >= EQUAL_CHOICES, format!("{share:.3} of the rows"));
    }
    Ok(())
}

fn relative_l2(got: &[f32], want: &[f32]) -> f64 {
    if got.len() != want.len() {
        return f64::INFINITY;
    }
    let square = |v: f64| v * v;
    let error: f64 = got.iter().zip(want).map(|(g, w)| square(f64::from(*g) - f64::from(*w))).sum();
    (error / want.iter().map(|w| square(f64::from(*w))).sum::<f64>()).sqrt()
}

/// The bytes of an 8-bit float tensor.
fn codes(file: &Checkpoint, name: &str) -> Result<Vec<u8>> {
    let entry = file.get(name).with_context(|| format!("no tensor {name}"))?;
    anyhow::ensure!(entry.dtype == StoredDtype::F8E4m3, "{name} is stored as {:?}", entry.dtype);
    Ok(file.bytes(name, &entry.shape)?.1.into_owned())
}

/// An f32 tensor that may hold NaN.
fn with_nan(file: &Checkpoint, name: &str) -> Result<Vec<f32>> {
    let entry = file.get(name).with_context(|| format!("no tensor {name}"))?;
    let bytes = file.bytes(name, &entry.shape)?.1;
    Ok(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
}
