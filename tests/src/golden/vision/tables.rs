//! Rules without tensors: frame sampling, and how far a conversation is pooled.

use anyhow::{Context, Result};
use burn::tensor::Device;
use caracal_edge::vision::{
    Clip, Grid, InterleavedOptions, Interleaving, PostSqueezeConfig, SamplingPlan, SqueezeOptions, VideoOptions, compression_ratio,
    sample_interleaved, sample_video, target_grid, timestamp_text,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::golden::{Golden, Report};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    bound: Option<[f64; 2]>,
    time_offset: f64,
    first_idx: u64,
    fps: Option<f64>,
    prefetch_duration: Option<f64>,
    frame_indices: Option<Vec<u64>>,
    sequential_sample_num_frame_per_sec: Option<f64>,
    sequential_max_num_sample_frame: Option<u32>,
}

pub(super) fn frame_sampling(golden: &Golden, _: &Device) -> Result<Report> {
    let mut report = Report::default();
    let cases = |kind: &str| -> Result<Vec<(String, Clip, Meta, Value)>> {
        let list = golden.field(&format!("/{kind}"))?.as_array().context("a list")?;
        let one = |case: &Value| {
            let clip =
                Clip { frames: serde_json::from_value(case["n_frames"].clone())?, fps: serde_json::from_value(case["fps"].clone())? };
            let what = format!("{kind} {} at {} {}", clip.frames, clip.fps, case["meta"]);
            Ok((what, clip, serde_json::from_value(case["meta"].clone())?, case.clone()))
        };
        list.iter().map(one).collect()
    };
    for (what, clip, meta, case) in cases("offline_video")? {
        if case.get("error").is_some() {
            // The published path has no timestamps for given frames; there is no such setting here.
            report.holds(what, meta.frame_indices.is_some(), "an error of another kind");
            continue;
        }
        let prefetched = meta.prefetch_duration.zip(meta.fps).map(|(seconds, fps)| [seconds, fps]);
        let options = VideoOptions { bound: meta.bound, first_frame: meta.first_idx, prefetched, time_offset: meta.time_offset };
        plan(&mut report, &what, &sample_video(clip, &options)?, &case)?;
    }
    for (what, clip, meta, case) in cases("interleaved")? {
        let options = InterleavedOptions {
            bound: meta.bound,
            units_a_second: meta.sequential_sample_num_frame_per_sec.unwrap_or(1.0),
            units_max: meta.sequential_max_num_sample_frame,
            frame_indices: meta.frame_indices.map(|list| list.len() as u32),
            time_offset: meta.time_offset,
        };
        let (sampled, interleaving) = sample_interleaved(clip, &options)?;
        plan(&mut report, &what, &sampled, &case)?;
        let strategy = match interleaving {
            Interleaving::Sequential => json!("sequential"),
            Interleaving::Average(units) => {
                report.equal(format!("{what} share"), &json!(units), &case["average_after"]);
                json!("average")
            }
        };
        report.equal(format!("{what} strategy"), &strategy, &case["strategy_after"]);
    }
    Ok(report)
}

fn plan(report: &mut Report, what: &str, plan: &SamplingPlan, case: &Value) -> Result<()> {
    report.equal(format!("{what} frames"), &json!(plan.indices), &case["frame_idx"]);
    report.equal(
        format!("{what} timestamps"),
        &json!(plan.seconds.iter().map(|s| timestamp_text(*s)).collect::<Vec<_>>()),
        &case["frame_secs"],
    );
    report.equal(format!("{what} duration"), &Some(plan.duration), &case["duration"].as_f64());
    if let Some(pictures) = case["n_images"].as_u64() {
        report.equal(format!("{what} pictures"), &(plan.indices.len() as u64), &pictures);
    }
    Ok(())
}

#[derive(Deserialize)]
struct Squeeze {
    items: Vec<SqueezeItem>,
    fix_times: f64,
    fix_tokens: i64,
    max_vision_length: u64,
    min_tokens_video: u64,
    max_tokens_video: u64,
    max_tokens: u64,
    tokens_before: Vec<u64>,
    ratio: f64,
    resized_grids: Vec<Vec<[u32; 2]>>,
    tokens_after: Vec<Vec<usize>>,
}

#[derive(Deserialize)]
struct SqueezeItem {
    grids: Vec<[u32; 2]>,
}

pub(super) fn post_squeeze(golden: &Golden, _: &Device) -> Result<Report> {
    let mut report = Report::default();
    for (index, case) in golden.field("/cases")?.as_array().context("cases")?.iter().enumerate() {
        let case: Squeeze = serde_json::from_value(case.clone())?;
        let config: PostSqueezeConfig = serde_json::from_value(
            json!({ "max_tokens": case.max_tokens, "min_tokens_video": case.min_tokens_video, "max_tokens_video": case.max_tokens_video }),
        )?;
        let options = SqueezeOptions {
            fixed_ratio: (case.fix_times > 0.0).then_some(case.fix_times),
            fixed_tokens: u64::try_from(case.fix_tokens).ok().filter(|tokens| *tokens > 0),
            vision_tokens_max: case.max_vision_length,
        };
        let grids: Vec<Vec<Grid>> = case
            .items
            .iter()
            .map(|item| item.grids.iter().map(|[rows, columns]| Grid { rows: *rows, columns: *columns }).collect())
            .collect();
        let tokens: Vec<u64> = grids.iter().flatten().map(|grid| grid.tokens().count() as u64).collect();
        report.equal(format!("case {index} tokens before"), &tokens, &case.tokens_before);
        let ratio = compression_ratio(&tokens, &config, &options);
        report.equal(format!("case {index} ratio"), &ratio, &case.ratio);
        let targets = grids
            .iter()
            .map(|unit| unit.iter().map(|grid| target_grid(*grid, ratio, &config)).collect())
            .collect::<Result<Vec<Vec<Grid>>, _>>()?;
        let resized: Vec<Vec<[u32; 2]>> =
            targets.iter().map(|item| item.iter().map(|grid| [grid.rows, 2 * grid.columns]).collect()).collect();
        report.equal(format!("case {index} grids"), &resized, &case.resized_grids);
        let after: Vec<Vec<usize>> = targets.iter().map(|item| item.iter().map(|grid| grid.count()).collect()).collect();
        report.equal(format!("case {index} tokens after"), &after, &case.tokens_after);
    }
    Ok(report)
}
