//! Values of one module into another of the same shape: from the file that trained a part into the one that is published,
//! or half of each of two.

use std::collections::VecDeque;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};

/// `to` with the parameters of `from`, in the order in which modules list them; names and devices stay those of `to`.
///
/// # Panics
/// When the two are not of the same shape.
pub fn values<M: Module>(from: &M, to: M) -> M {
    blend(from, to, 1.0)
}

/// `to` with the mean of its parameters and of those of `from`. Only of two ends of one
/// training (Izmailov et al. 2018): networks that began apart have nothing between them.
///
/// # Panics
/// When the two are not of the same shape.
pub fn mean<M: Module>(from: &M, to: M) -> M {
    blend(from, to, 0.5)
}

fn blend<M: Module>(from: &M, to: M, share: f64) -> M {
    let mut collected = Values { left: VecDeque::new(), share };
    from.visit(&mut collected);
    let to = to.map(&mut collected);
    assert!(collected.left.is_empty(), "{} parameters more than there are places", collected.left.len());
    to
}

struct Values {
    left: VecDeque<TensorData>,
    /// Of these values beside those that stand there.
    share: f64,
}

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.left.push_back(param.val().into_data_dtype(DType::F32));
    }
}

impl ModuleMapper for Values {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let data = self.left.pop_front().expect("as many parameters as places");
        param.map(|old| {
            assert_eq!(data.shape().to_vec(), old.dims().to_vec(), "parameters of one shape");
            let new = Tensor::from_data(data, (&old.device(), DType::F32));
            if self.share < 1.0 { new * self.share + old * (1.0 - self.share) } else { new }
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use caracal_kernels::Weights;
    use caracal_kernels::layers::Linear;

    use super::*;

    #[test]
    fn values_are_taken_whole_and_a_mean_lies_between() {
        let linear = |seed: u64| Linear::load(&Weights::random(seed, &Device::flex()), 3, 2, true).unwrap();
        let numbers = |module: &Linear| -> Vec<f32> {
            let mut seen = Values { left: VecDeque::new(), share: 1.0 };
            module.visit(&mut seen);
            seen.left.into_iter().flat_map(|data| data.try_into_vec::<f32>().unwrap()).collect()
        };
        let (one, other) = (numbers(&linear(1)), numbers(&linear(2)));
        assert_eq!((one.len(), one == other), (8, false));
        assert_eq!(numbers(&values(&linear(1), linear(2))), one);
        let between = numbers(&mean(&linear(1), linear(2)));
        for ((one, other), between) in one.iter().zip(&other).zip(between) {
            assert!((f64::midpoint(f64::from(*one), f64::from(*other)) - f64::from(between)).abs() < 1e-6);
        }
    }
}
