//! The semantic half of the tokenizer: a waveform into one code each 60 ms, by what is said.
//!
//! Log-mel vectors → two convolutions over time and mel → transformer → the nearest column of a table. It sees the whole
//! utterance at once; there is no streaming form of it.
//!
//! Source: LongCat-Audio-Codec, `semantic_tokenizer_general/`.

use std::path::Path;

use burn::module::{Module, Param};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Tensor, TensorData, activation};
use caracal_kernels::layers::{LayerNorm, Linear};
use caracal_kernels::weights::Init;
use caracal_kernels::{LoadError, Weights};

use super::semantic_config::SemanticConfig;
use super::semantic_layer::SemanticLayer;
use super::trace::Trace;
use crate::audio::{Cmvn, Fbank, Waveform};

/// Channels of the subsampling convolutions: fixed in the published class.
const CHANNELS: usize = 32;
/// Kernel of the subsampling convolutions in time and mel; time is padded by the rest of the kernel before the first
/// vector, mel not at all.
const KERNEL: usize = 3;
/// Longest period of the positions.
const PERIOD_MAX: f64 = 10_000.0;
/// Vectors are not divided by a length below this; the published constant.
const NORM_FLOOR: f32 = 1e-12;

/// One subsampling convolution, causal in time, with ReLU.
#[derive(Module, Debug)]
pub struct Subsampling {
    /// `[channels, channels in, 3, 3]`
    pub weight: Param<Tensor<4>>,
    /// `[channels]`
    pub bias: Param<Tensor<1>>,
    /// In time.
    pub stride: usize,
}

impl Subsampling {
    fn load(weights: &Weights, inputs: usize, stride: usize) -> Result<Self, LoadError> {
        let init = Init::Uniform(1.0 / ((inputs * KERNEL * KERNEL) as f32).sqrt());
        Ok(Self {
            weight: weights.param("weight", [CHANNELS, inputs, KERNEL, KERNEL], init)?,
            bias: weights.param("bias", [CHANNELS], init)?,
            stride,
        })
    }

    /// `[1, channels in, time, mel]` → `[1, channels, (time - 1) / stride + 1, mel - 2]`
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, inputs, _, mel] = x.dims();
        let before = Tensor::zeros([batch, inputs, KERNEL - 1, mel], (&x.device(), x.dtype()));
        let options = ConvOptions::new([self.stride, 1], [0, 0], [1, 1], 1);
        activation::relu(conv2d(Tensor::cat(vec![before, x], 2), self.weight.val(), Some(self.bias.val()), options))
    }

    fn rows_out(&self, rows: usize) -> usize {
        if rows == 0 { 0 } else { (rows - 1) / self.stride + 1 }
    }
}

/// Everything of the semantic tokenizer that has parameters.
#[derive(Module, Debug)]
pub struct SemanticEncoder {
    /// Mean of each mel band.
    pub cmvn_mean: Param<Tensor<1>>,
    /// Inverse standard deviation of each mel band.
    pub cmvn_scale: Param<Tensor<1>>,
    /// Convolutions.
    pub subsampling: Vec<Subsampling>,
    /// Channels and mel bands → width.
    pub affine: Linear,
    /// Behind it.
    pub norm: LayerNorm,
    /// The layers that run.
    pub layers: Vec<SemanticLayer>,
    /// Columns: `[width, codes]`.
    pub codebook: Param<Tensor<2>>,
}

/// Waveform → semantic codes.
pub struct SemanticTokenizer {
    fbank: Fbank,
    /// What has parameters, for training and saving.
    pub encoder: SemanticEncoder,
}

impl SemanticTokenizer {
    /// Loads all parameters below `weights`, a checkpoint's `semantic_tokenizer`. The normalisation comes from there
    /// too; where the checkpoint has none, from the statistics that the config names, in `folder`.
    ///
    /// # Errors
    /// [`LoadError`] naming the tensor, the field or the file.
    pub fn load(weights: &Weights, config: &SemanticConfig, folder: &Path) -> Result<Self, LoadError> {
        let fbank = Fbank::new(&config.fbank.fbank()).map_err(|e| LoadError::config(folder, &format!("fbank.{}", e.field), e.problem))?;
        let (mean, scale) = normalisation(&weights.at("feature_extractor.cmvn"), config, folder)?;
        let model = weights.at("model");
        let bands = config.feat_dim - (KERNEL - 1) * config.num_conv_layers;
        let convolution = |i: usize| {
            let weights = model.at(format_args!("subsampling.conv.subsampling/conv{i}"));
            Subsampling::load(&weights, if i == 0 { 1 } else { CHANNELS }, config.conv2d_stride[i])
        };
        let encoder = SemanticEncoder {
            cmvn_mean: mean,
            cmvn_scale: scale,
            subsampling: (0..config.num_conv_layers).map(convolution).collect::<Result<_, _>>()?,
            affine: Linear::load(&model.at("subsampling.affine"), CHANNELS * bands, config.d_model, true)?,
            norm: LayerNorm::load(&model.at("subsampling.norm"), config.d_model)?,
            layers: (0..config.select_layer)
                .map(|i| SemanticLayer::load(&model.at(format_args!("encoder.layers.{i}")), config))
                .collect::<Result<_, _>>()?,
            codebook: weights.param(
                "kmeans.codebook",
                [config.d_model, config.codebook_size],
                Init::Normal(1.0 / (config.codebook_size as f32).sqrt()),
            )?,
        };
        Ok(Self { fbank, encoder })
    }

    /// Codes that `samples` samples give.
    pub fn frames(&self, samples: usize) -> usize {
        self.encoder.subsampling.iter().fold(self.fbank.frames(samples as u64) as usize, |rows, layer| layer.rows_out(rows))
    }

    /// Codes of a whole utterance; none when it is shorter than one analysis window.
    pub fn offline(&self, waveform: &Waveform, trace: &mut Trace) -> Vec<u32> {
        let features = self.fbank.offline(waveform);
        if features.is_empty() {
            return Vec::new();
        }
        let bins = self.fbank.bins();
        let vectors = features.len() / bins;
        let mean = self.encoder.cmvn_mean.val();
        let data = TensorData::new(features, [vectors, bins]);
        let features = Tensor::<2>::from_data(data, (&mean.device(), mean.dtype()));
        self.encoder.nearest(self.encoder.hidden(features, trace))
    }
}

fn normalisation(weights: &Weights, config: &SemanticConfig, folder: &Path) -> Result<(Param<Tensor<1>>, Param<Tensor<1>>), LoadError> {
    let width = config.feat_dim;
    if weights.holds("cmvn_mean") {
        return Ok((weights.param("cmvn_mean", [width], Init::Zeros)?, weights.param("cmvn_scale", [width], Init::Ones)?));
    }
    let name = config.cmvn_file.as_deref().and_then(Path::file_name).ok_or_else(|| {
        LoadError::config(
            folder,
            "feature.cmvn_file",
            "missing, and the checkpoint holds no statistics. Add the name of the statistics file, with that file in the same folder.",
        )
    })?;
    let file = folder.join(name);
    let cmvn = Cmvn::read(&file)?;
    if cmvn.width() != width {
        return Err(LoadError::config(
            &file,
            "feat_dim",
            format!("{width}, but the statistics are of {} bands: they belong to another model", cmvn.width()),
        ));
    }
    let param = |values: &[f32]| Param::from_tensor(weights.tensor(values.to_vec(), [width], weights.dtype()));
    Ok((param(cmvn.mean()), param(cmvn.scale())))
}

impl SemanticEncoder {
    /// What the last layer gives for log-mel vectors.
    ///
    /// # Shapes
    /// features: `[vectors, bands]`, at least one vector → `[frames, width]`
    pub fn hidden(&self, features: Tensor<2>, trace: &mut Trace) -> Tensor<2> {
        let features = (features - self.cmvn_mean.val().unsqueeze()) * self.cmvn_scale.val().unsqueeze();
        trace.show(|| "fbank_cmvn".into(), &features);
        let x = self.subsampling.iter().fold(features.unsqueeze::<4>(), |x, layer| layer.forward(x));
        let [_, channels, frames, bands] = x.dims();
        let x = x.swap_dims(1, 2).reshape([frames, channels * bands]);
        let x = self.norm.forward(self.affine.forward(x));
        trace.show(|| "subsampled".into(), &x);
        let mut x = self.placed(x);
        trace.show(|| "pos".into(), &x);
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x);
            trace.show(|| format!("layer{index}"), &x);
        }
        x
    }

    /// sqrt(width) x + the sines and cosines of the position. Angles are rounded to f32 as in the published table.
    fn placed(&self, x: Tensor<2>) -> Tensor<2> {
        let [frames, width] = x.dims();
        let rate = |pair: usize| (-(2.0 * pair as f64) * PERIOD_MAX.ln() / width as f64).exp() as f32;
        let wave = |t: usize, column: usize| {
            let angle = f64::from(t as f32 * rate(column / 2));
            (if column.is_multiple_of(2) { angle.sin() } else { angle.cos() }) as f32
        };
        let table: Vec<f32> = (0..frames).flat_map(|t| (0..width).map(move |column| wave(t, column))).collect();
        let table = Tensor::from_data(TensorData::new(table, [frames, width]), (&x.device(), x.dtype()));
        x * (width as f64).sqrt() + table
    }

    /// The code of each row: the column nearest to the row brought to length 1; columns keep theirs.
    ///
    /// # Shapes
    /// x: `[frames, width]`
    pub fn nearest(&self, x: Tensor<2>) -> Vec<u32> {
        let length = x.clone().square().sum_dim(1).sqrt().clamp_min(NORM_FLOOR);
        let codebook = self.codebook.val();
        let [_, codes] = codebook.dims();
        let distances = codebook.clone().square().sum_dim(0) - (x / length).matmul(codebook) * 2.0;
        let distances = distances.into_data_dtype(DType::F32).try_into_vec::<f32>().expect("f32 was asked for");
        let nearest = |row: &[f32]| row.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(index, _)| index as u32);
        distances.chunks_exact(codes).map(nearest).collect()
    }
}
