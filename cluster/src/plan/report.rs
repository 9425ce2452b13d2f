//! A whole plan, as text and as JSON.

use std::fmt::{self, Display};
use std::path::Path;

use serde::Serialize;

use super::fleet::{Fleet, Layout, PlanError};
use super::inventory::{Component, Inventory};
use super::memory::{CacheRoom, GpuMemory, cache_bytes_per_token};
use super::roofline::{Roofline, Step};
use crate::backbone::BackboneConfig;

/// Batch sizes of the roofline.
const BATCHES: [usize; 4] = [1, 8, 32, 128];

/// Cached tokens per request of the roofline beside the asked-for context: none, and a long conversation.
const CONTEXTS: [u64; 2] = [0, 4096];

/// What to plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRequest {
    /// The GPUs.
    pub fleet: Fleet,
    /// GPUs that share attention and dense FFN.
    pub tensor_parallel: usize,
    /// GPUs that share the experts.
    pub expert_parallel: usize,
    /// Tokens of one conversation.
    pub context: u64,
    /// Shares of the memory that may be used.
    pub fractions: Vec<f64>,
}

/// Memory and speed of a model on given GPUs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Where the sizes come from, and how much of each component there is.
    pub inventory: Inventory,
    /// The GPUs.
    pub fleet: Fleet,
    /// How the model is laid over them.
    pub layout: Layout,
    /// Tokens of one conversation.
    pub context: u64,
    /// What one GPU holds.
    pub memory: GpuMemory,
    /// Cached bytes per token.
    pub cache_bytes_per_token: u64,
    /// Room for the cache at each fraction.
    pub rooms: Vec<CacheRoom>,
    /// Whether the weights and one whole context fit at the largest fraction.
    pub fits: bool,
    /// Decode steps.
    pub steps: Vec<Step>,
    /// Time of the audio heads, to be added for speech.
    pub audio_heads_ms: f64,
}

impl Plan {
    /// Plans the model in `folder`.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub fn new(folder: &Path, request: &PlanRequest) -> Result<Self, PlanError> {
        let config = BackboneConfig::read(folder)?;
        let inventory = Inventory::read(folder, &config)?;
        Self::of(&config, inventory, request)
    }

    /// Plans a model whose parts are known.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub fn of(config: &BackboneConfig, inventory: Inventory, request: &PlanRequest) -> Result<Self, PlanError> {
        let PlanRequest { fleet, tensor_parallel, expert_parallel, context, ref fractions } = *request;
        let longest = config.max_position_embeddings as u64;
        if context == 0 || context > longest {
            let expected = format!("1 to the {longest} positions of the model");
            return Err(PlanError::OutOfRange { option: "context", given: context.to_string(), expected });
        }
        if let Some(given) = fractions.iter().find(|f| !(**f > 0.0 && **f <= 1.0)) {
            return Err(PlanError::OutOfRange {
                option: "memory-fraction",
                given: given.to_string(),
                expected: "above 0, at most 1".into(),
            });
        }
        let layout = Layout::new(fleet.count, tensor_parallel, expert_parallel, config)?;
        let memory = GpuMemory::new(&inventory, layout);
        let rooms: Vec<_> = fractions.iter().map(|fraction| memory.cache_room(*fraction, &fleet, layout, config, context)).collect();
        let mut contexts = CONTEXTS.to_vec();
        contexts.extend(Some(context).filter(|context| !CONTEXTS.contains(context)));
        let roofline = Roofline::new(config, &inventory, &memory, fleet, layout);
        let steps = BATCHES.iter().flat_map(|batch| roofline.steps(*batch, &contexts)).collect();
        let audio_heads_ms = roofline.audio_heads_ms();
        let fits = rooms.iter().any(|room| room.contexts > 0);
        Ok(Self {
            fleet,
            layout,
            context,
            cache_bytes_per_token: cache_bytes_per_token(config),
            fits,
            steps,
            audio_heads_ms,
            rooms,
            memory,
            inventory,
        })
    }

    /// The step of one batch size.
    pub fn step(&self, batch: usize, context: u64, balanced: bool) -> Option<&Step> {
        self.steps.iter().find(|step| step.batch == batch && step.context == context && step.balanced == balanced)
    }

    /// Whether the cache of a step fits at the largest fraction.
    fn holds(&self, step: &Step) -> bool {
        let requests = self.layout.requests_per_group(step.batch) as u64;
        self.rooms.iter().any(|room| room.left >= 0 && requests * step.context <= room.tokens)
    }
}

fn gigabytes(bytes: impl Into<i128>) -> f64 {
    bytes.into() as f64 / 1e9
}

fn name(component: Component) -> &'static str {
    match component {
        Component::Experts => "experts (split)",
        Component::DenseFfn => "dense FFNs (split)",
        Component::AttentionSharded => "attention, query and output (split)",
        Component::LatentExpansion => "attention, latent expansion (split)",
        Component::LatentProjections => "attention, latent projections",
        Component::Routers => "routers, f32",
        Component::Norms => "norms",
        Component::TextEmbedding => "text embedding (split)",
        Component::TextHead => "text head (split)",
        Component::AudioTables => "audio tables",
        Component::AudioHeads => "audio heads",
        Component::MultiToken => "multi-token prediction (not loaded)",
        Component::Unknown => "tensors unknown to this program",
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Fleet { count, gpu } = self.fleet;
        let Layout { tensor_parallel, expert_parallel, .. } = self.layout;
        writeln!(f, "{:.2} B parameters, from {}", self.inventory.parameters() as f64 / 1e9, self.inventory.source)?;
        writeln!(
            f,
            "{count} x {}: {:.0} GB, {:.2} TB/s, {:.0} bf16 and {:.0} fp8 TFLOPS each; TP {tensor_parallel}, EP {expert_parallel}, DP {}\n",
            gpu.name,
            gigabytes(gpu.memory_bytes),
            gpu.bytes_per_second / 1e12,
            gpu.bf16_flops / 1e12,
            gpu.fp8_flops / 1e12,
            self.layout.data_parallel()
        )?;
        writeln!(f, "{:<40} {:>9} {:>9}", "GB", "model", "per GPU")?;
        for (component, bytes) in &self.memory.components {
            writeln!(f, "{:<40} {:>9.2} {:>9.2}", name(*component), gigabytes(self.inventory.of(*component).bytes), gigabytes(*bytes))?;
        }
        writeln!(f, "{:<40} {:>9} {:>9.2}", "attention, absorbed at load (split)", "", gigabytes(self.memory.absorbed))?;
        writeln!(f, "{:<40} {:>9} {:>9.2}\n", "weights", "", gigabytes(self.memory.weights))?;
        writeln!(
            f,
            "cache: {} bytes per token in bf16, {:.2} GB for {} tokens",
            self.cache_bytes_per_token,
            gigabytes(self.cache_bytes_per_token * self.context),
            self.context
        )?;
        for room in &self.rooms {
            self.write_room(f, room)?;
        }
        writeln!(f, "what is left must also hold activations, graphs and communication buffers\n")?;
        self.write_steps(f)?;
        let verdict = if self.fits { "FITS" } else { "DOES NOT FIT" };
        write!(f, "{verdict}: {}", self.reason())
    }
}

impl Plan {
    fn write_room(&self, f: &mut fmt::Formatter, room: &CacheRoom) -> fmt::Result {
        write!(f, "  at {:.2} of the memory, {:.1} GB: ", room.fraction, gigabytes(room.budget))?;
        match room.left {
            left if left < 0 => writeln!(f, "does not fit, {:.1} GB short", gigabytes(-left)),
            left => writeln!(
                f,
                "{:.1} GB left, {} tokens, {} contexts of {}",
                gigabytes(left),
                room.tokens_of_all_groups,
                room.contexts,
                self.context
            ),
        }
    }

    fn write_steps(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "least time of one decode step in ms, and tokens per second of the batch; * = its cache does not fit")?;
        let header: String = BATCHES.iter().map(|batch| format!("{:>19}", format!("batch {batch}"))).collect();
        writeln!(f, "{:<34}{header}", "cached tokens, experts")?;
        let rows: Vec<_> = self.steps.iter().filter(|step| step.batch == BATCHES[0]).map(|step| (step.context, step.balanced)).collect();
        for (context, balanced) in rows {
            write!(f, "{:<34}", format!("{context}, {}", if balanced { "evenly spread" } else { "busiest rank" }))?;
            for step in BATCHES.iter().filter_map(|batch| self.step(*batch, context, balanced)) {
                write!(f, "{:>9.2} {:>8.0}{}", step.ms, step.tokens_per_second, if self.holds(step) { ' ' } else { '*' })?;
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "speech adds {:.2} ms for the audio heads; a voice needs a step every {} ms\n",
            self.audio_heads_ms,
            caracal_shared::rates::CODEC_FRAME_MS
        )
    }

    fn reason(&self) -> String {
        let Some(best) = self.rooms.iter().max_by_key(|room| room.left) else { return "no share of the memory was given".into() };
        match best.left {
            left if left < 0 => format!(
                "the weights take {:.1} GB per GPU, {:.1} GB more than {:.2} of its memory. Use more GPUs, larger ones, or 8-bit weights.",
                gigabytes(self.memory.weights),
                gigabytes(-left),
                best.fraction
            ),
            left if best.contexts == 0 => format!(
                "{:.1} GB are left beside the weights at {:.2} of the memory, but a context of {} tokens takes {:.1}. Use a shorter context, more GPUs, or larger ones.",
                gigabytes(left),
                best.fraction,
                self.context,
                gigabytes(self.cache_bytes_per_token * self.context)
            ),
            _ => format!("{} contexts of {} tokens at {:.2} of the memory", best.contexts, self.context, best.fraction),
        }
    }
}
