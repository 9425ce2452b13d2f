//! Values of one module into another of the same shape: from the file that trained a part into the one that is published.

use std::collections::VecDeque;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};

/// `to` with the parameters of `from`, in the order in which modules list them; names and devices stay those of `to`.
///
/// # Panics
/// When the two are not of the same shape.
pub fn values<M: Module>(from: &M, to: M) -> M {
    let mut collected = Values(VecDeque::new());
    from.visit(&mut collected);
    let to = to.map(&mut collected);
    assert!(collected.0.is_empty(), "{} parameters more than there are places", collected.0.len());
    to
}

struct Values(VecDeque<TensorData>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push_back(param.val().into_data_dtype(DType::F32));
    }
}

impl ModuleMapper for Values {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let data = self.0.pop_front().expect("as many parameters as places");
        param.map(|old| {
            assert_eq!(data.shape().to_vec(), old.dims().to_vec(), "parameters of one shape");
            Tensor::from_data(data, (&old.device(), DType::F32))
        })
    }
}
