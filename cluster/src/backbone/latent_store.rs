//! The memory of the cache: latents and rope keys of all sessions, one array per attention, cut into blocks.
//!
//! A token's values are written once, at its place, and read by address; nothing is ever moved. What lies beyond a
//! session's length is stale and never read.

use std::ops::Range;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use caracal_kernels::ops::is_plain_cpu;

/// Consecutive rows of one session in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Which rows of the batch.
    pub rows: Range<usize>,
    /// Position of the first.
    pub start: usize,
    /// Blocks of the session, covering all its positions, these rows included.
    pub blocks: Vec<u32>,
}

/// Sizes of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreShape {
    /// Attention blocks of the network.
    pub attentions: usize,
    /// Values per token: latent and rope key.
    pub width: usize,
    /// Cache blocks.
    pub blocks: usize,
    /// Tokens of one.
    pub block_tokens: usize,
}

/// The memory, on the host for the CPU kernels, else on the device.
#[derive(Debug)]
pub struct LatentStore {
    shape: StoreShape,
    memory: Memory,
}

#[derive(Debug)]
enum Memory {
    /// Per attention `[blocks, block_tokens, width]`.
    Host(Vec<Vec<f32>>),
    /// Per attention `[blocks * block_tokens, width]`.
    Device(Vec<Tensor<2>>),
}

/// The part of one attention.
pub struct AttentionStore<'a> {
    shape: StoreShape,
    memory: AttentionMemory<'a>,
}

enum AttentionMemory<'a> {
    Host(&'a mut Vec<f32>),
    Device(&'a mut Tensor<2>),
}

impl LatentStore {
    /// Empty memory beside networks on `device` that compute in `dtype`. On the host, pages are taken from the system
    /// when they are first written.
    pub fn new(shape: StoreShape, device: &Device, dtype: DType) -> Self {
        let tokens = shape.blocks * shape.block_tokens;
        let memory = if is_plain_cpu(device) {
            Memory::Host((0..shape.attentions).map(|_| vec![0.0; tokens * shape.width]).collect())
        } else {
            Memory::Device((0..shape.attentions).map(|_| Tensor::zeros([tokens, shape.width], (device, dtype))).collect())
        };
        Self { shape, memory }
    }

    /// Sizes.
    pub fn shape(&self) -> StoreShape {
        self.shape
    }

    /// The part of attention `index`.
    ///
    /// # Panics
    /// When there is no such attention.
    pub fn attention(&mut self, index: usize) -> AttentionStore<'_> {
        let memory = match &mut self.memory {
            Memory::Host(all) => AttentionMemory::Host(&mut all[index]),
            Memory::Device(all) => AttentionMemory::Device(&mut all[index]),
        };
        AttentionStore { shape: self.shape, memory }
    }

    /// A copy of the first `tokens` tokens of a block table in attention `index`: `[tokens, width]`.
    ///
    /// # Panics
    /// When there is no such attention, or the blocks hold fewer tokens.
    pub fn read(&self, index: usize, blocks: &[u32], tokens: usize) -> Vec<f32> {
        match &self.memory {
            Memory::Host(all) => places(blocks, tokens, self.shape.block_tokens)
                .flat_map(|at| &all[index][at * self.shape.width..][..self.shape.width])
                .copied()
                .collect(),
            Memory::Device(all) => gather(&all[index], blocks, tokens, self.shape.block_tokens)
                .into_data_dtype(DType::F32)
                .try_into_vec()
                .expect("f32 was asked for"),
        }
    }
}

impl AttentionStore<'_> {
    /// Tokens of one block.
    pub fn block_tokens(&self) -> usize {
        self.shape.block_tokens
    }

    /// `[blocks, block_tokens, width]`
    ///
    /// # Panics
    /// When the memory is on a device.
    pub fn host(&self) -> &[f32] {
        match &self.memory {
            AttentionMemory::Host(values) => values,
            AttentionMemory::Device(_) => panic!("latent store: the memory is on a device"),
        }
    }

    /// Writes `rows`, `[rows, width]`, to the places of the segments.
    ///
    /// # Panics
    /// When the memory is on a device.
    pub fn write_host(&mut self, segments: &[Segment], rows: &[f32]) {
        let AttentionMemory::Host(values) = &mut self.memory else { panic!("latent store: the memory is on a device") };
        let width = self.shape.width;
        for (row, at, count) in runs(segments, self.shape.block_tokens) {
            values[at * width..(at + count) * width].copy_from_slice(&rows[row * width..(row + count) * width]);
        }
    }

    /// As [`AttentionStore::write_host`], on a device.
    ///
    /// # Panics
    /// When the memory is on the host.
    pub fn write_device(&mut self, segments: &[Segment], rows: Tensor<2>) {
        let AttentionMemory::Device(values) = &mut self.memory else { panic!("latent store: the memory is on the host") };
        for (row, at, count) in runs(segments, self.shape.block_tokens) {
            let rows = rows.clone().narrow(0, row, count);
            values.inplace(|values| values.slice_assign([at..at + count, 0..self.shape.width], rows));
        }
    }

    /// The first `tokens` tokens of a block table: `[tokens, width]`.
    ///
    /// # Panics
    /// When the memory is on the host, or the blocks hold fewer tokens.
    pub fn gather(&self, blocks: &[u32], tokens: usize) -> Tensor<2> {
        match &self.memory {
            AttentionMemory::Device(values) => gather(values, blocks, tokens, self.shape.block_tokens),
            AttentionMemory::Host(_) => panic!("latent store: the memory is on the host"),
        }
    }
}

fn gather(values: &Tensor<2>, blocks: &[u32], tokens: usize, block_tokens: usize) -> Tensor<2> {
    let index: Vec<i32> = places(blocks, tokens, block_tokens).map(|at| at as i32).collect();
    values.clone().select(0, Tensor::<1, Int>::from_data(TensorData::new(index, [tokens]), &values.device()))
}

/// Places of the first `tokens` tokens, counted in tokens from the start of the memory.
fn places(blocks: &[u32], tokens: usize, block_tokens: usize) -> impl Iterator<Item = usize> {
    (0..tokens).map(move |t| blocks[t / block_tokens] as usize * block_tokens + t % block_tokens)
}

/// Rows that lie side by side in memory: first row, its place, how many.
fn runs(segments: &[Segment], block_tokens: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    segments.iter().flat_map(move |segment| {
        let end = segment.start + segment.rows.len();
        let first_block = segment.start / block_tokens;
        (first_block..end.div_ceil(block_tokens)).map(move |block| {
            let from = segment.start.max(block * block_tokens);
            let to = end.min((block + 1) * block_tokens);
            let at = segment.blocks[block] as usize * block_tokens + from % block_tokens;
            (segment.rows.start + from - segment.start, at, to - from)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_to_their_places_on_the_host_and_on_a_device() {
        let shape = StoreShape { attentions: 2, width: 2, blocks: 4, block_tokens: 3 };
        let segments = [Segment { rows: 0..3, start: 2, blocks: vec![3, 1] }, Segment { rows: 3..4, start: 0, blocks: vec![0] }];
        let values: Vec<f32> = (1..=8).map(|v| v as f32).collect();
        for device in [Device::flex(), Device::flex().autodiff()] {
            let mut store = LatentStore::new(shape, &device, DType::F32);
            if is_plain_cpu(&device) {
                store.attention(1).write_host(&segments, &values);
            } else {
                store.attention(1).write_device(&segments, Tensor::from_data(TensorData::new(values.clone(), [4, 2]), &device));
            }
            assert_eq!(store.read(1, &[3, 1], 5), [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
            assert_eq!(store.read(1, &[0], 1), [7.0, 8.0]);
            assert_eq!(store.read(0, &[0, 1, 2, 3], 12), [0.0; 24]);
        }
    }
}
