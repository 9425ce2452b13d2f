//! 2D rotary embedding: half of a head's angles turn with the patch's row, half with its column.
//!
//! Source: LongCat-Flash-Omni §2.1 (2D-RoPE); vision.md 2.4.

use burn::tensor::{DType, Device, Tensor, TensorData};
use half::bf16;

use super::patches::Grid;

/// How exactly the angles are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeTable {
    /// Frequencies, positions, angles, cosines and sines each rounded to bf16, as happens in the published demo, which
    /// converts the whole encoder: angles are off by up to 0.15 rad at position 100 and 1.6 rad above 256.
    Demo,
    /// Everything in f32.
    F32,
}

/// The frequencies of one head size.
#[derive(Clone, Debug)]
pub struct Rope2d {
    frequencies: Vec<f32>,
    table: RopeTable,
}

/// Cosines and sines of every patch of a batch.
pub struct Rotation {
    /// `[patches, 1, head_size / 2]`
    cos: Tensor<3>,
    /// `[patches, 1, head_size / 2]`
    sin: Tensor<3>,
}

impl Rope2d {
    /// Frequencies theta^(-2j / (head_size / 2)) for j below head_size / 4.
    ///
    /// # Panics
    /// When `head_size` is no multiple of 4: the config is checked for that.
    pub fn new(head_size: usize, theta: f64, table: RopeTable) -> Self {
        assert!(head_size.is_multiple_of(4), "a head of {head_size} cannot turn by rows and columns");
        let frequency = |j: usize| theta.powf(-((2 * j) as f64) / (head_size / 2) as f64) as f32;
        let rope = Self { frequencies: Vec::new(), table };
        Self { frequencies: (0..head_size / 4).map(|j| rope.round(frequency(j))).collect(), ..rope }
    }

    /// The frequencies as they are used.
    pub fn frequencies(&self) -> &[f32] {
        &self.frequencies
    }

    /// The angle of each frequency at row or column `position`.
    pub fn angles(&self, position: u32) -> impl Iterator<Item = f32> {
        let position = self.round(position as f32);
        self.frequencies.iter().map(move |frequency| self.round(position * frequency))
    }

    /// Cosine and sine of an angle as they are used.
    pub fn cos_sin(&self, angle: f32) -> [f32; 2] {
        let (sin, cos) = f64::from(angle).sin_cos();
        [self.round(cos as f32), self.round(sin as f32)]
    }

    /// All angles of a grid: for each patch those of its row, then those of its column. Patches are enumerated in squares
    /// with a side of `merge`, row-major inside and outside; 1 is plain row-major.
    ///
    /// # Shapes
    /// → `[grid.count(), head_size / 2]`
    pub fn grid_angles(&self, grid: Grid, merge: u32) -> Vec<f32> {
        let squares = |count: u32| (0..count / merge).map(move |square| merge * square);
        let corners = squares(grid.rows).flat_map(|top| squares(grid.columns).map(move |left| (top, left)));
        let patches =
            corners.flat_map(|(top, left)| (top..top + merge).flat_map(move |row| (left..left + merge).map(move |column| (row, column))));
        patches.flat_map(|(row, column)| self.angles(row).chain(self.angles(column))).collect()
    }

    /// The rotation of units one after the other; positions start at 0 in each.
    pub fn rotation(&self, grids: &[Grid], merge: u32, device: &Device) -> Rotation {
        let angles: Vec<f32> = grids.iter().flat_map(|grid| self.grid_angles(*grid, merge)).collect();
        let half = 2 * self.frequencies.len();
        let shape = [angles.len() / half, 1, half];
        let tensor = |part: usize| {
            let values: Vec<f32> = angles.iter().map(|angle| self.cos_sin(*angle)[part]).collect();
            Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
        };
        Rotation { cos: tensor(0), sin: tensor(1) }
    }

    fn round(&self, value: f32) -> f32 {
        match self.table {
            RopeTable::Demo => bf16::from_f32(value).to_f32(),
            RopeTable::F32 => value,
        }
    }
}

impl Rotation {
    /// Turns every head of every patch: channel j and channel j + head_size / 2 are a pair. Computed in f32 and rounded
    /// once to the format of `x`.
    ///
    /// # Shapes
    /// x: `[patches, heads * head_size]` → the same
    ///
    /// # Panics
    /// When the patches are not those that the rotation was made for.
    pub fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        let ([patches, width], dtype) = (x.dims(), x.dtype());
        let [table_patches, _, half] = self.cos.dims();
        assert_eq!(patches, table_patches, "a rotation of other patches");
        let heads = width / (2 * half);
        let x = if dtype == DType::F32 { x } else { x.cast(DType::F32) };
        let x = x.reshape([patches, heads, 2 * half]);
        let (a, b) = (x.clone().narrow(2, 0, half), x.narrow(2, half, half));
        let turned_a = a.clone() * self.cos.clone() - b.clone() * self.sin.clone();
        let turned_b = b * self.cos.clone() + a * self.sin.clone();
        let turned = Tensor::cat(vec![turned_a, turned_b], 2).reshape([patches, width]);
        if dtype == DType::F32 { turned } else { turned.cast(dtype) }
    }
}
