//! A matrix product whose weight may be stored as block FP8.
//!
//! Which tensors are quantised differs from layer to layer in the published checkpoints, so each tensor decides for
//! itself: by its number format and by the scales beside it.

use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor};
use caracal_kernels::checkpoint::StoredDtype;
use caracal_kernels::ops::{self, HostView};
use caracal_kernels::{Init, LoadError, Weights};

use super::config::QuantizationConfig;
use super::fp8::{self, ScaleFormat};

/// How quantised weights are read and computed with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stored {
    /// Rows and columns of a block; `None` where the config says nothing of quantisation.
    pub block: Option<[usize; 2]>,
    /// Whether the input of a quantised matrix is rounded to FP8 too, as FP8 matrix units need it (W8A8). Else only the
    /// weights are rounded.
    pub round_activations: bool,
}

impl Stored {
    /// As the config says.
    pub fn new(config: Option<&QuantizationConfig>, round_activations: bool) -> Self {
        Self { block: config.map(|c| c.weight_block_size), round_activations }
    }

    /// The same without rounding of activations.
    pub fn weights_only(self) -> Self {
        Self { round_activations: false, ..self }
    }
}

/// y = x Wᵀ.
#[derive(Module, Debug)]
pub struct Projection {
    /// `[out, in]`, dequantised.
    pub weight: Param<Tensor<2>>,
    /// Columns of x that share a scale, where x is rounded to FP8 before the product.
    #[module(skip)]
    activation_block: Option<usize>,
}

impl Projection {
    /// Loads `weight`, and `weight_scale_inv` where there is one, below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors; [`LoadError::WrongDtype`] when an FP8 weight has no place in the
    /// config, or scales stand beside a weight that is not FP8.
    pub fn load(weights: &Weights, inner: usize, outer: usize, stored: &Stored) -> Result<Self, LoadError> {
        let Some((file, name)) =
            weights.entry("weight").filter(|(file, name)| file.get(name).is_some_and(|t| t.dtype == StoredDtype::F8E4m3))
        else {
            if let Some((file, scales)) = weights.entry("weight_scale_inv").filter(|(file, name)| file.get(name).is_some()) {
                let expected = "nothing, since the weight beside it is not float8_e4m3fn";
                return Err(LoadError::WrongDtype { file: file.path().to_path_buf(), tensor: scales, expected, found: "scales".into() });
            }
            let weight = weights.matrix("weight", [outer, inner], Init::Uniform(1.0 / (inner as f32).sqrt()))?;
            return Ok(Self { weight, activation_block: None });
        };
        let Some(block) = stored.block else {
            let expected = "bf16 or f32, since config.json has no quantization_config";
            return Err(LoadError::WrongDtype { file: file.path().to_path_buf(), tensor: name, expected, found: "float8_e4m3fn".into() });
        };
        let scales = file.floats(&format!("{name}_scale_inv"), &[outer.div_ceil(block[0]), inner.div_ceil(block[1])])?;
        let (_, codes) = file.bytes(&name, &[outer, inner])?;
        let values = fp8::dequantize_blocks(&codes, &scales, inner, block);
        if let Some(index) = values.iter().position(|v| !v.is_finite()) {
            return Err(LoadError::NotFinite { file: file.path().to_path_buf(), tensor: name, index, found: values[index] });
        }
        let activation_block = stored.round_activations.then_some(block[1]);
        Ok(Self { weight: weights.supplied("weight", [outer, inner], values), activation_block })
    }

    /// # Shapes
    /// x: `[rows, in]` → `[rows, out]`
    ///
    /// # Panics
    /// When the width of x is not `in`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = match self.activation_block {
            Some(block) => round_to_fp8(x, block),
            None => x,
        };
        ops::linear(x, self.weight.val(), None)
    }

    /// The weight as f32 on the host.
    pub fn host_weight(&self) -> Vec<f32> {
        self.weight.val().into_data_dtype(DType::F32).try_into_vec().expect("f32 was asked for")
    }
}

/// x as an FP8 matrix unit sees it. Not differentiable: training does not round activations.
fn round_to_fp8(x: Tensor<2>, block: usize) -> Tensor<2> {
    let (device, dtype, [rows, width]) = (x.device(), x.dtype(), x.dims());
    let rounded = |values: &[f32]| {
        let quantized = fp8::quantize_rows(values, width, block, ScaleFormat::F32);
        fp8::dequantize_rows(&quantized, width, block)
    };
    let values = if ops::is_plain_cpu(&device) {
        rounded(HostView::new(x).values())
    } else {
        rounded(&x.into_data_dtype(DType::F32).try_into_vec::<f32>().expect("f32 was asked for"))
    };
    ops::from_host(values, [rows, width], &device, dtype)
}
