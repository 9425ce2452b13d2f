//! Rotary tables, the encoder with all its intermediate results, the projector, and pooling.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_edge::vision::{Grid, LongCatVit, Rope2d, RopeTable, VisionProjector, VitConfig, pool};
use caracal_kernels::{Checkpoint, Weights, ops};
use half::bf16;
use serde_json::Value;

use crate::golden::{Golden, Report, Tolerance};

fn grids(value: &Value) -> Result<Vec<Grid>> {
    let list: Vec<[u32; 3]> = serde_json::from_value(value.clone())?;
    Ok(list.into_iter().map(|[t, rows, columns]| Grid { rows: t * rows, columns }).collect())
}

fn floats(file: &Checkpoint, name: &str) -> Result<(Vec<f32>, Vec<usize>)> {
    let shape = file.get(name).with_context(|| format!("no tensor `{name}`"))?.shape.clone();
    Ok((file.floats(name, &shape)?, shape))
}

fn tensor(values: Vec<f32>, shape: &[usize], device: &Device, dtype: DType) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, [shape[0], shape[1..].iter().product()]), (device, dtype))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data_dtype(DType::F32).try_into_vec().expect("f32 was asked for")
}

/// Each value at most one bf16 number away from the golden's.
fn within_one_step(report: &mut Report, what: impl Into<String>, got: &[f32], want: &[f32]) {
    let rank = |v: &f32| {
        let bits = i32::from(bf16::from_f32(*v).to_bits());
        if bits & 0x8000 == 0 { bits } else { 0x8000 - bits }
    };
    let far = got.iter().zip(want).position(|(g, w)| (rank(g) - rank(w)).abs() > 1);
    let detail = far.map_or_else(String::new, |i| format!("element {i}: {} for {}", got[i], want[i]));
    report.holds(what, got.len() == want.len() && !want.is_empty() && far.is_none(), detail);
}

pub(super) fn rope_paper(golden: &Golden, _: &Device) -> Result<Report> {
    let mut report = Report::default();
    let head_size = golden.field("/config/head_size")?.as_u64().context("head_size")? as usize;
    let theta = golden.field("/config/theta")?.as_f64().context("theta")?;
    let positions: Vec<u32> = golden.integers("pos")?.into_iter().map(|p| p as u32).collect();
    for (table, suffix) in [(RopeTable::F32, "f32"), (RopeTable::Demo, "bf16")] {
        let rope = Rope2d::new(head_size, theta, table);
        let angles: Vec<f32> = positions.iter().flat_map(|p| rope.angles(*p)).collect();
        let want = |name: &str| golden.floats(&format!("{name}_{suffix}"));
        let [cos, sin] = [0, 1].map(|part| angles.iter().map(|a| rope.cos_sin(*a)[part]).collect::<Vec<_>>());
        if table == RopeTable::F32 {
            report.close("inv_freq", rope.frequencies(), &want("inv_freq")?, Tolerance::Mixed { atol: 0.0, rtol: 1e-6 });
            report.close("angle", &angles, &want("angle")?, Tolerance::Mixed { atol: 0.0, rtol: 1e-6 });
            report.close("cos", &cos, &want("cos")?, Tolerance::Abs(1e-4));
            report.close("sin", &sin, &want("sin")?, Tolerance::Abs(1e-4));
        } else {
            report.equal("inv_freq in bf16", rope.frequencies(), &want("inv_freq")?[..]);
            report.equal("angle in bf16", &angles, &want("angle")?);
            within_one_step(&mut report, "cos in bf16", &cos, &want("cos")?);
            within_one_step(&mut report, "sin in bf16", &sin, &want("sin")?);
        }
    }
    Ok(report)
}

pub(super) fn rope_apply(golden: &Golden, device: &Device) -> Result<Report> {
    let mut report = Report::default();
    let head_size = golden.field("/config/head_size")?.as_u64().context("head_size")? as usize;
    let rope = Rope2d::new(head_size, golden.field("/config/theta")?.as_f64().context("theta")?, RopeTable::F32);
    let [_, rows, columns]: [u32; 3] = serde_json::from_value(golden.field("/config/grid")?.clone())?;
    let grid = Grid { rows, columns };
    report.close("angle", &rope.grid_angles(grid, 1), &golden.floats("angle")?, Tolerance::Abs(2e-6));
    let (q, shape) = floats(golden.tensors(), "q")?;
    let turned = rope.rotation(&[grid], 1, device).apply(tensor(q, &shape, device, DType::F32));
    report.close("q_rot", &values(turned), &golden.floats("q_rot")?, Tolerance::Abs(2e-6));
    for name in golden.tensors().names().filter(|name| name.starts_with("angle_merge")) {
        let parts: Vec<u32> = name.trim_start_matches("angle_merge").split(['_', 'x']).filter_map(|part| part.parse().ok()).collect();
        let [merge, _, rows, columns] = parts[..] else { anyhow::bail!("`{name}` does not name its grid") };
        report.close(name, &rope.grid_angles(Grid { rows, columns }, merge), &golden.floats(name)?, Tolerance::Abs(2e-6));
    }
    Ok(report)
}

pub(super) fn vit_tiny(golden: &Golden, device: &Device) -> Result<Report> {
    let mut report = Report::default();
    let config: VitConfig = serde_json::from_value(golden.field("/config")?.clone())?;
    let output = golden.field("/proj_output_dim")?.as_u64().context("proj_output_dim")? as usize;
    report.equal("inner width", &Some(config.inner_size() as u64), &golden.field("/inner_size")?.as_u64());
    let weights = golden.file("vit_tiny_weights.safetensors")?;
    let inputs = golden.file("vit_tiny_fp32.safetensors")?;
    // GPUs have no bf16 here: that run is the CPU's.
    let narrow = ops::is_plain_cpu(device).then_some((DType::BF16, RopeTable::Demo, "bf16"));
    for (dtype, table, run) in [Some((DType::F32, RopeTable::F32, "fp32")), narrow].into_iter().flatten() {
        let wanted = golden.file(&format!("vit_tiny_{run}.safetensors"))?;
        let root = Weights::from_checkpoint(&weights, device, dtype);
        let vit = LongCatVit::load(&root.at("vision_model"), &config, table)?;
        let projector = VisionProjector::load(&root.at("vision_projector"), &config, output)?;
        weights.refuse_unread(|_| false)?;
        for (item, rows_name) in [("images", "images.rows"), ("video", "video.rows_bf16")] {
            let grids = grids(golden.field(&format!("/{item}/grids"))?)?;
            let (rows, shape) = floats(&inputs, rows_name)?;
            let mut got = BTreeMap::new();
            let encoded = vit.forward_traced(tensor(rows, &shape, device, dtype), &grids, &mut |name, value| {
                got.insert(format!("{item}.{name}"), values(value.clone()));
            });
            let rope = Rope2d::new(config.head_size(), config.rope_theta, table);
            got.insert(
                format!("{item}.rope_angle"),
                grids.iter().flat_map(|grid| rope.grid_angles(*grid, config.spatial_merge_size)).collect(),
            );
            got.insert(format!("{item}.encoder_out"), values(encoded.clone()));
            got.insert(format!("{item}.projector_out"), values(projector.forward(encoded)));
            for name in wanted.names().filter(|name| name.starts_with(&format!("{item}.")) && !name.contains("rows")) {
                let (want, _) = floats(&wanted, name)?;
                let got = got.get(name).with_context(|| format!("`{name}` is not traced"))?;
                compare(&mut report, run, name, got, &want);
            }
        }
    }
    Ok(report)
}

fn compare(report: &mut Report, run: &str, name: &str, got: &[f32], want: &[f32]) {
    let what = format!("{run} {name}");
    match (run, name.split_once('.').map_or(name, |(_, rest)| rest)) {
        ("fp32", "rope_angle") => report.close(what, got, want, Tolerance::Mixed { atol: 0.0, rtol: 1e-6 }),
        ("fp32", _) => report.close(what, got, want, Tolerance::Abs(2e-5)),
        (_, "rope_angle") => report.equal(what, got, want),
        (_, "embed") => within_one_step(report, what, got, want),
        _ => {
            let mean = got.iter().zip(want).map(|(g, w)| f64::from((g - w).abs())).sum::<f64>() / want.len() as f64;
            report.close(&*what, got, want, Tolerance::Abs(0.06));
            report.holds(format!("{what} on average"), mean <= 0.01, format!("mean error {mean}"));
        }
    }
}

pub(super) fn pooling(golden: &Golden, device: &Device) -> Result<Report> {
    let mut report = Report::default();
    for case in golden.field("/cases")?.as_array().context("cases")? {
        let name = case["name"].as_str().context("name")?;
        let from = grids(&case["grids"])?;
        let to: Vec<[u32; 2]> = serde_json::from_value(case["resized_grids"].clone())?;
        let (input, shape) = floats(golden.tensors(), &format!("{name}.in"))?;
        let run = |dtype| {
            let x = tensor(input.clone(), &shape, device, dtype);
            let mut first = 0;
            let units = from.iter().zip(&to).map(|(from, [rows, columns])| {
                let tokens = x.clone().narrow(0, first, from.tokens().count());
                first += from.tokens().count();
                pool(tokens, from.tokens(), Grid { rows: *rows, columns: *columns }.tokens())
            });
            values(Tensor::cat(units.collect(), 0))
        };
        report.close(name, &run(DType::F32), &golden.floats(&format!("{name}.out"))?, Tolerance::Abs(5e-6));
        if ops::is_plain_cpu(device) {
            within_one_step(&mut report, format!("{name} in bf16"), &run(DType::BF16), &golden.floats(&format!("{name}.out_bf16"))?);
        }
    }
    Ok(report)
}
