//! Collecting what passes by in the network, by the names that the goldens use.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::tensor::{DType, Tensor};
use caracal_cluster::backbone::watcher::{Part, Seen, Watcher};
use caracal_kernels::Checkpoint;

use crate::golden::{Report, Tolerance};

/// Rows of every part, in the order they came.
#[derive(Default)]
pub struct Recorder {
    floats: BTreeMap<String, Vec<f32>>,
    choices: BTreeMap<String, Vec<i64>>,
}

impl Watcher for Recorder {
    fn saw(&mut self, layer: usize, part: Part, value: Seen) {
        let name = match part {
            Part::InputNorm(i) => format!("layer{layer}.input_norm{i}.out"),
            Part::Attention(i) => format!("layer{layer}.attn{i}.out"),
            Part::PostNorm(i) => format!("layer{layer}.post_norm{i}.out"),
            Part::DenseFfn(i) => format!("layer{layer}.mlp{i}.out"),
            Part::Experts => format!("layer{layer}.moe.out"),
            Part::Layer => format!("layer{layer}.out"),
            Part::Router => format!("layer{layer}.router"),
            Part::FinalNorm => "final_norm.out".to_string(),
            Part::TextHead => "logits".to_string(),
        };
        match value {
            Seen::Rows(rows) => self.push(name, floats(rows.clone())),
            Seen::Routing(routing) => {
                self.push(format!("{name}.logits"), floats(routing.logits.clone()));
                self.push(format!("{name}.topk_weights"), routing.weights.clone());
                let choices = routing.experts.iter().map(|e| i64::from(*e));
                self.choices.entry(format!("{name}.topk_ids")).or_default().extend(choices);
            }
        }
    }
}

impl Recorder {
    fn push(&mut self, name: String, values: Vec<f32>) {
        self.floats.entry(name).or_default().extend(values);
    }

    /// Values recorded under `name`.
    pub fn floats(&self, name: &str) -> Result<&[f32]> {
        Ok(self.floats.get(name).with_context(|| format!("nothing was recorded under {name}"))?)
    }

    /// Compares everything recorded that `file` holds, `what` in front of its name.
    pub fn compare(&self, report: &mut Report, what: &str, file: &Checkpoint, tolerance: impl Fn(&str) -> Tolerance) -> Result<()> {
        for (name, got) in &self.floats {
            if let Some(stored) = file.get(name) {
                report.close(format!("{what} {name}"), got, &file.floats(name, &stored.shape)?, tolerance(name));
            }
        }
        for (name, got) in &self.choices {
            if let Some(stored) = file.get(name) {
                report.equal(format!("{what} {name}"), got, &file.integers(name, &stored.shape)?);
            }
        }
        Ok(())
    }

    /// Share of rows whose chosen experts are those of `file`, by name.
    pub fn equal_choices(&self, file: &Checkpoint) -> Result<Vec<(String, f64)>> {
        let mut shares = Vec::new();
        for (name, got) in &self.choices {
            let stored = file.get(name).with_context(|| format!("no tensor {name}"))?;
            let want = file.integers(name, &stored.shape)?;
            let top_k = stored.shape[1];
            let same = got.chunks(top_k).zip(want.chunks(top_k)).filter(|(a, b)| a == b).count();
            shares.push((name.clone(), same as f64 / stored.shape[0] as f64));
        }
        Ok(shares)
    }

    /// Names of `file` that were recorded.
    pub fn covers(&self, file: &Checkpoint, except: &[&str]) -> Vec<String> {
        file.names()
            .filter(|n| !except.contains(n) && !self.floats.contains_key(*n) && !self.choices.contains_key(*n))
            .map(str::to_string)
            .collect()
    }
}

/// The values of a tensor as f32.
pub fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data_dtype(DType::F32).try_into_vec().expect("f32 was asked for")
}
