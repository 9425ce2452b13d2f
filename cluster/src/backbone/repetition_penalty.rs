//! Making what was said lately less likely: the exponential penalty of the published decoder.

use std::collections::VecDeque;

/// Multiplies a negative logit by alpha and divides another by it, alpha = factor ^ (occurrences in the window).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RepetitionPenalty {
    /// 1 changes nothing.
    pub factor: f32,
    /// Steps that count.
    pub window: usize,
}

impl RepetitionPenalty {
    /// What the published demo sets for audio codes: 1.1 over 30 steps, 1.8 s of speech.
    pub const AUDIO: Self = Self { factor: 1.1, window: 30 };

    /// Penalises in place. `past` holds what each earlier step recorded, the latest last; `None` where it recorded
    /// nothing, which takes up its place in the window. Ids beyond the logits are ignored.
    pub fn apply(&self, past: impl DoubleEndedIterator<Item = Option<u32>>, logits: &mut [f32]) {
        let mut recent: Vec<u32> = past.rev().take(self.window).flatten().filter(|id| (*id as usize) < logits.len()).collect();
        recent.sort_unstable();
        for same in recent.chunk_by(|a, b| a == b) {
            let alpha = self.factor.powi(same.len() as i32);
            let logit = &mut logits[same[0] as usize];
            *logit = if *logit < 0.0 { *logit * alpha } else { *logit / alpha };
        }
    }
}

/// What the last steps of a stream recorded, no more than a window needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecentIds {
    ids: VecDeque<Option<u32>>,
}

impl RecentIds {
    /// Records one step; keeps the last `window`.
    pub fn push(&mut self, id: Option<u32>, window: usize) {
        self.ids.push_back(id);
        while self.ids.len() > window {
            self.ids.pop_front();
        }
    }

    /// The steps, the latest last.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Option<u32>> {
        self.ids.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn occurrences_within_the_window_count_and_empty_steps_take_their_place() {
        let penalty = RepetitionPenalty { factor: 2.0, window: 4 };
        let past = [Some(0), Some(1), None, Some(1), Some(9)];
        let mut logits = [8.0, 8.0, 8.0];
        penalty.apply(past.into_iter(), &mut logits);
        assert_eq!(logits, [8.0, 2.0, 8.0]);
        let mut logits = [-1.0, -1.0];
        penalty.apply(past.into_iter(), &mut logits);
        assert_eq!(logits, [-1.0, -4.0]);
    }

    #[test]
    fn the_window_is_kept_and_no_more() {
        let mut recent = RecentIds::default();
        (0..5).for_each(|id| recent.push(Some(id), 3));
        assert_eq!(recent.iter().collect::<Vec<_>>(), [Some(2), Some(3), Some(4)]);
    }
}
