//! silu(gate) x up, the gated activation of every feed-forward network here.

use burn::tensor::{DType, Tensor, activation};
use pulp::Arch;

use super::exponential::sigmoid;
use super::gradient::{HostGradient, record, tracked, view};
use super::{HostView, from_host, is_plain_cpu};

/// Multiplies `up` by silu(`gate`) = gate / (1 + e^-gate), elementwise. In f16 and bf16 silu is computed in f32 and
/// rounded before the product, as the published code does.
///
/// # Shapes
/// gate, up: `[rows, width]` → `[rows, width]`
///
/// # Panics
/// When the shapes differ.
pub fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    let (device, dtype, shape) = (gate.device(), gate.dtype(), gate.dims());
    assert_eq!(shape, up.dims(), "swiglu: gate and up differ in shape");
    if dtype != DType::F32 {
        return activation::silu(gate.cast(DType::F32)).cast(dtype) * up;
    }
    if let (Some(gate), Some(up)) = (tracked(&gate), tracked(&up)) {
        let inputs = [gate, up];
        let views = inputs.each_ref().map(view);
        let y = forward(views[0].values(), views[1].values());
        return record(&inputs, views, y, shape, SwiGlu);
    }
    if !is_plain_cpu(&device) {
        return activation::silu(gate) * up;
    }
    let (gate, up) = (HostView::new(gate), HostView::new(up));
    from_host(forward(gate.values(), up.values()), shape, &device, dtype)
}

fn forward(gate: &[f32], up: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; gate.len()];
    Arch::new().dispatch(
        #[inline(always)]
        || y.iter_mut().zip(gate).zip(up).for_each(|((y, gate), up)| *y = silu(*gate) * up),
    );
    y
}

#[derive(Clone, Copy, Debug)]
struct SwiGlu;

impl HostGradient<2> for SwiGlu {
    /// With s the sigmoid of the gate g: d gate = dy up s (1 + g (1 - s)), d up = dy g s.
    fn gradients(&self, [gate, up]: [&[f32]; 2], dy: &[f32], _: [bool; 2]) -> [Option<Vec<f32>>; 2] {
        let (mut by_gate, mut by_up) = (vec![0.0; gate.len()], vec![0.0; gate.len()]);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for ((((by_gate, by_up), gate), up), dy) in by_gate.iter_mut().zip(&mut by_up).zip(gate).zip(up).zip(dy) {
                    let sigmoid = sigmoid(*gate);
                    *by_gate = dy * up * sigmoid * (1.0 + gate * (1.0 - sigmoid));
                    *by_up = dy * gate * sigmoid;
                }
            },
        );
        [Some(by_gate), Some(by_up)]
    }
}

/// x / (1 + e^-x).
#[inline(always)]
fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn result_and_gradients_equal_those_of_the_composition() {
        let tracking = Device::flex().autodiff();
        let gates = [[-100.0, -30.0, -1.0, 0.0], [0.5, 2.0, 40.0, 100.0]];
        let ups = [[0.5, 1.0, 2.0, 3.0], [-4.0, 5.0, 0.5, -0.25]];
        let run = |fused: bool| {
            let gate = Tensor::<2>::from_data(gates, &tracking).require_grad();
            let up = Tensor::<2>::from_data(ups, &tracking).require_grad();
            let (a, b) = (gate.clone(), up.clone());
            let y = if fused { swiglu(a, b) } else { activation::silu(a) * b };
            let by_y = Tensor::<2>::from_data([[1.0, -2.0, 3.0, 0.25], [0.5, 1.5, -0.25, 2.0]], &tracking);
            let gradients = (y.clone() * by_y).sum().backward();
            let [by_gate, by_up] = [gate, up].map(|input| input.grad(&gradients).unwrap());
            [y, by_gate, by_up].map(|values| values.into_data().try_to_vec::<f32>().unwrap())
        };
        let (fused, composed) = (run(true), run(false));
        for (fused, composed) in fused.concat().iter().zip(composed.concat()) {
            assert!((fused - composed).abs() <= 1e-5 * composed.abs().max(1.0), "{fused} {composed}");
        }
        let [gate, up] = [gates, ups].map(|values| Tensor::<2>::from_data(values, &Device::flex()));
        assert_eq!(swiglu(gate, up).into_data().try_to_vec::<f32>().unwrap(), fused[0], "with and without tracking");
    }
}
