//! AdamW with every parameter's gradient cut to a length, in one pass over its numbers.
//!
//! Composed of tensor operations a step reads and writes each number some twenty times, on one core while the others wait.
//! Here it is read and written once.
//!
//! Source: Loshchilov and Hutter 2019 (decoupled weight decay).

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor, TensorData};

/// How an optimiser moves parameters.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How much of the mean gradient stays from step to step.
    pub beta_1: f32,
    /// How much of the mean square stays.
    pub beta_2: f32,
    /// Added to the root of the mean square.
    pub epsilon: f32,
    /// Share of a parameter that it loses in a step, times the learning rate.
    pub weight_decay: f32,
    /// Longest gradient of one parameter: a longer one is scaled down.
    pub norm_max: f32,
}

/// The optimiser: its settings, and the moments of every parameter that it has moved.
#[derive(Clone, Debug)]
pub struct AdamW {
    settings: Settings,
    moments: HashMap<ParamId, Moments>,
}

#[derive(Clone, Debug)]
struct Moments {
    mean: Vec<f32>,
    square: Vec<f32>,
    steps: i32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-5, weight_decay: 1e-4, norm_max: f32::INFINITY }
    }
}

impl AdamW {
    /// An optimiser that has moved nothing.
    pub fn new(settings: Settings) -> Self {
        Self { settings, moments: HashMap::new() }
    }

    /// Moves the parameters of `module` that have a gradient.
    ///
    /// # Panics
    /// When a parameter is not in f32, or has another shape than when it was moved before.
    pub fn step<M: Module>(&mut self, rate: f64, module: M, gradients: GradientsParams) -> M {
        module.map(&mut Step { optimiser: self, rate: rate as f32, gradients })
    }

    fn advance(&mut self, id: ParamId, rate: f32, values: &mut [f32], gradient: &[f32]) {
        let Settings { beta_1, beta_2, epsilon, weight_decay, norm_max } = self.settings;
        let moments = self.moments.entry(id).or_insert_with(|| Moments::zero(values.len()));
        assert_eq!(moments.mean.len(), values.len(), "AdamW: a parameter of {} numbers has {} now", moments.mean.len(), values.len());
        moments.steps += 1;
        let length = gradient.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt() as f32;
        let scale = if length > norm_max { norm_max / length } else { 1.0 };
        let kept = 1.0 - rate * weight_decay;
        let by_mean = rate / (1.0 - beta_1.powi(moments.steps));
        let by_square = 1.0 / (1.0 - beta_2.powi(moments.steps));
        for (((value, gradient), mean), square) in values.iter_mut().zip(gradient).zip(&mut moments.mean).zip(&mut moments.square) {
            let gradient = scale * gradient;
            *mean = beta_1 * *mean + (1.0 - beta_1) * gradient;
            *square = beta_2 * *square + (1.0 - beta_2) * gradient * gradient;
            *value = kept * *value - by_mean * *mean / ((by_square * *square).sqrt() + epsilon);
        }
    }
}

impl Moments {
    fn zero(count: usize) -> Self {
        Self { mean: vec![0.0; count], square: vec![0.0; count], steps: 0 }
    }
}

struct Step<'a> {
    optimiser: &'a mut AdamW,
    rate: f32,
    gradients: GradientsParams,
}

impl ModuleMapper for Step<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let Some(gradient) = self.gradients.remove::<D>(id) else { return Param::from_mapped_value(id, tensor, mapper) };
        let (shape, device) = (tensor.dims(), tensor.device());
        assert_eq!(tensor.dtype(), DType::F32, "AdamW: parameters are trained in f32");
        let host = |tensor: Tensor<D>| tensor.into_data().try_into_vec::<f32>().expect("f32 was asserted");
        let mut values = host(tensor.inner());
        self.optimiser.advance(id, self.rate, &mut values, &host(gradient));
        Param::from_mapped_value(id, Tensor::from_data(TensorData::new(values, shape), &device).require_grad(), mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::grad_clipping::GradientClippingConfig;
    use burn::optim::AdamWConfig;
    use burn::tensor::Device;
    use caracal_kernels::Weights;
    use caracal_kernels::layers::Linear;

    #[test]
    fn steps_are_those_of_the_composed_optimiser() {
        let device = Device::flex().autodiff();
        let layer = || Linear::load(&Weights::random(4, &device), 3, 5, true).unwrap();
        let (mut ours, mut theirs) = (layer(), layer());
        let mut optimiser = AdamW::new(Settings { beta_2: 0.98, weight_decay: 0.02, norm_max: 0.05, ..Settings::default() });
        let clip = GradientClippingConfig::Norm(0.05);
        let mut composed = AdamWConfig::new().with_beta_2(0.98).with_weight_decay(0.02).with_grad_clipping(Some(clip)).init();
        let x = Tensor::<2>::from_data([[0.3, -1.2, 0.8], [1.0, 0.1, -0.4]], &device);
        let gradients = |layer: &Linear| GradientsParams::from_grads(layer.forward(x.clone()).square().mean().backward(), layer);
        let first = gradients(&ours).get::<2>(ours.weight.id).expect("the weight has a gradient");
        assert!(first.square().sum().sqrt().into_scalar::<f32>() > 0.05, "no gradient is cut");
        for step in 0..40 {
            let rate = 1e-2 * f64::from(40 - step);
            let (by_ours, by_theirs) = (gradients(&ours), gradients(&theirs));
            ours = optimiser.step(rate, ours, by_ours);
            theirs = composed.step(rate, theirs, by_theirs);
        }
        let values = |layer: &Linear| layer.weight.val().into_data().try_into_vec::<f32>().unwrap();
        assert_ne!(values(&ours), values(&layer()));
        for (a, b) in values(&ours).iter().zip(values(&theirs)) {
            assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{a} {b}");
        }
    }

    #[test]
    fn what_has_no_gradient_stays() {
        let device = Device::flex().autodiff();
        let weights = Weights::random(4, &device);
        let layers = (Linear::load(&weights.at("a"), 3, 5, true).unwrap(), Linear::load(&weights.at("b"), 3, 5, true).unwrap());
        let before = layers.1.weight.val().into_data();
        let loss = layers.0.forward(Tensor::ones([2, 3], &device)).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &layers);
        let layers = AdamW::new(Settings::default()).step(0.1, layers, gradients);
        assert_eq!(layers.1.weight.val().into_data(), before);
    }
}
