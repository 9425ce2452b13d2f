//! The GPUs, and how the model is laid over them.

use std::str::FromStr;

use caracal_kernels::LoadError;
use serde::Serialize;

use crate::backbone::BackboneConfig;

/// One kind of GPU: what its data sheet promises.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Gpu {
    /// Name with its memory, as `--gpus` takes it.
    pub name: &'static str,
    /// Memory in bytes, nominal.
    pub memory_bytes: u64,
    /// Memory bandwidth in bytes per second.
    pub bytes_per_second: f64,
    /// Dense bf16 operations per second.
    pub bf16_flops: f64,
    /// Dense fp8 operations per second.
    pub fp8_flops: f64,
}

/// Known GPUs. Source: NVIDIA data sheets (SXM versions, dense rates). H800 is H100 with slower links between GPUs.
pub const GPUS: [Gpu; 5] = [
    Gpu { name: "H20-96G", memory_bytes: 96_000_000_000, bytes_per_second: 4.0e12, bf16_flops: 148e12, fp8_flops: 296e12 },
    Gpu { name: "H20-141G", memory_bytes: 141_000_000_000, bytes_per_second: 4.0e12, bf16_flops: 148e12, fp8_flops: 296e12 },
    Gpu { name: "H100-80G", memory_bytes: 80_000_000_000, bytes_per_second: 3.35e12, bf16_flops: 990e12, fp8_flops: 1980e12 },
    Gpu { name: "H800-80G", memory_bytes: 80_000_000_000, bytes_per_second: 3.35e12, bf16_flops: 990e12, fp8_flops: 1980e12 },
    Gpu { name: "H200-141G", memory_bytes: 141_000_000_000, bytes_per_second: 4.8e12, bf16_flops: 990e12, fp8_flops: 1980e12 },
];

/// GPUs of one machine or of several: far above any that the model was served on.
const GPUS_MAX: usize = 4096;

/// A plan cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The model folder cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// `--gpus` is not understood.
    #[error("--gpus {given}: expected COUNTxNAME with a count of 1 to {GPUS_MAX} and one of {}, e.g. 8xH20-141G", GPUS.map(|gpu| gpu.name).join(", "))]
    UnknownFleet {
        /// What was given.
        given: String,
    },
    /// The model does not divide so.
    #[error("{parts} {way} parts do not divide {whole} {what}. Choose a divisor of {whole}.")]
    DoesNotDivide {
        /// `tensor-parallel` or `expert-parallel`.
        way: &'static str,
        /// Parts asked for.
        parts: usize,
        /// What has to be divided.
        what: &'static str,
        /// How many there are.
        whole: usize,
    },
    /// A number is out of its range.
    #[error("--{option} {given}: expected {expected}")]
    OutOfRange {
        /// The option.
        option: &'static str,
        /// What was given.
        given: String,
        /// What is possible.
        expected: String,
    },
}

/// So many GPUs of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fleet {
    /// How many.
    pub count: usize,
    /// Which.
    pub gpu: Gpu,
}

impl FromStr for Fleet {
    type Err = PlanError;

    fn from_str(given: &str) -> Result<Self, PlanError> {
        let unknown = || PlanError::UnknownFleet { given: given.into() };
        let (count, name) = given.split_once(['x', 'X']).ok_or_else(unknown)?;
        let count = count.parse().ok().filter(|count| (1..=GPUS_MAX).contains(count)).ok_or_else(unknown)?;
        let gpu = GPUS.into_iter().find(|gpu| gpu.name.eq_ignore_ascii_case(name)).ok_or_else(unknown)?;
        Ok(Self { count, gpu })
    }
}

/// How the model is laid over the GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Layout {
    /// All GPUs.
    pub gpus: usize,
    /// GPUs that share one attention and dense FFN. The rest is data parallelism: each such group serves its own
    /// requests and keeps their cache, which every GPU of the group holds in full.
    pub tensor_parallel: usize,
    /// GPUs that share the experts.
    pub expert_parallel: usize,
}

impl Layout {
    /// Checks that the model divides so.
    ///
    /// # Errors
    /// [`PlanError::DoesNotDivide`], [`PlanError::OutOfRange`].
    pub fn new(gpus: usize, tensor_parallel: usize, expert_parallel: usize, config: &BackboneConfig) -> Result<Self, PlanError> {
        for (option, given) in [("tp", tensor_parallel), ("ep", expert_parallel)] {
            if given == 0 || given > gpus {
                return Err(PlanError::OutOfRange { option, given: given.to_string(), expected: format!("1 to the {gpus} GPUs") });
            }
        }
        let wholes = [
            ("tensor-parallel", tensor_parallel, "GPUs", gpus),
            ("expert-parallel", expert_parallel, "GPUs", gpus),
            ("tensor-parallel", tensor_parallel, "attention heads", config.num_attention_heads),
            ("tensor-parallel", tensor_parallel, "columns of the dense FFN", config.ffn_hidden_size),
            ("tensor-parallel", tensor_parallel, "rows of the vocabulary", config.vocab_size),
            ("expert-parallel", expert_parallel, "experts", config.n_routed_experts),
        ];
        match wholes.into_iter().find(|(_, parts, _, whole)| !whole.is_multiple_of(*parts)) {
            Some((way, parts, what, whole)) => Err(PlanError::DoesNotDivide { way, parts, what, whole }),
            None => Ok(Self { gpus, tensor_parallel, expert_parallel }),
        }
    }

    /// Groups that serve their own requests.
    pub fn data_parallel(self) -> usize {
        self.gpus / self.tensor_parallel
    }

    /// Requests of a batch that one tensor-parallel group serves.
    pub fn requests_per_group(self, batch: usize) -> usize {
        batch.div_ceil(self.data_parallel())
    }

    /// Tokens of a decode step that one set of experts sees.
    pub fn tokens_per_expert_set(self, batch: usize) -> usize {
        (batch * self.expert_parallel).div_ceil(self.gpus)
    }
}
