//! A table of rows looked up by index.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};

use crate::checkpoint::LoadError;
use crate::weights::{Init, Weights};

/// Row `id` of a table.
#[derive(Module, Debug)]
pub struct Embedding {
    /// `[entries, width]`
    pub weight: Param<Tensor<2>>,
}

impl Embedding {
    /// Loads `weight` below `weights`.
    ///
    /// # Errors
    /// Whatever is wrong with the tensor.
    pub fn load(weights: &Weights, entries: usize, width: usize) -> Result<Self, LoadError> {
        Ok(Self { weight: weights.param("weight", [entries, width], Init::Normal(0.02))? })
    }

    /// # Shapes
    /// ids: `rows` indices below `entries` → `[rows, width]`
    ///
    /// # Panics
    /// On an index outside the table: callers check ids where they enter.
    pub fn forward(&self, ids: &[u32]) -> Tensor<2> {
        let weight = self.weight.val();
        let [entries, _] = weight.dims();
        assert!(ids.iter().all(|id| (*id as usize) < entries), "embedding: an id of {ids:?} is not below {entries}");
        let ids: Vec<i32> = ids.iter().map(|id| *id as i32).collect();
        let count = ids.len();
        let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [count]), &weight.device());
        weight.select(0, ids)
    }
}
