//! Grouped residual quantizer: each codebook codes what those before it left, as a pair of rows from two small tables.
//!
//! A packed code is a x size + b. The search is by cosine, but the rows that come out are the stored ones, not
//! normalised.
//!
//! Source: LongCat-Audio-Codec, `networks/quantizers/auto_grvq`; arXiv 2510.15227 (its figure has one more projection
//! after the two groups are joined, the published code has none).

use burn::module::Module;
use burn::tensor::{DType, Tensor};
use caracal_kernels::layers::{Conv1d, Embedding};
use caracal_kernels::ops::Conv1dShape;
use caracal_kernels::{LoadError, Weights};

use super::config::QuantizerConfig;

/// Norms are not divided by less than this; the published constant.
const NORM_FLOOR: f32 = 1e-12;

/// Table of one group, with its way in and its way out.
#[derive(Module, Debug)]
pub struct Group {
    /// Latent → table width.
    pub in_proj: Conv1d,
    /// Table width → half of the latent.
    pub out_proj: Conv1d,
    /// `[size, width]`
    pub codebook: Embedding,
}

impl Group {
    fn load(weights: &Weights, config: &QuantizerConfig, suffix: &str) -> Result<Self, LoadError> {
        let line = |name: &str, inputs, outputs| {
            Conv1d::load(&weights.at(format_args!("{name}_{suffix}")), inputs, Conv1dShape { outputs, taps: 1, dilation: 1, stride: 1 })
        };
        Ok(Self {
            in_proj: line("in_proj", config.latent_dim, config.codebook_dim)?,
            out_proj: line("out_proj", config.codebook_dim, config.latent_dim / 2)?,
            codebook: Embedding::load(&weights.at(format_args!("codebook_{suffix}")), config.codebook_size, config.codebook_dim)?,
        })
    }

    /// The row nearest to each projected row, by cosine.
    fn search(&self, projected: &Tensor<2>) -> Vec<u32> {
        let width = projected.dims()[1];
        let values = |t: Tensor<2>| t.into_data_dtype(DType::F32).try_into_vec::<f32>().expect("f32 was asked for");
        let (mut rows, mut table) = (values(projected.clone()), values(self.codebook.weight.val()));
        for vectors in [&mut rows, &mut table] {
            for vector in vectors.chunks_exact_mut(width) {
                let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt().max(NORM_FLOOR);
                vector.iter_mut().for_each(|v| *v /= norm);
            }
        }
        // |e - c|² without |e|², which is the same for all c.
        let distance = |e: &[f32], c: &[f32]| c.iter().zip(e).map(|(c, e)| c * c - 2.0 * e * c).sum::<f32>();
        let nearest = |e: &[f32]| {
            let distances = table.chunks_exact(width).map(|c| distance(e, c)).enumerate();
            distances.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index as u32)
        };
        rows.chunks_exact(width).map(nearest).collect()
    }

    fn emit(&self, rows: &[u32]) -> Tensor<2> {
        self.out_proj.forward(self.codebook.forward(rows))
    }
}

/// One codebook: two groups side by side.
#[derive(Module, Debug)]
pub struct GroupedQuantizer {
    /// First half of the latent.
    pub a: Group,
    /// Second half of the latent.
    pub b: Group,
    /// Rows of each table.
    pub size: usize,
}

impl GroupedQuantizer {
    fn load(weights: &Weights, config: &QuantizerConfig) -> Result<Self, LoadError> {
        Ok(Self { a: Group::load(weights, config, "a")?, b: Group::load(weights, config, "b")?, size: config.codebook_size })
    }

    /// The stored table rows of packed codes, `[frames, width]` for each group.
    ///
    /// # Panics
    /// On a code that is not below size².
    pub fn table_rows(&self, codes: &[u32]) -> [Tensor<2>; 2] {
        let (a, b) = self.unpack(codes);
        [self.a.codebook.forward(&a), self.b.codebook.forward(&b)]
    }

    fn unpack(&self, codes: &[u32]) -> (Vec<u32>, Vec<u32>) {
        let size = self.size as u32;
        codes.iter().map(|code| (code / size, code % size)).unzip()
    }

    fn emit(&self, codes: &[u32]) -> Tensor<2> {
        let (a, b) = self.unpack(codes);
        Tensor::cat(vec![self.a.emit(&a), self.b.emit(&b)], 1)
    }
}

/// All codebooks of the acoustic half of the codec.
#[derive(Module, Debug)]
pub struct GroupedResidualQuantizer {
    /// In order of what they code.
    pub quantizers: Vec<GroupedQuantizer>,
}

/// What encoding gives.
pub struct Quantized {
    /// Packed codes, `[codebooks][frames]`.
    pub codes: Vec<Vec<u32>>,
    /// Sum of what the codebooks gave, `[frames, latent]`.
    pub sum: Tensor<2>,
    /// What each codebook searched with, groups a and b: `[frames, width]` each.
    pub projected: Vec<Tensor<2>>,
}

impl GroupedResidualQuantizer {
    /// Loads `quantizers.{i}` below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with one of the tensors.
    pub fn load(weights: &Weights, config: &QuantizerConfig) -> Result<Self, LoadError> {
        let quantizers = (0..config.codebooks).map(|i| GroupedQuantizer::load(&weights.at(format_args!("quantizers.{i}")), config));
        Ok(Self { quantizers: quantizers.collect::<Result<_, _>>()? })
    }

    /// Codes latents, frame by frame: no codebook looks at another frame.
    ///
    /// # Shapes
    /// z: `[frames, latent]`
    pub fn encode(&self, z: Tensor<2>) -> Quantized {
        let mut residual = z.clone();
        let (mut codes, mut projected) = (Vec::new(), Vec::new());
        for quantizer in &self.quantizers {
            let (a, b) = (quantizer.a.in_proj.forward(residual.clone()), quantizer.b.in_proj.forward(residual.clone()));
            let rows = quantizer.a.search(&a).into_iter().zip(quantizer.b.search(&b));
            let packed: Vec<u32> = rows.map(|(a, b)| a * quantizer.size as u32 + b).collect();
            residual = residual - quantizer.emit(&packed);
            codes.push(packed);
            projected.extend([a, b]);
        }
        Quantized { codes, sum: z - residual, projected }
    }

    /// Latents from packed codes of the first codebooks; fewer codebooks than there are sum fewer terms.
    ///
    /// # Shapes
    /// codes: `[codebooks][frames]`, at least one of each → `[frames, latent]`
    ///
    /// # Panics
    /// On no codebook, or a code that is not below size².
    pub fn decode(&self, codes: &[Vec<u32>]) -> Tensor<2> {
        let terms = self.quantizers.iter().zip(codes).map(|(quantizer, codes)| quantizer.emit(codes));
        terms.reduce(|sum, term| sum + term).expect("at least one codebook")
    }
}
