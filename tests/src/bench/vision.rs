//! Benchmarks of vision: what one pair of pictures costs, which is one second of dense video.

use burn::tensor::{Device, Distribution, Tensor};
use caracal_edge::vision::{Grid, LongCatVit, Picture, PreprocessConfig, Preprocessor, RopeTable, VisionProjector, VitConfig};
use caracal_kernels::Weights;
use serde_json::{Value, json};

use super::{Measured, Options, median_seconds, peak_memory_bytes, reset_peak_memory};

/// The pair that every size is measured with: 576 patches, the released model's smallest picture.
const GRID: Grid = Grid { rows: 24, columns: 24 };
/// Seconds of dense video that one unit stands for.
const UNIT_SECONDS: f64 = 1.0;

/// The released shapes, or small ones; and the width of the language model.
fn shapes(full_size: bool) -> (Value, usize) {
    if full_size {
        (
            json!({ "hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16, "intermediate_size": 5184, "adaptor_dim": 7168 }),
            6144,
        )
    } else {
        (json!({ "hidden_size": 192, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 768, "adaptor_dim": 384 }), 256)
    }
}

/// Runs them, printing nothing.
///
/// # Errors
/// When a module cannot be built.
pub fn run(options: &Options) -> anyhow::Result<Vec<Measured>> {
    let (shape, output) = shapes(options.full_size);
    let config: VitConfig = serde_json::from_value(shape)?;
    Ok(vec![encoder(options, &config)?, projector(options, &config, output)?, preprocessing(options)?])
}

fn encoder(options: &Options, config: &VitConfig) -> anyhow::Result<Measured> {
    let vit = LongCatVit::load(&Weights::random(1, &options.device), config, RopeTable::F32)?;
    let rows = random([GRID.count(), config.patch_values()], &options.device);
    reset_peak_memory();
    let seconds = median_seconds(runs(options), || drop(vit.forward(rows.clone(), &[GRID]).into_data()));
    let (hidden, layers, patches) = (config.hidden_size as f64, config.num_hidden_layers as f64, GRID.count() as f64);
    let embedding = config.patch_values() as f64 * hidden;
    let parameters = embedding + layers * (4.0 * hidden * hidden + 3.0 * hidden * config.inner_size() as f64);
    let attention = layers * 4.0 * patches * patches * hidden;
    Ok(Measured {
        what: format!("LongCat-ViT ({:.0} M), one pair of {patches} patches", parameters / 1e6),
        seconds,
        media_seconds: Some(UNIT_SECONDS),
        flop: 2.0 * patches * parameters + attention,
        bytes: 4.0 * parameters,
        peak_memory_bytes: peak_memory_bytes(),
    })
}

fn projector(options: &Options, config: &VitConfig, output: usize) -> anyhow::Result<Measured> {
    let projector = VisionProjector::load(&Weights::random(2, &options.device), config, output)?;
    let x = random([GRID.count(), config.hidden_size], &options.device);
    reset_peak_memory();
    let seconds = median_seconds(runs(options), || drop(projector.forward(x.clone()).into_data()));
    let tokens = GRID.tokens().count() as f64;
    let parameters = (config.adaptor_dim * (2 * config.hidden_size + config.adaptor_dim + output)) as f64;
    Ok(Measured {
        what: format!("vision projector ({:.0} M), {tokens} tokens", parameters / 1e6),
        seconds,
        media_seconds: Some(UNIT_SECONDS),
        flop: 2.0 * tokens * parameters,
        bytes: 4.0 * parameters,
        peak_memory_bytes: peak_memory_bytes(),
    })
}

fn preprocessing(options: &Options) -> anyhow::Result<Measured> {
    let config: PreprocessConfig = serde_json::from_value(json!({ "resize_factor": 8, "relarge_ratio": 1, "max_tokens": 5832 }))?;
    let [height, width]: [u32; 2] = if options.full_size { [1080, 1920] } else { [270, 480] };
    let noise = (0..3 * height * width).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let picture = Picture::new("noise", height, width, noise)?;
    let preprocessor = Preprocessor::new(&config);
    reset_peak_memory();
    let mut values = 0;
    let mut failure = None;
    let seconds = median_seconds(5, || match preprocessor.still(&picture) {
        Ok(unit) => values = unit.rows.len(),
        Err(error) => failure = Some(error),
    });
    if let Some(error) = failure {
        return Err(error.into());
    }
    let [_, to_width] = config.size_rule().target(height, width, config.pixel_limits(1))?;
    // Each output value of a pass is a sum of as many taps as the kernel is wide.
    let taps = |from: u32, to: u32| 4.0 * (f64::from(from) / f64::from(to)).max(1.0);
    let narrowed = f64::from(height * to_width) * 3.0;
    let resized = values as f64 / 2.0;
    let to_height = resized / 3.0 / f64::from(to_width);
    Ok(Measured {
        what: format!("preprocessing of a {width}x{height} picture"),
        seconds,
        media_seconds: None,
        flop: 2.0 * (narrowed * taps(width, to_width) + resized * taps(height, to_height as u32)),
        bytes: 3.0 * f64::from(height * width) + 4.0 * values as f64,
        peak_memory_bytes: peak_memory_bytes(),
    })
}

fn runs(options: &Options) -> usize {
    if options.full_size { 3 } else { 7 }
}

fn random(shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), device)
}
