//! Products of parts of matrices that lie inside larger ones.

use gemm::{Parallelism, gemm};

/// A matrix inside a slice: `rows` rows `step` values apart, each `columns` values in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    values: &'a [f32],
    step: usize,
    rows: usize,
    columns: usize,
    /// Whether it is read with rows and columns exchanged.
    turned: bool,
}

impl<'a> Part<'a> {
    /// # Panics
    /// When it does not lie inside `values`.
    pub(super) fn new(values: &'a [f32], step: usize, rows: usize, columns: usize) -> Self {
        assert_inside(values.len(), step, rows, columns);
        Self { values, step, rows, columns, turned: false }
    }

    /// Rows and columns exchanged.
    pub(super) fn turned(self) -> Self {
        Self { rows: self.columns, columns: self.rows, turned: !self.turned, ..self }
    }

    /// Distances of two values beside each other in a row, and in a column.
    fn steps(&self) -> (isize, isize) {
        let step = self.step as isize;
        if self.turned { (step, 1) } else { (1, step) }
    }
}

/// Adds `factor a b` to the matrix that starts at `out` and has rows `step` values apart, or writes it there.
///
/// # Panics
/// When a's columns are not b's rows, or the result does not fit into `out`.
pub(super) fn product(a: Part, b: Part, factor: f32, add: bool, out: &mut [f32], step: usize) {
    assert_eq!(a.columns, b.rows, "product: {} columns times {} rows", a.columns, b.rows);
    assert_inside(out.len(), step, a.rows, b.columns);
    if a.rows == 0 || b.columns == 0 {
        return;
    }
    let ((a_cs, a_rs), (b_cs, b_rs)) = (a.steps(), b.steps());
    // SAFETY: `Part::new` and the line above have checked that the last value of each matrix lies inside its slice, and
    // a slice in memory is shorter than isize::MAX; `out` is borrowed for writing, so it overlaps neither.
    unsafe {
        gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            step as isize,
            add,
            a.values.as_ptr(),
            a_cs,
            a_rs,
            b.values.as_ptr(),
            b_cs,
            b_rs,
            1.0,
            factor,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

fn assert_inside(length: usize, step: usize, rows: usize, columns: usize) {
    assert!(columns <= step, "product: rows of {columns} values {step} apart");
    let needed = if rows == 0 || columns == 0 {
        0
    } else {
        (rows - 1).checked_mul(step).and_then(|start| start.checked_add(columns)).unwrap_or(usize::MAX)
    };
    assert!(needed <= length, "product: {rows} rows of {columns} values {step} apart in {length}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is multiplied: sizes, the gap between rows, and what is read turned.
    #[derive(Clone, Copy, Debug)]
    struct Case {
        rows: usize,
        inner: usize,
        columns: usize,
        gap: usize,
        turned: [bool; 2],
        add: bool,
        seed: u32,
    }

    fn check(Case { rows, inner, columns, gap, turned: [turn_a, turn_b], add, seed }: Case) {
        let values = |count: usize, salt: u32| -> Vec<f32> {
            let noise = |i: u32| ((i.wrapping_mul(2_654_435_761).wrapping_add(seed * 31 + salt) >> 8) % 1000) as f32 / 500.0 - 1.0;
            (0..count as u32).map(noise).collect()
        };
        let shape = |rows: usize, columns: usize, turn: bool| if turn { (columns, rows) } else { (rows, columns) };
        let ((a_rows, a_columns), (b_rows, b_columns)) = (shape(rows, inner, turn_a), shape(inner, columns, turn_b));
        let a = values(a_rows * (a_columns + gap), 1);
        let b = values(b_rows * (b_columns + gap), 2);
        let before = values(rows * (columns + gap), 3);
        let part = |values, rows, columns, turn| {
            let part = Part::new(values, columns + gap, rows, columns);
            if turn { part.turned() } else { part }
        };
        let mut out = before.clone();
        product(part(&a, a_rows, a_columns, turn_a), part(&b, b_rows, b_columns, turn_b), 0.5, add, &mut out, columns + gap);
        let at = |m: &[f32], columns: usize, turn: bool, r: usize, c: usize| {
            let (r, c) = if turn { (c, r) } else { (r, c) };
            f64::from(m[r * (columns + gap) + c])
        };
        for (index, (found, before)) in out.iter().zip(&before).enumerate() {
            let (r, c) = (index / (columns + gap), index % (columns + gap));
            let sum = || (0..inner).map(|i| at(&a, a_columns, turn_a, r, i) * at(&b, b_columns, turn_b, i, c)).sum::<f64>();
            let wanted = if c < columns { 0.5 * sum() + if add { f64::from(*before) } else { 0.0 } } else { f64::from(*before) };
            assert!((f64::from(*found) - wanted).abs() < 1e-3, "{r}, {c}: {found} for {wanted}");
        }
    }

    proptest! {
        #[test]
        fn parts_multiply_as_matrices_do(
            rows in 0usize..70, inner in 0usize..40, columns in 0usize..40, gap in 0usize..5, turned: [bool; 2], add: bool, seed in 0u32..1000,
        ) {
            check(Case { rows, inner, columns, gap, turned, add, seed });
        }
    }

    #[test]
    fn long_sequences_multiply_as_short_ones_do() {
        for (rows, inner, columns) in [(64, 48, 1100), (64, 1100, 32), (1100, 64, 48)] {
            for turned in [[false, false], [true, false], [false, true]] {
                check(Case { rows, inner, columns, gap: 3, turned, add: true, seed: 5 });
            }
        }
    }

    #[test]
    #[should_panic(expected = "3 rows of 4 values 5 apart in 13")]
    fn a_part_lies_inside_its_slice() {
        Part::new(&[0.0; 13], 5, 3, 4);
    }

    #[test]
    #[should_panic(expected = "2 rows of 2 values 2 apart in 3")]
    fn a_result_that_does_not_fit_is_refused() {
        product(Part::new(&[1.0; 4], 2, 2, 2), Part::new(&[1.0; 4], 2, 2, 2), 1.0, false, &mut [0.0; 3], 2);
    }
}
