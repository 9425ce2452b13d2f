//! x + sin²(αx) / (α + 1e-9), the activation of the codec's convolutions.

use burn::tensor::{DType, Tensor};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::gradient::{HostGradient, record, tracked, view};
use super::{HostView, from_host, is_plain_cpu};

/// Keeps the division finite; the published constant.
const EPS: f32 = 1e-9;
/// Values that one task computes, about 20 µs of work.
const TASK_VALUES: usize = 1 << 15;

/// Snake, elementwise with one α a channel.
///
/// # Shapes
/// x: `[rows, channels]`, alpha: `[channels]` → `[rows, channels]`
///
/// # Panics
/// When the shapes do not fit.
pub fn snake(x: Tensor<2>, alpha: Tensor<1>) -> Tensor<2> {
    let (device, dtype) = (x.device(), x.dtype());
    let [rows, channels] = x.dims();
    assert_eq!(alpha.dims(), [channels], "snake: x has {channels} channels");
    if dtype != DType::F32 || !is_plain_cpu(&device) {
        return tracked_snake(&x, &alpha).unwrap_or_else(|| composed(x, alpha));
    }
    let (x, alpha) = (HostView::new(x), HostView::new(alpha));
    from_host(bend(x.values(), alpha.values()), [rows, channels], &device, dtype)
}

/// The CPU version with gradients; `None` where the tensors are elsewhere.
fn tracked_snake(x: &Tensor<2>, alpha: &Tensor<1>) -> Option<Tensor<2>> {
    let tensors = [tracked(x)?, tracked(alpha)?];
    let views = tensors.each_ref().map(view);
    let y = bend(views[0].values(), views[1].values());
    Some(record(&tensors, views, y, x.dims(), SnakeGradient))
}

/// What every device can run.
fn composed(x: Tensor<2>, alpha: Tensor<1>) -> Tensor<2> {
    let alpha = alpha.unsqueeze::<2>();
    x.clone() + (x * alpha.clone()).sin().square() / (alpha + EPS)
}

fn bend(x: &[f32], alpha: &[f32]) -> Vec<f32> {
    let channels = alpha.len();
    let inverse: Vec<f32> = alpha.iter().map(|a| 1.0 / (a + EPS)).collect();
    let mut y = vec![0.0; x.len()];
    let arch = Arch::new();
    let task = |(x, y): (&[f32], &mut [f32])| {
        for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
            arch.dispatch(Row { x, alpha, inverse: &inverse, y });
        }
    };
    let part = TASK_VALUES.div_ceil(channels) * channels;
    x.par_chunks(part).zip(y.par_chunks_mut(part)).for_each(task);
    y
}

/// By x: 1 + sin(2αx) α / (α + ε). By α, summed over rows: x sin(2αx) / (α + ε) - sin²(αx) / (α + ε)².
#[derive(Clone, Copy, Debug)]
struct SnakeGradient;

impl HostGradient<2> for SnakeGradient {
    fn gradients(&self, [x, alpha]: [&[f32]; 2], dy: &[f32], _: [bool; 2]) -> [Option<Vec<f32>>; 2] {
        let channels = alpha.len();
        let inverse: Vec<f32> = alpha.iter().map(|a| 1.0 / (a + EPS)).collect();
        let mut by_x = vec![0.0; x.len()];
        let arch = Arch::new();
        let part = TASK_VALUES.div_ceil(channels) * channels;
        let tasks = x.par_chunks(part).zip(dy.par_chunks(part)).zip(by_x.par_chunks_mut(part));
        let sums: Vec<Vec<f32>> = tasks
            .map(|((x, dy), by_x)| {
                let mut by_alpha = vec![0.0; channels];
                let rows = x.chunks_exact(channels).zip(dy.chunks_exact(channels)).zip(by_x.chunks_exact_mut(channels));
                for ((x, dy), by_x) in rows {
                    arch.dispatch(GradientRow { x, dy, alpha, inverse: &inverse, by_x, by_alpha: &mut by_alpha });
                }
                by_alpha
            })
            .collect();
        let mut by_alpha = vec![0.0; channels];
        sums.iter().for_each(|part| by_alpha.iter_mut().zip(part).for_each(|(sum, v)| *sum += v));
        [Some(by_x), Some(by_alpha)]
    }
}

struct GradientRow<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    alpha: &'a [f32],
    inverse: &'a [f32],
    by_x: &'a mut [f32],
    by_alpha: &'a mut [f32],
}

impl WithSimd for GradientRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ((x, x_tail), (dy, dy_tail)) = (S::as_simd_f32s(self.x), S::as_simd_f32s(self.dy));
        let ((alpha, alpha_tail), (inverse, inverse_tail)) = (S::as_simd_f32s(self.alpha), S::as_simd_f32s(self.inverse));
        let ((by_x, by_x_tail), (by_alpha, by_alpha_tail)) = (S::as_mut_simd_f32s(self.by_x), S::as_mut_simd_f32s(self.by_alpha));
        for (((((x, dy), alpha), inverse), by_x), by_alpha) in x.iter().zip(dy).zip(alpha).zip(inverse).zip(by_x).zip(by_alpha) {
            let (dx, dalpha) = slopes(simd, *x, *dy, *alpha, *inverse);
            *by_x = dx;
            *by_alpha = simd.add_f32s(*by_alpha, dalpha);
        }
        if !x_tail.is_empty() {
            let load = |tail: &[f32]| simd.partial_load_f32s(tail);
            let (dx, dalpha) = slopes(simd, load(x_tail), load(dy_tail), load(alpha_tail), load(inverse_tail));
            simd.partial_store_f32s(by_x_tail, dx);
            let sum = simd.add_f32s(load(by_alpha_tail), dalpha);
            simd.partial_store_f32s(by_alpha_tail, sum);
        }
    }
}

struct Row<'a> {
    x: &'a [f32],
    alpha: &'a [f32],
    inverse: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (x, x_tail) = S::as_simd_f32s(self.x);
        let (alpha, alpha_tail) = S::as_simd_f32s(self.alpha);
        let (inverse, inverse_tail) = S::as_simd_f32s(self.inverse);
        let (y, y_tail) = S::as_mut_simd_f32s(self.y);
        for (((x, alpha), inverse), y) in x.iter().zip(alpha).zip(inverse).zip(y) {
            *y = vector(simd, *x, *alpha, *inverse);
        }
        if !x_tail.is_empty() {
            let load = |tail: &[f32]| simd.partial_load_f32s(tail);
            simd.partial_store_f32s(y_tail, vector(simd, load(x_tail), load(alpha_tail), load(inverse_tail)));
        }
    }
}

/// Gradients by x and by α. A function that is always inlined: a closure would be compiled without the vector
/// instructions, and every one of them would be a call.
#[inline(always)]
fn slopes<S: Simd>(simd: S, x: S::f32s, dy: S::f32s, alpha: S::f32s, inverse: S::f32s) -> (S::f32s, S::f32s) {
    let one = simd.splat_f32s(1.0);
    let sine = sine(simd, simd.mul_f32s(x, alpha));
    let square = simd.mul_f32s(sine, sine);
    // The angle lies in [-π/2, π/2], where the cosine is not negative.
    let cosine = simd.sqrt_f32s(simd.max_f32s(simd.sub_f32s(one, square), simd.splat_f32s(0.0)));
    let double = simd.mul_f32s(simd.add_f32s(sine, sine), cosine);
    let by_x = simd.mul_f32s(dy, simd.mul_add_f32s(simd.mul_f32s(double, alpha), inverse, one));
    let slope = simd.sub_f32s(simd.mul_f32s(x, double), simd.mul_f32s(square, inverse));
    (by_x, simd.mul_f32s(simd.mul_f32s(slope, inverse), dy))
}

#[inline(always)]
fn vector<S: Simd>(simd: S, x: S::f32s, alpha: S::f32s, inverse: S::f32s) -> S::f32s {
    let sine = sine(simd, simd.mul_f32s(x, alpha));
    simd.mul_add_f32s(simd.mul_f32s(sine, sine), inverse, x)
}

/// sin² has period π, so αx is brought to [-π/2, π/2] by subtracting a whole multiple of π, in three parts that make
/// the subtraction exact to the last bit, and a polynomial gives the sine there to 2e-8. Above 2^21 π the multiple is
/// no longer exact; the angle is then held inside the interval, so sin² stays in [0, 1], which is less than one part in
/// 10^6 of x.
#[inline(always)]
fn sine<S: Simd>(simd: S, angle: S::f32s) -> S::f32s {
    let splat = |v: f32| simd.splat_f32s(v);
    // Adding and taking away 1.5 x 2^23 rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    let turns = simd.sub_f32s(simd.mul_add_f32s(angle, splat(std::f32::consts::FRAC_1_PI), splat(ROUND)), splat(ROUND));
    let angle = simd.mul_add_f32s(turns, splat(-std::f32::consts::PI), angle);
    let angle = simd.mul_add_f32s(turns, splat(8.742_278e-8), angle);
    let angle = simd.mul_add_f32s(turns, splat(3.430_249e-15), angle);
    let half = splat(std::f32::consts::FRAC_PI_2);
    let angle = simd.max_f32s(simd.min_f32s(angle, half), simd.neg_f32s(half));
    let square = simd.mul_f32s(angle, angle);
    let series = splat(2.605_078_3e-6);
    let series = simd.mul_add_f32s(series, square, splat(-1.980_900_5e-4));
    let series = simd.mul_add_f32s(series, square, splat(8.333_05e-3));
    let series = simd.mul_add_f32s(series, square, splat(-0.166_666_58));
    simd.mul_add_f32s(simd.mul_f32s(series, square), angle, angle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn run(device: &Device, x: &[f32], alpha: &[f32]) -> Vec<f32> {
        let x = Tensor::<2>::from_data(TensorData::new(x.to_vec(), [x.len() / alpha.len(), alpha.len()]), device);
        snake(x, Tensor::from_data(TensorData::new(alpha.to_vec(), [alpha.len()]), device)).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn equals_the_definition_in_f64() {
        let alpha: Vec<f32> = (0..37).map(|i| 0.05 + 0.31 * i as f32).collect();
        let x: Vec<f32> = (0..37 * 4000).map(|i: i32| (i - 74_000) as f32 * 1e-3 * if i % 3 == 0 { 1.0 } else { 0.013 }).collect();
        for device in [Device::flex(), Device::flex().autodiff()] {
            for (i, (y, x)) in run(&device, &x, &alpha).iter().zip(&x).enumerate() {
                let alpha = alpha[i % 37];
                // The product αx rounded to f32 is part of the definition; what is tested is sin² of it.
                let wave = f64::from(x * alpha).sin().powi(2) / (f64::from(alpha) + 1e-9);
                let want = f64::from(*x) + wave;
                assert!((f64::from(*y) - want).abs() <= 2e-7 * (f64::from(x.abs()) + wave), "snake({x}, {alpha}) = {y}, not {want}");
            }
        }
    }

    #[test]
    fn gradients_equal_those_of_the_composition() {
        let device = Device::flex().autodiff();
        let alpha: Vec<f32> = (0..37).map(|i| 0.05 + 0.31 * i as f32).collect();
        let x: Vec<f32> = (0..37 * 50).map(|i: i32| (i - 900) as f32 * 3e-3).collect();
        let results = [true, false].map(|fast| {
            let x = Tensor::<2>::from_data(TensorData::new(x.clone(), [50, 37]), &device).require_grad();
            let alpha = Tensor::<1>::from_data(TensorData::new(alpha.clone(), [37]), &device).require_grad();
            let y = if fast { snake(x.clone(), alpha.clone()) } else { composed(x.clone(), alpha.clone()) };
            let gradients = (y.clone() * y.sin()).sum().backward();
            let values = |data: TensorData| data.try_to_vec::<f32>().unwrap();
            [values(x.grad(&gradients).unwrap().into_data()), values(alpha.grad(&gradients).unwrap().into_data())]
        });
        for (fast, composed) in results[0].concat().iter().zip(results[1].concat()) {
            assert!((fast - composed).abs() < 2e-3 * (1.0 + composed.abs()), "{fast}, not {composed}");
        }
    }

    #[test]
    fn zero_stays_zero_and_extremes_stay_in_bounds() {
        let y = run(&Device::flex(), &[0.0, 1e9, -1e30, f32::NAN], &[1.0]);
        assert_eq!(y[0], 0.0);
        assert!((y[1] - 1e9).abs() < 200.0 && (y[2] + 1e30).abs() < 1e24, "{y:?}");
        assert!(y[3].is_nan(), "a NaN must stay visible: {y:?}");
    }
}
