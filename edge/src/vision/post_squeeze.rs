//! Pooling after the projector, so that a conversation's pictures fit: how much, to which grids, and the pooling itself.
//!
//! The ratio is one for a whole conversation. The placeholder counts of the prompt are the pooled counts, so
//! [`compression_ratio`] and [`target_grid`] run before tokenisation and [`pool`] afterwards. A live session cannot pool
//! what the model has already seen: it caps its units instead ([`super::Preprocessor::live`]).
//!
//! Source: `v_post_squeeze` of the published code; vision.md section 4.

use burn::tensor::{DType, Int, Tensor, TensorData};

use super::config::PostSqueezeConfig;
use super::patches::Grid;
use super::{PictureError, PixelLimits, SizeRule};

/// Tokens of all pictures of a conversation that the published demo lets through (`max_vision_length`).
pub const VISION_TOKENS_MAX: u64 = 28_672;

/// Settings that go with a conversation, not with the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SqueezeOptions {
    /// Pool by this factor, whatever the length.
    pub fixed_ratio: Option<f64>,
    /// Else pool so that the first unit keeps this many tokens.
    pub fixed_tokens: Option<u64>,
    /// Most tokens of all pictures together.
    pub vision_tokens_max: u64,
}

impl Default for SqueezeOptions {
    /// The settings of the published demo.
    fn default() -> Self {
        Self { fixed_ratio: None, fixed_tokens: None, vision_tokens_max: VISION_TOKENS_MAX }
    }
}

/// By how much the units of a conversation are pooled; at most 1 means not at all. `tokens` are those of every unit of
/// every user turn, in order.
///
/// # Source
/// vision.md 4.1.
pub fn compression_ratio(tokens: &[u64], config: &PostSqueezeConfig, options: &SqueezeOptions) -> f64 {
    let Some(first) = tokens.first() else { return 1.0 };
    let total = tokens.iter().sum::<u64>() as f64;
    let to_budget = total / config.max_tokens_video as f64;
    let ratio = match (options.fixed_ratio, options.fixed_tokens) {
        (Some(ratio), _) => ratio,
        (None, Some(wanted)) => round_to_tenth(*first as f64 / wanted as f64).max(to_budget),
        (None, None) => to_budget.max(1.0),
    };
    let left = if ratio > 1.0 { total / ratio } else { total };
    let most = options.vision_tokens_max as f64;
    if left > most { (total / most * 10.0).ceil() / 10.0 } else { ratio }
}

fn round_to_tenth(x: f64) -> f64 {
    format!("{x:.1}").parse().expect("a printed number")
}

/// The grid of tokens that a unit of `patches` is pooled to. Rounding can make a side grow.
///
/// # Errors
/// [`PictureError::PooledAway`] when no token would be left.
///
/// # Source
/// vision.md 4.2.
pub fn target_grid(patches: Grid, ratio: f64, config: &PostSqueezeConfig) -> Result<Grid, PictureError> {
    let tokens = patches.tokens();
    if ratio <= 1.0 {
        return Ok(tokens);
    }
    let area = u64::from(config.patch_size).pow(2);
    let cap = ((tokens.count() as f64 / ratio) as u64).min(config.max_tokens);
    let limits = PixelLimits { min: config.min_tokens_video * area, max: cap * area };
    let rule = SizeRule { patch: config.patch_size, factor: 2 * config.patch_size };
    match rule.target(tokens.rows * config.patch_size, tokens.columns * config.patch_size, limits) {
        Ok([height, width]) => Ok(Grid { rows: height / config.patch_size, columns: width / config.patch_size }),
        Err(_) => Err(PictureError::PooledAway { rows: tokens.rows, columns: tokens.columns, ratio }),
    }
}

/// Pools the tokens of one unit: bilinear between half-pixel centres, without antialiasing, in f32. Where a side shrinks
/// to less than half, tokens are skipped.
///
/// # Shapes
/// x: `[from.count(), width]` → `[to.count(), width]`, both row-major over their grids
///
/// # Panics
/// When `x` does not hold the tokens of `from`.
///
/// # Source
/// vision.md 4.3.
pub fn pool(x: Tensor<2>, from: Grid, to: Grid) -> Tensor<2> {
    assert_eq!(x.dims()[0], from.count(), "tokens of another grid");
    if from == to {
        return x;
    }
    let dtype = x.dtype();
    let x = if dtype == DType::F32 { x } else { x.cast(DType::F32) };
    let (rows, columns) = (neighbours(from.rows, to.rows), neighbours(from.columns, to.columns));
    // One corner of the four: which side of the row and of the column, and the weight of that corner.
    let corner = |row_side: usize, column_side: usize| {
        let picked = || rows.iter().flat_map(|row| columns.iter().map(move |column| (row[row_side], column[column_side])));
        let ids: Vec<i32> = picked().map(|((row, _), (column, _))| (row * from.columns + column) as i32).collect();
        let weights: Vec<f32> = picked().map(|((_, a), (_, b))| a * b).collect();
        let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [to.count()]), &x.device());
        x.clone().select(0, ids) * Tensor::<2>::from_data(TensorData::new(weights, [to.count(), 1]), (&x.device(), DType::F32))
    };
    let y = (corner(0, 0) + corner(0, 1)) + (corner(1, 0) + corner(1, 1));
    if dtype == DType::F32 { y } else { y.cast(dtype) }
}

/// For every output position the two input positions around it, each with its weight.
fn neighbours(count_in: u32, count_out: u32) -> Vec<[(u32, f32); 2]> {
    let scale = count_in as f32 / count_out as f32;
    let one = |out: u32| {
        let at = ((out as f32 + 0.5) * scale - 0.5).max(0.0);
        let first = (at as u32).min(count_in - 1);
        let second = (first + 1).min(count_in - 1);
        let share = at - first as f32;
        [(first, 1.0 - share), (second, share)]
    };
    (0..count_out).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenths_round_to_even() {
        assert_eq!([0.25, 0.75, 3.84, 2.95].map(round_to_tenth), [0.2, 0.8, 3.8, 3.0]);
    }

    #[test]
    fn no_picture_means_no_pooling() {
        let config = PostSqueezeConfig { patch_size: 14, max_tokens: 10, min_tokens_video: 1, max_tokens_video: 1 };
        assert_eq!(compression_ratio(&[], &config, &SqueezeOptions::default()), 1.0);
    }

    #[test]
    fn a_unit_pooled_to_nothing_is_an_error() {
        let config = PostSqueezeConfig { patch_size: 14, max_tokens: 100, min_tokens_video: 1, max_tokens_video: 1 };
        let error = target_grid(Grid { rows: 4, columns: 8 }, 1000.0, &config).unwrap_err().to_string();
        assert!(error.contains("4x4 tokens") && error.contains("max_tokens_video"), "{error}");
    }
}
