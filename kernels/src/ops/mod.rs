//! Operations that networks are made of, one per file.
//!
//! Each has a portable version, composed of burn operations, which every device runs and which can be differentiated, and a
//! CPU version; where training spends its time, that one states its gradient. The CPU versions compute every row by itself
//! in one fixed order, so a row's result is the same bit for bit whatever else is in the batch: continuous batching and
//! chunked prefill rest on that (`docs/decisions/0002-row-invariant-cpu-kernels.md`). Attention over whole sequences, which
//! no session uses, is the exception.

mod attention;
mod causal_attention;
mod conv_gradient;
mod exponential;
mod gradient;
mod lstm;
mod fsmn_memory;
mod layer_norm;
mod conv1d;
mod conv_layout;
mod linear;
mod lstm_cell;
mod head_linear;
mod mla_attention;
mod product;
mod rectify;
mod rms_norm;
mod snake;
mod swiglu;

pub use attention::{attention, attention_in_parts};
pub use causal_attention::causal_attention;
pub use conv_layout::ConvLayout;
pub use conv1d::{Conv1dShape, conv1d};
pub use fsmn_memory::fsmn_memory;
pub use head_linear::head_linear;
pub use layer_norm::layer_norm;
pub use linear::{linear, linear_rows};
pub use lstm::tracked_lstm;
pub use lstm_cell::lstm_cell;
pub use mla_attention::{LatentBlocks, QueryContext, mla_attention_rows};
pub use rectify::rectify;
pub use rms_norm::{rms_norm, rms_norm_row};
pub use snake::snake;
pub use swiglu::swiglu;

use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_flex::{Flex, FlexTensor};

/// Whether `device` is the CPU without gradient tracking: there the CPU versions run.
pub fn is_plain_cpu(device: &Device) -> bool {
    !device.is_autodiff() && *device == Device::flex()
}

/// The values of a tensor on the plain CPU, contiguous, as f32, borrowed where they already are.
pub struct HostView(FlexTensor);

impl HostView {
    /// Views `tensor`.
    ///
    /// # Panics
    /// When it is not on the plain CPU.
    pub fn new<const D: usize>(tensor: Tensor<D>) -> Self {
        let tensor = if tensor.dtype() == DType::F32 { tensor } else { tensor.cast(DType::F32) };
        Self(Self::primitive(tensor))
    }

    /// Views `tensor` without widening it.
    fn as_stored<const D: usize>(tensor: Tensor<D>) -> Self {
        Self(Self::primitive(tensor))
    }

    fn primitive<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
        tensor.try_into_primitive::<Flex>().expect("checked by is_plain_cpu").to_contiguous()
    }

    /// The values, row-major.
    pub fn values(&self) -> &[f32] {
        self.0.as_slice().expect("contiguous f32")
    }
}

/// A tensor that owns `values`, on the same kind of device and in the same number format as the inputs.
pub fn from_host<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device, dtype: DType) -> Tensor<D> {
    let tensor = Tensor::from_data(TensorData::new(values, shape), (device, DType::F32));
    if dtype == DType::F32 { tensor } else { tensor.cast(dtype) }
}

/// The same values in memory of their own: a slice of a large tensor on the plain CPU shares, and so keeps, all of it.
pub fn compact<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let (device, dtype, shape) = (tensor.device(), tensor.dtype(), tensor.dims());
    if !is_plain_cpu(&device) {
        return tensor;
    }
    from_host(HostView::new(tensor).values().to_vec(), shape, &device, dtype)
}
