//! Where a network's parameters come from and go to, with one definition of each name and shape.
//!
//! A module's `load(weights, config)` asks for each of its parameters once, by the published tensor name. The same
//! function then serves four purposes: reading a checkpoint, making up random weights at any size, starting a
//! training run, and writing the checkpoint back under the same names ([`Weights::save`]).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Device, Tensor, TensorData};
use half::bf16;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::checkpoint::{Checkpoint, LoadError, StoredDtype, write_safetensors};
use crate::ops::ConvLayout;

/// How a parameter starts when it does not come from a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All zero.
    Zeros,
    /// All one.
    Ones,
    /// All of this value.
    Constant(f32),
    /// Normal with this standard deviation.
    Normal(f32),
    /// Uniform between plus and minus this bound.
    Uniform(f32),
}

/// A named place in a checkpoint: hand it to a module's `load`.
///
/// Cloning and [`Weights::at`] are cheap; all clones share one name table.
#[derive(Clone)]
pub struct Weights<'a> {
    source: Source<'a>,
    device: Device,
    dtype: DType,
    narrow: bool,
    prefix: String,
    names: Rc<RefCell<Names>>,
}

#[derive(Clone)]
enum Source<'a> {
    File(&'a Checkpoint),
    Random(Rc<RefCell<StdRng>>),
}

type Names = BTreeMap<ParamId, (String, Stored)>;

/// How a parameter stands in the file.
#[derive(Clone, Copy, PartialEq)]
enum Stored {
    Plain,
    /// As `{name}_g` and `{name}_v` (weight norm over all axes but the first).
    WeightNorm,
    /// Likewise, and in panels only here.
    Convolution(ConvLayout),
}

impl<'a> Weights<'a> {
    /// Parameters from `checkpoint`, computed with in `dtype` (`F32`, `F16` or `BF16`) on `device`.
    pub fn from_checkpoint(checkpoint: &'a Checkpoint, device: &Device, dtype: DType) -> Self {
        Self::new(Source::File(checkpoint), device, dtype)
    }

    /// Parameters made up from `seed`, each by its [`Init`]: for training and for benchmarks at full size.
    pub fn random(seed: u64, device: &Device) -> Self {
        Self::new(Source::Random(Rc::new(RefCell::new(StdRng::seed_from_u64(seed)))), device, DType::F32)
    }

    fn new(source: Source<'a>, device: &Device, dtype: DType) -> Self {
        Self { source, device: device.clone(), dtype, narrow: false, prefix: String::new(), names: Rc::default() }
    }

    /// Keeps [`Weights::matrix`] parameters that the file stores in bf16 in that format, half the memory and traffic,
    /// where the CPU kernels widen them exactly as they read them. Results equal those of the widened weights bit for
    /// bit. Without effect off the CPU and for random weights in f32.
    #[must_use]
    pub fn keep_narrow(mut self) -> Self {
        self.narrow = crate::ops::is_plain_cpu(&self.device);
        self
    }

    /// The place `name` below this one.
    #[must_use]
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        Self { prefix: format!("{}{name}.", self.prefix), ..self.clone() }
    }

    /// The same place with parameters in another number format: for the few that must stay f32.
    #[must_use]
    pub fn in_dtype(&self, dtype: DType) -> Self {
        Self { dtype, ..self.clone() }
    }

    /// The same names without the file behind them, for [`Weights::save`] after training: what is asked of it from now
    /// on is made up from `seed`.
    #[must_use]
    pub fn without_file(&self, seed: u64) -> Weights<'static> {
        let source = Source::Random(Rc::new(RefCell::new(StdRng::seed_from_u64(seed))));
        let Self { device, dtype, narrow, prefix, names, .. } = self.clone();
        Weights { source, device, dtype, narrow, prefix, names }
    }

    /// The device that parameters are put on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The number format that networks compute in.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Whether the checkpoint holds `name`. Random weights hold everything.
    pub fn holds(&self, name: &str) -> bool {
        match &self.source {
            Source::File(file) => file.get(&format!("{}{name}", self.prefix)).is_some(),
            Source::Random(_) => true,
        }
    }

    /// The checkpoint behind this place, with the full name of `name` in it; `None` for random weights.
    pub fn entry(&self, name: &str) -> Option<(&'a Checkpoint, String)> {
        match &self.source {
            Source::File(file) => Some((file, format!("{}{name}", self.prefix))),
            Source::Random(_) => None,
        }
    }

    /// A parameter of `shape`.
    ///
    /// # Errors
    /// Whatever is wrong with the tensor, see [`Checkpoint::floats`].
    pub fn param<const D: usize>(&self, name: &str, shape: [usize; D], init: Init) -> Result<Param<Tensor<D>>, LoadError> {
        let name = format!("{}{name}", self.prefix);
        let values = match &self.source {
            Source::File(file) => file.floats(&name, &shape)?,
            Source::Random(rng) => draw(&mut rng.borrow_mut(), shape.iter().product(), init),
        };
        Ok(self.register(name, Stored::Plain, self.tensor(values, shape, self.dtype)))
    }

    /// As [`Weights::param`] for a matrix `[out, in]` that only ever goes into [`crate::ops::linear`]: it may stay in
    /// the file's bf16 ([`Weights::keep_narrow`]).
    ///
    /// # Errors
    /// As [`Weights::param`].
    pub fn matrix(&self, name: &str, shape: [usize; 2], init: Init) -> Result<Param<Tensor<2>>, LoadError> {
        if let (true, Source::File(file)) = (self.narrow, &self.source) {
            let full = format!("{}{name}", self.prefix);
            if file.get(&full).is_some_and(|t| t.dtype == StoredDtype::Bf16) {
                let (_, bytes) = file.bytes(&full, &shape)?;
                let values: Vec<bf16> = bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b)).collect();
                if let Some(index) = values.iter().position(|v| !v.is_finite()) {
                    return Err(LoadError::NotFinite {
                        file: file.path().to_path_buf(),
                        tensor: full,
                        index,
                        found: values[index].to_f32(),
                    });
                }
                let tensor = Tensor::from_data(TensorData::new(values, shape), (&self.device, DType::BF16));
                return Ok(self.register(full, Stored::Plain, tensor));
            }
        }
        self.param(name, shape, init)
    }

    /// A parameter that the file stores under weight normalisation, `{name}_g` and `{name}_v`, folded into one:
    /// w = g v / |v|, the norm over all axes but the first. There is no epsilon in the published formula, so a zero
    /// norm is an error.
    ///
    /// # Errors
    /// As [`Weights::param`]; [`LoadError::NotFinite`] where |v| is zero.
    pub fn weight_norm<const D: usize>(&self, name: &str, shape: [usize; D], init: Init) -> Result<Param<Tensor<D>>, LoadError> {
        let full = format!("{}{name}", self.prefix);
        let values = self.fold(&full, shape, init)?;
        Ok(self.register(full, Stored::WeightNorm, self.tensor(values, shape, self.dtype)))
    }

    /// A convolution's weight under weight normalisation, folded as [`Weights::weight_norm`] does and laid out in the
    /// panels that [`crate::ops::conv1d`] reads.
    ///
    /// # Errors
    /// As [`Weights::weight_norm`].
    pub fn convolution(&self, name: &str, layout: ConvLayout, init: Init) -> Result<Param<Tensor<3>>, LoadError> {
        let full = format!("{}{name}", self.prefix);
        let values = layout.to_panels(&self.fold(&full, layout.published(), init)?);
        Ok(self.register(full, Stored::Convolution(layout), self.tensor(values, layout.panels(), self.dtype)))
    }

    fn fold<const D: usize>(&self, full: &str, shape: [usize; D], init: Init) -> Result<Vec<f32>, LoadError> {
        let file = match &self.source {
            Source::Random(rng) => return Ok(draw(&mut rng.borrow_mut(), shape.iter().product(), init)),
            Source::File(file) => file,
        };
        let mut g_shape = [1; D];
        g_shape[0] = shape[0];
        let gains = file.floats(&format!("{full}_g"), &g_shape)?;
        let mut values = file.floats(&format!("{full}_v"), &shape)?;
        let row = shape[1..].iter().product::<usize>();
        for (index, (row, gain)) in values.chunks_mut(row).zip(gains).enumerate() {
            let norm = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
            if norm == 0.0 {
                return Err(LoadError::NotFinite {
                    file: file.path().to_path_buf(),
                    tensor: format!("{full}_v (row norm)"),
                    index,
                    found: 0.0,
                });
            }
            row.iter_mut().for_each(|v| *v = (f64::from(*v) * f64::from(gain) / norm) as f32);
        }
        Ok(values)
    }

    /// A parameter whose values the caller has read from the file itself: for formats of one network only.
    pub fn supplied<const D: usize>(&self, name: &str, shape: [usize; D], values: Vec<f32>) -> Param<Tensor<D>> {
        self.register(format!("{}{name}", self.prefix), Stored::Plain, self.tensor(values, shape, self.dtype))
    }

    /// A constant tensor on this place's device and in its number format.
    pub fn tensor<const D: usize>(&self, values: Vec<f32>, shape: [usize; D], dtype: DType) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), (&self.device, dtype))
    }

    fn register<const D: usize>(&self, name: String, stored: Stored, tensor: Tensor<D>) -> Param<Tensor<D>> {
        let param = Param::from_tensor(tensor);
        self.names.borrow_mut().insert(param.id, (name, stored));
        param
    }

    /// Writes the parameters of `module` that were loaded through this place (or a clone of it) as `.safetensors`, by
    /// their published names, in `dtype` ([`StoredDtype::F32`], [`StoredDtype::F16`] or [`StoredDtype::Bf16`]).
    ///
    /// # Errors
    /// [`LoadError::Io`].
    ///
    /// # Panics
    /// When a parameter of `module` was not loaded through this place, or for any other `dtype`.
    pub fn save(&self, module: &impl Module, path: &Path, dtype: StoredDtype) -> Result<(), LoadError> {
        let mut collected = Collect { names: &self.names.borrow(), dtype, tensors: Vec::new() };
        module.visit(&mut collected);
        write_safetensors(path, &collected.tensors)
    }
}

fn draw(rng: &mut StdRng, count: usize, init: Init) -> Vec<f32> {
    match init {
        Init::Zeros => vec![0.0; count],
        Init::Ones => vec![1.0; count],
        Init::Constant(value) => vec![value; count],
        Init::Uniform(bound) => (0..count).map(|_| rng.random_range(-bound..=bound)).collect(),
        Init::Normal(deviation) => {
            // Box-Muller, two values a draw.
            let mut values = Vec::with_capacity(count + 1);
            while values.len() < count {
                let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt() * deviation;
                let (sin, cos) = (std::f32::consts::TAU * rng.random::<f32>()).sin_cos();
                values.extend([radius * cos, radius * sin]);
            }
            values.truncate(count);
            values
        }
    }
}

struct Collect<'n> {
    names: &'n Names,
    dtype: StoredDtype,
    tensors: Vec<(String, StoredDtype, Vec<usize>, Vec<u8>)>,
}

impl Collect<'_> {
    fn push(&mut self, name: String, shape: Vec<usize>, values: &[f32]) {
        let bytes = match self.dtype {
            StoredDtype::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            StoredDtype::F16 => values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
            StoredDtype::Bf16 => values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect(),
            other => panic!("parameters are saved as f32, f16 or bf16, not {other:?}"),
        };
        self.tensors.push((name, self.dtype, shape, bytes));
    }
}

impl Collect<'_> {
    fn push_normed(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let row = shape[1..].iter().product::<usize>();
        let gains: Vec<f32> =
            values.chunks(row).map(|r| r.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt() as f32).collect();
        let mut g_shape = vec![1; shape.len()];
        g_shape[0] = shape[0];
        self.push(format!("{name}_g"), g_shape, &gains);
        self.push(format!("{name}_v"), shape.to_vec(), values);
    }
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let (name, stored) = self.names.get(&param.id).expect("the module was loaded through these weights").clone();
        let tensor = param.val();
        let shape = tensor.dims();
        let values = tensor.into_data_dtype(DType::F32).try_into_vec::<f32>().expect("f32 was asked for");
        match stored {
            Stored::Plain => self.push(name, shape.to_vec(), &values),
            Stored::WeightNorm => self.push_normed(&name, &shape, &values),
            Stored::Convolution(layout) => self.push_normed(&name, &layout.published(), &layout.to_published(&values)),
        }
    }
}
