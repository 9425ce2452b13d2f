//! max(0, x), with a ceiling where there is one.

use burn::tensor::{DType, Tensor};

use super::gradient::{HostGradient, record, tracked, view};
use super::{HostView, from_host, is_plain_cpu};

/// x between 0 and `ceiling`.
///
/// # Shapes
/// any `[rows, width]`
pub fn rectify(x: Tensor<2>, ceiling: Option<f32>) -> Tensor<2> {
    let (device, dtype, shape) = (x.device(), x.dtype(), x.dims());
    if dtype == DType::F32 && is_plain_cpu(&device) {
        return from_host(between(HostView::new(x).values(), ceiling), shape, &device, dtype);
    }
    if let Some(tensor) = tracked(&x) {
        let views = [view(&tensor)];
        let y = between(views[0].values(), ceiling);
        return record(&[tensor], views, y, shape, Slope { ceiling });
    }
    match ceiling {
        Some(ceiling) => x.clamp(0.0, ceiling),
        None => x.clamp_min(0.0),
    }
}

fn between(x: &[f32], ceiling: Option<f32>) -> Vec<f32> {
    let ceiling = ceiling.unwrap_or(f32::INFINITY);
    // Written so that what is no number stays none.
    x.iter()
        .map(|x| {
            if *x < 0.0 {
                0.0
            } else if *x > ceiling {
                ceiling
            } else {
                *x
            }
        })
        .collect()
}

/// 1 between both ends, else 0.
#[derive(Clone, Copy, Debug)]
struct Slope {
    ceiling: Option<f32>,
}

impl HostGradient<1> for Slope {
    fn gradients(&self, [x]: [&[f32]; 1], dy: &[f32], _: [bool; 1]) -> [Option<Vec<f32>>; 1] {
        let ceiling = self.ceiling.unwrap_or(f32::INFINITY);
        [Some(x.iter().zip(dy).map(|(x, dy)| if *x > 0.0 && *x < ceiling { *dy } else { 0.0 }).collect())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn values_and_slopes_end_at_both_ends() {
        let device = Device::flex().autodiff();
        let values = vec![-1.0f32, 0.5, 5.5, 7.0];
        let x = Tensor::<2>::from_data(TensorData::new(values.clone(), [2, 2]), &device).require_grad();
        let y = rectify(x.clone(), Some(6.0));
        let gradients = (y.clone() * 3.0).sum().backward();
        let list = |t: Tensor<2>| t.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(list(y), [0.0, 0.5, 5.5, 6.0]);
        assert_eq!(list(x.grad(&gradients).unwrap()), [0.0, 3.0, 3.0, 0.0]);
        let plain = Tensor::<2>::from_data(TensorData::new(values, [2, 2]), &Device::flex());
        assert_eq!(list(rectify(plain.clone(), Some(6.0))), [0.0, 0.5, 5.5, 6.0]);
        assert_eq!(list(rectify(plain, None)), [0.0, 0.5, 5.5, 7.0]);
    }
}
