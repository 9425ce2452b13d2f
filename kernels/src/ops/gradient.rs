//! Operations whose gradient is written out, for training on the CPU.
//!
//! What burn composes and differentiates by itself is right everywhere, but a convolution composed of slices, or an
//! LSTM of single rows, spends most of its time moving numbers. Where it matters an operation runs its fast CPU version
//! forward and states its gradients here; a test compares them with those of the composition.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::{DType, Tensor, TensorData};
use burn_flex::{Flex, FlexTensor};

use super::HostView;

/// A tensor of the CPU with gradient tracking.
pub(super) type Tracked = burn::backend::tensor::FloatTensor<Autodiff<Flex>>;

/// Gradients of an operation on the host.
pub(super) trait HostGradient<const N: usize>: Clone + Debug + Send + 'static {
    /// Gradients by the inputs, flat and row-major, for those that are wanted.
    fn gradients(&self, inputs: [&[f32]; N], by_output: &[f32], wanted: [bool; N]) -> [Option<Vec<f32>>; N];
}

/// The tensor as the CPU tracks it; `None` on other devices, without tracking, and in other formats than f32.
pub(super) fn tracked<const D: usize>(tensor: &Tensor<D>) -> Option<Tracked> {
    if tensor.dtype() != DType::F32 || !tensor.device().is_autodiff() {
        return None;
    }
    tensor.clone().try_into_primitive::<Autodiff<Flex>>().ok()
}

/// The values of a tracked tensor, contiguous.
pub(super) fn view(tensor: &Tracked) -> HostView {
    HostView(tensor.primitive().to_contiguous())
}

/// The result of an operation on `inputs`, with its gradient.
pub(super) fn record<const N: usize, const D: usize, G: HostGradient<N>>(
    inputs: &[Tracked; N],
    views: [HostView; N],
    output: Vec<f32>,
    shape: [usize; D],
    gradient: G,
) -> Tensor<D> {
    let nodes = inputs.each_ref().map(Tracked::node);
    let output = FlexTensor::from_data(TensorData::new(output, shape));
    let step = Recorded::<G, N>(PhantomData);
    let output = match step.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish((views.map(|view| view.0), gradient), output),
        OpsKind::UnTracked(step) => step.finish(output),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(output)
}

#[derive(Debug)]
struct Recorded<G, const N: usize>(PhantomData<fn() -> G>);

impl<G: HostGradient<N>, const N: usize> Backward<Flex, N> for Recorded<G, N> {
    type State = ([FlexTensor; N], G);

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let by_output = HostView(gradients.consume::<Flex>(&ops.node).to_contiguous());
        let (inputs, gradient) = ops.state;
        let values = inputs.each_ref().map(|input| input.as_slice::<f32>().expect("made contiguous before"));
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let by_inputs = gradient.gradients(values, by_output.values(), wanted);
        for ((parent, by_input), input) in ops.parents.iter().zip(by_inputs).zip(&inputs) {
            if let (Some(parent), Some(by_input)) = (parent, by_input) {
                let shape = input.layout().shape().clone();
                gradients.register::<Flex>(parent.id, FlexTensor::from_data(TensorData::new(by_input, shape)));
            }
        }
    }
}
