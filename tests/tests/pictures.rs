//! What the vision side promises beyond the goldens: any size, any picture, any batch.

use burn::tensor::{DType, Device};
use caracal_edge::vision::{Grid, Picture, PixelLimits, RopeTable, SizeRule, VisionEncoder, VisualUnit, VitConfig, resize_bicubic};
use caracal_kernels::Weights;
use caracal_tests::streaming::relative_error;
use proptest::prelude::*;
use serde_json::json;

fn noise(count: usize, seed: u64) -> impl Iterator<Item = u8> {
    (0..count as u64).map(move |i| ((i + 1).wrapping_mul(seed | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
}

/// One pass of antialiased bicubic in f64, straight from the definition, over lines of `count_in` values.
fn resize_lines_exactly(lines: &[Vec<u8>], count_in: usize, count_out: usize) -> Vec<Vec<f64>> {
    fn kernel(x: f64) -> f64 {
        match x.abs() {
            x if x < 1.0 => 1.5 * x.powi(3) - 2.5 * x.powi(2) + 1.0,
            x if x < 2.0 => -0.5 * x.powi(3) + 2.5 * x.powi(2) - 4.0 * x + 2.0,
            _ => 0.0,
        }
    }
    let scale = count_in as f64 / count_out as f64;
    let stretch = scale.max(1.0);
    let weights = |out: usize| (0..count_in).map(move |j| kernel((j as f64 + 0.5 - (out as f64 + 0.5) * scale) / stretch));
    let value = |line: &Vec<u8>, out: usize| {
        let sum: f64 = weights(out).zip(line).map(|(w, v)| w * f64::from(*v)).sum();
        (sum / weights(out).sum::<f64>()).clamp(0.0, 255.0)
    };
    lines.iter().map(|line| (0..count_out).map(|out| value(line, out)).collect()).collect()
}

/// The lines of one channel of a picture along its rows.
fn rows_of(picture: &Picture, channel: usize) -> Vec<Vec<u8>> {
    picture.rgb().chunks(3 * picture.width() as usize).map(|row| row.iter().skip(channel).step_by(3).copied().collect()).collect()
}

/// The lines of one channel of a picture along its columns.
fn columns_of(picture: &Picture, channel: usize) -> Vec<Vec<u8>> {
    let rows = rows_of(picture, channel);
    (0..picture.width() as usize).map(|x| rows.iter().map(|row| row[x]).collect()).collect()
}

proptest! {
    #[test]
    fn each_pass_of_the_resize_is_within_one_level_of_the_exact_filter(h in 1u32..40, w in 1u32..40, to_h in 1u32..50, to_w in 1u32..50, seed: u64, smooth: bool) {
        let count = 3 * (h * w) as usize;
        let rgb = if smooth { (0..count).map(|i| (i * 255 / count) as u8).collect() } else { noise(count, seed).collect() };
        let picture = Picture::new("test", h, w, rgb).unwrap();
        let narrowed = resize_bicubic(&picture, h, to_w);
        let resized = resize_bicubic(&narrowed, to_h, to_w);
        prop_assert_eq!(&resize_bicubic(&picture, to_h, to_w), &resized, "horizontal first, bytes in between");
        for channel in 0..3 {
            let horizontal = resize_lines_exactly(&rows_of(&picture, channel), w as usize, to_w as usize);
            let vertical = resize_lines_exactly(&columns_of(&narrowed, channel), h as usize, to_h as usize);
            let got = rows_of(&narrowed, channel).concat().into_iter().chain(columns_of(&resized, channel).concat());
            for (got, want) in got.zip(horizontal.concat().into_iter().chain(vertical.concat())) {
                prop_assert!((f64::from(got) - want).abs() <= 0.51, "{got} for {want}");
            }
        }
    }

    #[test]
    fn sizes_are_whole_patches_within_the_limits(h in 1u32..5000, w in 1u32..5000, granularity in 1u32..10, min in 1u64..600, spare in 1u64..6000) {
        let rule = SizeRule { patch: 14, factor: 28 * granularity };
        let limits = PixelLimits { min: min * 196, max: (min + spare) * 196 };
        let Ok([out_h, out_w]) = rule.target(h, w, limits) else {
            prop_assert!(limits.max < u64::from(rule.factor).pow(2), "{h}x{w} has room in {limits:?}");
            return Ok(());
        };
        prop_assert!(out_h.is_multiple_of(rule.factor) || out_w == rule.factor, "{out_h} of {rule:?}");
        prop_assert!(out_w.is_multiple_of(rule.factor) || out_h == rule.factor, "{out_w} of {rule:?}");
        prop_assert!(out_h.is_multiple_of(14) && out_w.is_multiple_of(28));
        let area = u64::from(out_h) * u64::from(out_w);
        // Only a picture that had to grow may pass the upper limit, by less than one step a side.
        let step = u64::from(rule.factor);
        prop_assert!(area <= limits.max || u64::from(out_h).saturating_sub(step) * u64::from(out_w).saturating_sub(step) <= limits.min, "{out_h}x{out_w}");
        if (h.max(w) / h.min(w)) < 4 && u64::from(h) * u64::from(w) >= limits.min && limits.max > 16 * step * step {
            let (before, after) = (f64::from(h) / f64::from(w), f64::from(out_h) / f64::from(out_w));
            prop_assert!((0.3..3.0).contains(&(before / after)), "{h}x{w} loses its proportions: {out_h}x{out_w}");
        }
    }
}

fn config() -> VitConfig {
    let config = json!({ "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 60, "patch_size": 2, "adaptor_dim": 20 });
    serde_json::from_value(config).unwrap()
}

fn encoder(config: &VitConfig) -> VisionEncoder {
    let weights = Weights::random(3, &Device::flex());
    VisionEncoder::load(&weights, &weights, config, 16, RopeTable::F32).unwrap()
}

fn unit(rows: u32, columns: u32, seed: u64) -> VisualUnit {
    let grid = Grid { rows, columns };
    VisualUnit { grid, rows: noise(grid.count() * config().patch_values(), seed).map(|v| f32::from(v) / 64.0 - 2.0).collect() }
}

fn embed(encoder: &VisionEncoder, units: &[&VisualUnit]) -> Vec<Vec<f32>> {
    let units: Vec<_> = units.iter().map(|unit| (*unit, unit.grid.tokens())).collect();
    encoder.embed(&units).into_iter().map(|tokens| tokens.into_data_dtype(DType::F32).try_into_vec().unwrap()).collect()
}

proptest! {
    #[test]
    fn a_unit_alone_equals_the_unit_in_a_batch(sizes in prop::collection::vec((1u32..7, 1u32..5), 1..6), seed: u64) {
        let encoder = encoder(&config());
        let units: Vec<VisualUnit> = sizes.iter().enumerate().map(|(i, (rows, pairs))| unit(*rows, 2 * pairs, seed ^ i as u64)).collect();
        let together = embed(&encoder, &units.iter().collect::<Vec<_>>());
        prop_assert_eq!(together.len(), units.len());
        for (unit, together) in units.iter().zip(together) {
            let alone = embed(&encoder, &[unit]).remove(0);
            prop_assert!(relative_error(&together, &alone) <= 1e-5, "{:?}", unit.grid);
        }
    }
}

#[test]
fn a_long_video_goes_through_in_parts_with_the_same_result() {
    let encoder = encoder(&config());
    let units: Vec<VisualUnit> = (0..7).map(|i| unit(24, 24 + 2 * (i % 2), 100 + u64::from(i))).collect();
    let together = embed(&encoder, &units.iter().collect::<Vec<_>>());
    for (unit, together) in units.iter().zip(together) {
        assert!(relative_error(&together, &embed(&encoder, &[unit]).remove(0)) <= 1e-5);
    }
}

#[test]
fn the_encoder_that_training_differentiates_computes_the_same() {
    let unit = unit(4, 6, 9);
    let run = |device: &Device| {
        let weights = Weights::random(3, device);
        let encoder = VisionEncoder::load(&weights, &weights, &config(), 16, RopeTable::F32).unwrap();
        embed(&encoder, &[&unit]).remove(0)
    };
    assert!(relative_error(&run(&Device::flex().autodiff()), &run(&Device::flex())) <= 1e-5);
}
