//! The size rule, the resize and the whole preprocessing, exact to the byte and bit.

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use caracal_edge::vision::{
    Picture, PixelLimits, PreprocessConfig, Preprocessor, SizeRule, VisualUnit, composite_over_white, resize_bicubic,
};
use half::bf16;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::golden::{Golden, Report};

#[derive(Deserialize)]
struct Limits {
    factor: u32,
    min_tokens: u64,
    min_pixels: u64,
    max_pixels: u64,
}

pub(super) fn smart_resize(golden: &Golden, _: &Device) -> Result<Report> {
    let mut report = Report::default();
    for case in golden.field("/cases")?.as_array().context("cases")? {
        let name = case["cfg"].as_str().context("cfg")?;
        let limits: Limits = serde_json::from_value(golden.field(&format!("/configs/{name}"))?.clone())?;
        let patch = (limits.min_pixels / limits.min_tokens).isqrt() as u32;
        let rule = SizeRule { patch, factor: limits.factor };
        let [h, w]: [u32; 2] = [serde_json::from_value(case["h"].clone())?, serde_json::from_value(case["w"].clone())?];
        let want: [u32; 2] = serde_json::from_value(case["out"].clone())?;
        report.equal(
            format!("{name} {h}x{w}"),
            &rule.target(h, w, PixelLimits { min: limits.min_pixels, max: limits.max_pixels }).ok(),
            &Some(want),
        );
    }
    Ok(report)
}

/// The pictures that the sidecars describe by formula.
fn formula(name: &str, height: u32, width: u32) -> Result<Picture> {
    let (base, flip) = name.split_once(" flipped ").unwrap_or((name, ""));
    let mut rgb = Vec::with_capacity(3 * height as usize * width as usize);
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let (y, x) = match flip {
            "" => (y, x),
            "top-bottom" => (height - 1 - y, x),
            "left-right" => (y, width - 1 - x),
            other => bail!("unknown flip `{other}`"),
        };
        match base {
            "ramp" => rgb.extend([(7 * x + 3 * y) % 256, (x * y + 5 * x) % 256, (x ^ (3 * y)) & 255].map(|v| v as u8)),
            "checker" => {
                let v = ((x / 3 + y / 2) % 2 * 255) as u8;
                rgb.extend([v, 255 - v, v]);
            }
            other => bail!("unknown picture `{other}`"),
        }
    }
    Ok(Picture::new(name, height, width, rgb)?)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Deserialize)]
struct Resize {
    image: String,
    h: u32,
    w: u32,
    out_h: u32,
    out_w: u32,
    sha256: String,
}

pub(super) fn bicubic(golden: &Golden, _: &Device) -> Result<Report> {
    let mut report = Report::default();
    for case in golden.field("/cases")?.as_array().context("cases")? {
        let case: Resize = serde_json::from_value(case.clone())?;
        let out = resize_bicubic(&formula(&case.image, case.h, case.w)?, case.out_h, case.out_w);
        report.equal(format!("{} {}x{} to {}x{}", case.image, case.h, case.w, case.out_h, case.out_w), &sha256(out.rgb()), &case.sha256);
    }
    Ok(report)
}

#[derive(Deserialize)]
struct Item {
    name: String,
    config: String,
    is_video: bool,
    input_hw: Vec<[u32; 2]>,
    input_modes: Vec<String>,
    loader_convert_rgb: bool,
    input_formula: Option<String>,
    grids: Vec<[u32; 3]>,
    rows: [usize; 2],
    resized_sha256: Vec<String>,
    rows_f32_sha256: String,
    rows_bf16_sha256: String,
}

pub(super) fn preprocess(golden: &Golden, _: &Device) -> Result<Report> {
    let mut report = Report::default();
    for case in golden.field("/cases")?.as_array().context("cases")? {
        item(golden, case, &mut report)?;
    }
    Ok(report)
}

fn item(golden: &Golden, case: &Value, report: &mut Report) -> Result<()> {
    let case: Item = serde_json::from_value(case.clone())?;
    let config: PreprocessConfig = serde_json::from_value(golden.field(&format!("/configs/{}", case.config))?.clone())?;
    let pictures = (0..case.input_hw.len()).map(|index| input(golden, &case, index)).collect::<Result<Vec<_>>>()?;

    let limits = config.pixel_limits(pictures.len());
    for (index, (picture, want)) in pictures.iter().zip(&case.resized_sha256).enumerate() {
        let [height, width] = config.size_rule().target(picture.height(), picture.width(), limits)?;
        let resized = resize_bicubic(picture, height, width);
        report.equal(format!("{} resized {index}", case.name), &sha256(resized.rgb()), want);
        let stored = format!("{}.resized{index}", case.name);
        if golden.tensors().get(&stored).is_some() {
            report.equal(&*stored, &resized.rgb().iter().map(|v| i64::from(*v)).collect::<Vec<_>>(), &golden.integers(&stored)?);
        }
    }

    let preprocessor = Preprocessor::new(&config);
    let units = if case.is_video { preprocessor.video(&pictures)? } else { vec![preprocessor.still(&pictures[0])?] };
    let grids: Vec<[u32; 3]> = units.iter().map(|unit| [1, unit.grid.rows, unit.grid.columns]).collect();
    report.equal(format!("{} grids", case.name), &grids, &case.grids);
    let rows: Vec<f32> = units.into_iter().flat_map(|VisualUnit { rows, .. }| rows).collect();
    report.equal(format!("{} count", case.name), &rows.len(), &case.rows.iter().product());
    let bytes: Vec<u8> = rows.iter().flat_map(|v| v.to_le_bytes()).collect();
    report.equal(format!("{} rows", case.name), &sha256(&bytes), &case.rows_f32_sha256);
    let bytes: Vec<u8> = rows.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect();
    report.equal(format!("{} rows in bf16", case.name), &sha256(&bytes), &case.rows_bf16_sha256);
    let stored = format!("{}.rows", case.name);
    if golden.tensors().get(&stored).is_some() {
        report.equal(&*stored, &rows, &golden.floats(&stored)?);
    }
    Ok(())
}

/// Picture `index` of a case, from its tensor or its formula, in RGB.
fn input(golden: &Golden, case: &Item, index: usize) -> Result<Picture> {
    let [height, width] = case.input_hw[index];
    if let Some(formulas) = &case.input_formula {
        let one = formulas.split(", ").nth(index).with_context(|| format!("{}: no formula {index}", case.name))?;
        return formula(one.trim_start_matches(&format!("frame{index} ")), height, width);
    }
    let bytes: Vec<u8> = golden.integers(&format!("{}.in{index}", case.name))?.into_iter().map(|v| v as u8).collect();
    let rgb = match (case.input_modes[index].as_str(), case.loader_convert_rgb) {
        ("RGB", _) => bytes,
        ("RGBA", true) => bytes.as_chunks().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect(),
        ("RGBA", false) => composite_over_white(&bytes),
        ("L", false) => composite_over_white(&bytes.iter().flat_map(|v| [*v, *v, *v, 255]).collect::<Vec<_>>()),
        (mode, _) => bail!("{}: unknown mode {mode}", case.name),
    };
    Ok(Picture::new(&case.name, height, width, rgb)?)
}
