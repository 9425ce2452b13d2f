//! Our CPU operations beside the tensor library's.

use burn::tensor::{DType, Distribution, Tensor};
use caracal_kernels::ops;

use super::{Measured, Options, median_seconds, peak_memory_bytes, reset_peak_memory};

/// Shapes of the released encoders: `[out, in]` and rows (one decode step, one 80 ms step's batch, one second, one picture).
const SHAPES: &[(usize, usize)] = &[(6144, 1536), (1536, 6144), (3456, 1280)];
const ROWS: &[usize] = &[1, 4, 13, 64, 576];

/// Times `linear` with f32 and with bf16 weights, and burn's matrix product on the same operands.
///
/// # Errors
/// Never.
pub fn run(options: &Options) -> anyhow::Result<Vec<Measured>> {
    let device = &options.device;
    let mut measured = Vec::new();
    for &(outer, inner) in SHAPES {
        // Enough copies that the weights of one pass do not stay in the last-level cache.
        let copies = (1usize << 29) / (4 * outer * inner);
        let weights: Vec<Tensor<2>> = (0..copies).map(|_| Tensor::random([outer, inner], Distribution::Default, device)).collect();
        let narrow: Vec<Tensor<2>> = weights.iter().map(|w| w.clone().cast(DType::BF16)).collect();
        for &rows in ROWS {
            let x = Tensor::<2>::random([rows, inner], Distribution::Default, device);
            let mut time = |what: &str, bytes: usize, work: &dyn Fn(usize) -> Tensor<2>| {
                reset_peak_memory();
                let seconds = median_seconds(3, || (0..copies).for_each(|i| drop(work(i).into_data()))) / copies as f64;
                measured.push(Measured {
                    what: format!("{what} [{outer}, {inner}] x {rows} rows"),
                    seconds,
                    media_seconds: None,
                    flop: 2.0 * (rows * outer * inner) as f64,
                    bytes: (bytes * outer * inner) as f64,
                    peak_memory_bytes: peak_memory_bytes(),
                });
            };
            time("linear f32", 4, &|i| ops::linear(x.clone(), weights[i].clone(), None));
            time("linear bf16", 2, &|i| ops::linear(x.clone(), narrow[i].clone(), None));
            time("burn matmul f32", 4, &|i| x.clone().matmul(weights[i].clone().transpose()));
        }
    }
    Ok(measured)
}
