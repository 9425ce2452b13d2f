//! Whole clips one after another in one tensor, with silence between them where memories reach across.
//!
//! For training and for devices where many small operations are dear: every layer then runs once for all clips.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Where the rows of several clips lie once silence stands between them.
#[derive(Clone, Debug)]
pub(super) struct JoinedClips {
    /// For each row with silence, which row of the clips it is; one beyond the last is silence.
    spread: Tensor<1, Int>,
    /// For each row of the clips, its row after a memory over the rows with silence.
    gather: Tensor<1, Int>,
    rows: usize,
}

impl JoinedClips {
    /// Clips of these lengths, for memories that reach `past` rows back and at most `look_ahead` rows ahead.
    pub fn new(lengths: &[usize], past: usize, look_ahead: usize, device: &Device) -> Self {
        let rows: usize = lengths.iter().sum();
        let gap = past.max(look_ahead);
        let mut spread = vec![rows as i64; past];
        let mut gather = Vec::with_capacity(rows);
        let mut next = 0;
        for length in lengths {
            // A memory's first output belongs to the row after its past.
            gather.extend((0..*length).map(|i| (spread.len() - past + i) as i64));
            spread.extend((next..next + length).map(|row| row as i64));
            spread.extend(std::iter::repeat_n(rows as i64, gap));
            next += length;
        }
        let index = |values: Vec<i64>| {
            let count = values.len();
            Tensor::from_data(TensorData::new(values, [count]), device)
        };
        Self { spread: index(spread), gather: index(gather), rows }
    }

    /// Puts silence before, between and after the clips.
    ///
    /// # Shapes
    /// x: `[rows, width]` → more rows
    ///
    /// # Panics
    /// When x has not as many rows as the clips.
    pub fn spread(&self, x: Tensor<2>) -> Tensor<2> {
        let [rows, width] = x.dims();
        assert_eq!(rows, self.rows, "joined clips: {rows} rows for clips of {}", self.rows);
        let silence = Tensor::zeros([1, width], (&x.device(), x.dtype()));
        Tensor::cat(vec![x, silence], 0).select(0, self.spread.clone())
    }

    /// The rows of the clips among those that a memory gives.
    ///
    /// # Shapes
    /// y: rows with silence, less the memory's reach → `[rows, width]`
    pub fn gather(&self, y: Tensor<2>) -> Tensor<2> {
        y.select(0, self.gather.clone())
    }
}
