//! Benchmarks of the language model: prefill and decode for several sessions at once, and where the time goes.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use burn::tensor::{DType, Device, Tensor, TensorData};
use caracal_cluster::backbone::repetition_penalty::{RecentIds, RepetitionPenalty};
use caracal_cluster::backbone::watcher::{Part, Seen, Watcher};
use caracal_cluster::backbone::{BackboneConfig, CodecHead};
use caracal_cluster::engine::{BurnEngine, CacheLimits, Engine, Read, SessionId, Work};
use caracal_kernels::Weights;
use caracal_shared::reply::CODEBOOKS;
use serde_json::{Value, json};

use super::{Measured, Options, peak_memory_bytes, reset_peak_memory};
use crate::random_backbone::{self, kitten_config, small_config};

/// Sessions that decode together.
const BATCHES: [usize; 3] = [1, 4, 16];
/// Tokens that each session has when it decodes.
const CONTEXT: usize = 512;
/// Rows of a prefill: 1 s of dense chunk is about 300.
const PREFILL: usize = 300;
/// Decode steps in a row that are timed together.
const STEPS: usize = 16;
/// Repetitions whose median counts.
const RUNS: usize = 9;

/// One layer in released shape with 16 of the 512 experts, which a machine of ordinary size still holds.
fn released_layer() -> Value {
    small_config(json!({
        "vocab_size": 8192, "hidden_size": 6144, "num_layers": 1, "num_attention_heads": 64, "q_lora_rank": 1536, "kv_lora_rank": 512,
        "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "ffn_hidden_size": 12288, "expert_ffn_hidden_size": 2048,
        "n_routed_experts": 16, "zero_expert_num": 8, "moe_topk": 12, "max_position_embeddings": 8192,
    }))
}

/// Runs them, printing nothing.
///
/// # Errors
/// When a module cannot be built.
pub fn run(options: &Options) -> Result<Vec<Measured>> {
    let tiny = small_config(
        json!({ "hidden_size": 64, "kv_lora_rank": 16, "q_lora_rank": 24, "num_attention_heads": 4, "qk_rope_head_dim": 8, "vocab_size": 256 }),
    );
    let mut shapes = vec![("tiny", tiny, 96), ("kitten-size", kitten_config(), 1056)];
    if options.full_size {
        shapes = vec![("one released layer, 16 experts", released_layer(), 8224)];
    }
    let mut measured = Vec::new();
    for (name, config, codes) in shapes {
        measured.extend(Bench::new(name, &config, codes, &options.device)?.run()?);
    }
    Ok(measured)
}

/// One shape under test.
struct Bench {
    name: &'static str,
    config: BackboneConfig,
    engine: BurnEngine,
    head: CodecHead,
    device: Device,
}

/// Seconds per component of each run: the time between two reports belongs to the later one.
struct Timer {
    last: Instant,
    runs: Vec<BTreeMap<&'static str, f64>>,
}

impl Timer {
    /// Runs `work` once to warm up and [`RUNS`] times; gives the components of the run in the middle.
    fn median(mut work: impl FnMut(&mut Self)) -> BTreeMap<&'static str, f64> {
        let mut timer = Self { last: Instant::now(), runs: Vec::new() };
        for _ in 0..=RUNS {
            timer.runs.push(BTreeMap::new());
            timer.last = Instant::now();
            work(&mut timer);
        }
        timer.runs.remove(0);
        timer.runs.sort_by(|a, b| a.values().sum::<f64>().total_cmp(&b.values().sum()));
        timer.runs.swap_remove(RUNS / 2)
    }

    fn add(&mut self, component: &'static str) {
        let now = Instant::now();
        let run = self.runs.last_mut().expect("a run was begun");
        *run.entry(component).or_default() += (now - self.last).as_secs_f64();
        self.last = now;
    }
}

impl Watcher for Timer {
    fn saw(&mut self, _: usize, part: Part, _: Seen) {
        self.add(match part {
            Part::InputNorm(_) | Part::Attention(_) => "attention",
            Part::PostNorm(_) | Part::DenseFfn(_) => "dense FFN",
            Part::Router => "router",
            Part::Experts => "experts",
            Part::Layer | Part::FinalNorm => "sums and last norm",
            Part::TextHead => "text head",
        });
    }
}

impl Bench {
    fn new(name: &'static str, config: &Value, codes: usize, device: &Device) -> Result<Self> {
        let most = BATCHES[BATCHES.len() - 1];
        let limits = CacheLimits { block_tokens: 16, blocks: (most + 1) * (CONTEXT + 64).div_ceil(16), sessions: most + 1 };
        let engine = random_backbone::engine(config, 1, device, limits)?;
        let config = random_backbone::parse(config)?;
        let head = CodecHead::load(&Weights::random(2, device), CODEBOOKS, codes, config.hidden_size)?;
        Ok(Self { name, config, engine, head, device: device.clone() })
    }

    fn rows(&self, count: usize) -> Vec<f32> {
        (0..count * self.config.hidden_size).map(|i| ((i * 7919 % 2003) as f32 - 1001.0) / 1001.0).collect()
    }

    fn run(mut self) -> Result<Vec<Measured>> {
        let mut measured = self.prefill()?;
        for batch in BATCHES {
            measured.extend(self.decode(batch)?);
        }
        Ok(measured)
    }

    fn prefill(&mut self) -> Result<Vec<Measured>> {
        reset_peak_memory();
        let (rows, session) = (self.rows(PREFILL), self.engine.open()?);
        let seconds = Timer::median(|timer| {
            let answer = self.engine.step_watched(&[Work { session, rows: rows.clone(), read: Read::Last }], timer).remove(0);
            assert!(answer.is_ok_and(|hidden| hidden.rows.len() == self.config.hidden_size), "the prefill was refused");
            self.engine.truncate(session, 0).expect("the session is open");
        });
        self.engine.close(session)?;
        let what = format!("{}: prefill of {PREFILL} rows, {:.0} tokens/s", self.name, PREFILL as f64 / seconds.values().sum::<f64>());
        Ok(self.lines(what, &seconds, PREFILL, PREFILL / 2))
    }

    fn decode(&mut self, batch: usize) -> Result<Vec<Measured>> {
        reset_peak_memory();
        let context = self.rows(CONTEXT);
        let mut sessions: Vec<SessionId> = Vec::new();
        for _ in 0..batch {
            let session = self.engine.open()?;
            self.engine.step(&[Work { session, rows: context.clone(), read: Read::Nothing }]).remove(0)?;
            sessions.push(session);
        }
        let rows = self.rows(batch);
        let past = vec![RecentIds::default(); CODEBOOKS];
        let past: Vec<&[RecentIds]> = vec![&past; batch];
        let mut seconds = Timer::median(|timer| {
            for _ in 0..STEPS {
                let row = rows.chunks(self.config.hidden_size);
                let plan: Vec<Work> = sessions
                    .iter()
                    .zip(row)
                    .map(|(session, row)| Work { session: *session, rows: row.to_vec(), read: Read::Last })
                    .collect();
                let hidden: Vec<f32> =
                    self.engine.step_watched(&plan, timer).into_iter().flat_map(|a| a.expect("decoding was refused").rows).collect();
                let hidden = Tensor::<2>::from_data(TensorData::new(hidden, [batch, self.config.hidden_size]), (&self.device, DType::F32));
                let logits = self.engine.model().text_logits(hidden.clone(), timer);
                assert_eq!(logits.into_data().num_elements(), batch * self.config.vocab_size);
                timer.add("text head");
                assert_eq!(self.head.choose(hidden, &past, RepetitionPenalty::AUDIO, |_| {}).len(), batch);
                timer.add("audio heads");
            }
            sessions.iter().for_each(|session| self.engine.truncate(*session, CONTEXT).expect("the session is open"));
        });
        seconds.values_mut().for_each(|seconds| *seconds /= STEPS as f64);
        for session in sessions {
            self.engine.close(session)?;
        }
        Ok(self.lines(format!("{}: decode step, batch {batch}, context {CONTEXT}", self.name), &seconds, batch, CONTEXT))
    }

    /// The work as a whole, and a line per component with its share of the time.
    fn lines(&self, what: String, seconds: &BTreeMap<&'static str, f64>, rows: usize, context: usize) -> Vec<Measured> {
        let line = |what: String, seconds: f64, flop: f64, bytes: f64| Measured {
            what,
            seconds,
            media_seconds: None,
            flop,
            bytes,
            peak_memory_bytes: peak_memory_bytes(),
        };
        let total: f64 = seconds.values().sum();
        let parts: Vec<Measured> = seconds
            .iter()
            .map(|(component, part)| {
                let (flop, bytes) = self.work(component, rows, context);
                line(format!("  {component}: {:.0} %", 100.0 * part / total), *part, flop, bytes)
            })
            .collect();
        let whole = line(what, total, parts.iter().map(|p| p.flop).sum(), parts.iter().map(|p| p.bytes).sum());
        std::iter::once(whole).chain(parts).collect()
    }

    /// Operations of a component on `rows` rows that see `context` tokens each, and the bytes that it must read: its
    /// weights once, the cached tokens once per row.
    fn work(&self, component: &str, rows: usize, context: usize) -> (f64, f64) {
        let c = &self.config;
        let layers = c.num_layers as f64;
        let products = |weights: usize| (2.0 * (rows * weights) as f64, 4.0 * weights as f64);
        let times = |(flop, bytes): (f64, f64), factor: f64| (factor * flop, factor * bytes);
        match component {
            "attention" => {
                let heads = c.num_attention_heads;
                let (flop, bytes) = products(
                    c.hidden_size * (c.q_lora_rank + c.kv_lora_rank + c.qk_rope_head_dim)
                        + c.q_lora_rank * heads * (c.qk_nope_head_dim + c.qk_rope_head_dim)
                        + heads * c.kv_lora_rank * (c.qk_nope_head_dim + c.v_head_dim)
                        + heads * c.v_head_dim * c.hidden_size,
                );
                let core = 2 * rows * heads * context * (2 * c.kv_lora_rank + c.qk_rope_head_dim);
                let cached = 4 * rows * context * (c.kv_lora_rank + c.qk_rope_head_dim);
                times((flop + core as f64, bytes + cached as f64), 2.0 * layers)
            }
            "dense FFN" => times(products(3 * c.hidden_size * c.ffn_hidden_size), 2.0 * layers),
            "router" => times(products(c.hidden_size * c.experts()), layers),
            "experts" => {
                let expert = (3 * c.hidden_size * c.expert_ffn_hidden_size) as f64;
                let chance = c.moe_topk as f64 / c.experts() as f64;
                let (real, touched) = (c.n_routed_experts as f64, 1.0 - (1.0 - chance).powi(rows as i32));
                times((2.0 * rows as f64 * real * chance * expert, 4.0 * real * touched * expert), layers)
            }
            "text head" => products(c.hidden_size * c.vocab_size),
            "audio heads" => {
                products(c.hidden_size * self.head.audio_output_layers.iter().map(|layer| layer.weight.dims()[0]).sum::<usize>())
            }
            _ => times(((2 * rows * c.hidden_size) as f64, (12 * rows * c.hidden_size) as f64), layers),
        }
    }
}
