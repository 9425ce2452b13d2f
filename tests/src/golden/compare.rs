//! Comparing what we computed with what the golden holds.

use std::fmt::{self, Debug};

/// How far a float may be from the golden's.
#[derive(Clone, Copy, Debug)]
pub enum Tolerance {
    /// |got - want| at most this.
    Abs(f64),
    /// |got - want| at most this times the largest |want| of the tensor.
    OfMax(f64),
    /// |got - want| at most atol + rtol |want|, element by element.
    Mixed {
        /// Absolute part.
        atol: f64,
        /// Part relative to |want|.
        rtol: f64,
    },
}

/// One comparison.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was compared.
    pub what: String,
    /// Largest error, as a share of what the tolerance allows: at most 1 passes. Exact checks give 0 or infinity.
    pub used: f64,
    /// Largest absolute error.
    pub error: f64,
    /// Where it was, and what differed, for people.
    pub detail: String,
}

/// All comparisons of one golden.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order they were made.
    pub checks: Vec<Check>,
}

impl Report {
    /// Compares floats. A length mismatch, and a NaN that the golden does not have, fail.
    pub fn close(&mut self, what: impl Into<String>, got: &[f32], want: &[f32], tolerance: Tolerance) {
        let what = what.into();
        if got.len() != want.len() || want.is_empty() {
            return self.checks.push(Check {
                what,
                used: f64::INFINITY,
                error: f64::INFINITY,
                detail: format!("{} values, the golden has {}", got.len(), want.len()),
            });
        }
        let largest = want.iter().fold(0f64, |m, v| m.max(f64::from(v.abs())));
        let (mut used, mut error, mut at) = (0f64, 0f64, 0);
        for (i, (g, w)) in got.iter().zip(want).enumerate() {
            let difference = if g.to_bits() == w.to_bits() { 0.0 } else { (f64::from(*g) - f64::from(*w)).abs() };
            let allowed = match tolerance {
                Tolerance::Abs(a) => a,
                Tolerance::OfMax(r) => r * largest,
                Tolerance::Mixed { atol, rtol } => atol + rtol * f64::from(w.abs()),
            };
            let share = if difference == 0.0 { 0.0 } else { difference / allowed };
            if share.is_nan() || share > used {
                (used, error, at) = (if share.is_nan() { f64::INFINITY } else { share }, difference, i);
            }
        }
        self.checks.push(Check { what, used, error, detail: format!("element {at}: {} for {}", got[at], want[at]) });
    }

    /// Compares anything exactly.
    pub fn equal<T: PartialEq + Debug + ?Sized>(&mut self, what: impl Into<String>, got: &T, want: &T) {
        let same = got == want;
        let detail = if same { String::new() } else { format!("got {got:?}, the golden has {want:?}").chars().take(600).collect() };
        let used = if same { 0.0 } else { f64::INFINITY };
        self.checks.push(Check { what: what.into(), used, error: used, detail });
    }

    /// Records a condition that must hold, for checks that are neither.
    pub fn holds(&mut self, what: impl Into<String>, condition: bool, detail: impl Into<String>) {
        let used = if condition { 0.0 } else { f64::INFINITY };
        self.checks.push(Check { what: what.into(), used, error: used, detail: detail.into() });
    }

    /// The check that used most of its tolerance.
    pub fn worst(&self) -> Option<&Check> {
        self.checks.iter().max_by(|a, b| a.used.total_cmp(&b.used))
    }

    /// Fails unless there is at least one check and all pass.
    ///
    /// # Panics
    /// With every failing check.
    pub fn assert(&self) {
        assert!(!self.checks.is_empty(), "a golden without a check proves nothing");
        let failed: Vec<_> = self.checks.iter().filter(|c| c.used > 1.0).map(ToString::to_string).collect();
        assert!(failed.is_empty(), "{} of {} checks failed:\n{}", failed.len(), self.checks.len(), failed.join("\n"));
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: error {:.2e}, {:.0} % of the tolerance; {}", self.what, self.error, 100.0 * self.used, self.detail)
    }
}
