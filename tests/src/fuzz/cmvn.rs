//! Statistics files: Kaldi binary and text matrices, NumPy arrays.

use std::path::Path;

use caracal_edge::audio::Cmvn;

/// Parses `bytes`. What is accepted must normalise to numbers.
pub fn cmvn(bytes: &[u8]) {
    if let Ok(cmvn) = Cmvn::parse(Path::new("fuzzed"), bytes) {
        let mut features = vec![1.0; 2 * cmvn.width()];
        cmvn.apply(&mut features);
        assert!(cmvn.scale().iter().all(|s| s.is_finite() && *s > 0.0) && cmvn.mean().iter().all(|m| m.is_finite()));
    }
}
