//! Training differentiates the code that inference runs.

use burn::tensor::{Device, Tensor, TensorData};
use caracal_cluster::backbone::LongCatFlash;
use caracal_cluster::backbone::watcher::Unwatched;
use caracal_kernels::burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use caracal_kernels::burn::tensor::Gradients;
use caracal_tests::random_backbone;
use serde_json::json;

fn loss(model: &LongCatFlash, x: &[f32], width: usize, device: &Device) -> Tensor<1> {
    let x = Tensor::<2>::from_data(TensorData::new(x.to_vec(), [x.len() / width, width]), device);
    let logits = model.text_logits(model.offline(x, 2, &mut Unwatched), &mut Unwatched);
    let [rows, vocabulary] = logits.dims();
    let weights: Vec<f32> = (0..rows * vocabulary).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect();
    (logits * Tensor::from_data(TensorData::new(weights, [rows, vocabulary]), device)).sum()
}

/// For each parameter its gradient's largest value and where that is.
struct Largest<'a> {
    gradients: &'a Gradients,
    found: Vec<(ParamId, Vec<usize>, Option<(usize, f32)>)>,
}

impl ModuleVisitor for Largest<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let largest = param.val().grad(self.gradients).map(|gradient| {
            let values = gradient.into_data().try_into_vec::<f32>().unwrap();
            values.into_iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).unwrap()
        });
        self.found.push((param.id, param.dims().to_vec(), largest));
    }
}

/// Adds `by` to one value of one parameter.
struct Nudge {
    id: ParamId,
    at: usize,
    by: f32,
}

impl ModuleMapper for Nudge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if param.id != self.id {
            return param;
        }
        param.map(|old| {
            let (shape, device) = (old.dims(), old.device());
            let mut values = old.into_data().try_into_vec::<f32>().unwrap();
            values[self.at] += self.by;
            Tensor::from_data(TensorData::new(values, shape), &device)
        })
    }
}

#[test]
fn every_parameter_but_the_selection_bias_gets_the_gradient_that_a_nudge_measures() {
    let device = Device::flex().autodiff();
    // With every expert chosen, a nudge cannot change the choice, which has no slope.
    let config = random_backbone::parse(&random_backbone::small_config(json!({ "num_layers": 1, "moe_topk": 9 }))).unwrap();
    let model = random_backbone::model(&config, 5, &device).unwrap();
    let width = config.hidden_size;
    let x: Vec<f32> = (0..24 * width).map(|i| ((i * 7919 % 1000) as f32 - 500.0) / 500.0).collect();
    let gradients = loss(&model, &x, width, &device).backward();
    let mut largest = Largest { gradients: &gradients, found: Vec::new() };
    model.visit(&mut largest);

    let bias = model.layers[0].mlp.router.e_score_correction_bias.id;
    let table = model.embed_tokens.weight.id;
    assert!(largest.found.len() > 30);
    for (id, shape, found) in largest.found {
        // The rows came as embeddings, so the table took no part.
        if id == bias || id == table {
            assert_eq!(found, None);
            continue;
        }
        let (at, gradient) = found.unwrap_or_else(|| panic!("parameter {id} {shape:?} has no gradient"));
        let nudge = 1e-2 / gradient.abs().max(1.0);
        let measured = |by: f32| loss(&model.clone().map(&mut Nudge { id, at, by }), &x, width, &device).into_scalar::<f32>();
        let slope = (f64::from(measured(nudge)) - f64::from(measured(-nudge))) / (2.0 * f64::from(nudge));
        assert!(
            (slope - f64::from(gradient)).abs() < 0.05 * f64::from(gradient.abs()) + 0.02,
            "parameter {id} {shape:?}: gradient {gradient}, measured {slope}"
        );
    }
}
