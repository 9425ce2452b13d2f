//! silu(gate) x up, the gated activation of every feed-forward network here.

use burn::tensor::{DType, Tensor, activation};

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
    if !is_plain_cpu(&device) {
        return activation::silu(gate) * up;
    }
    let (gate, up) = (HostView::new(gate), HostView::new(up));
    let y = gate.values().iter().zip(up.values()).map(|(g, u)| silu(*g) * u).collect();
    from_host(y, shape, &device, dtype)
}

/// x / (1 + e^-x).
#[inline]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn both_versions_agree() {
        let run = |device: &Device| {
            let gate = Tensor::<2>::from_data([[-30.0, -1.0, 0.0], [0.5, 2.0, 40.0]], device);
            let up = Tensor::<2>::from_data([[1.0, 2.0, 3.0], [-4.0, 5.0, 0.5]], device);
            swiglu(gate, up).into_data().try_to_vec::<f32>().unwrap()
        };
        for (a, b) in run(&Device::flex()).iter().zip(run(&Device::flex().autodiff())) {
            assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "{a} {b}");
        }
    }
}
