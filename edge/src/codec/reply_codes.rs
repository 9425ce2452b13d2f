//! From the rows of ids that the language model generates to the rows that make one codec frame each.
//!
//! The model speaks its acoustic ids one step late: frame k has the semantic id of row k and the acoustic ids of row
//! k + 1. The last row of a reply therefore never becomes a frame, and neither does a row whose semantic id ends a
//! round; the row after that one starts the next round.
//!
//! Source: LongCat-Flash-Omni, post-processing of generated audio ids.

use super::ids::END_ID;

/// Joins the rows of one reply, over all its rounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyCodes {
    pending: Option<i64>,
}

impl ReplyCodes {
    /// Takes the next row, semantic id first; gives the ids of the frame that it completes, semantic first, offset
    /// still in. The end of a reply needs no call: the row that waits is the one to drop.
    pub fn push(&mut self, row: &[i64]) -> Option<Vec<i64>> {
        let (semantic, acoustic) = row.split_first()?;
        let waiting = self.pending.replace(*semantic)?;
        (waiting != END_ID).then(|| [&[waiting], acoustic].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acoustics_come_from_the_row_after_and_an_end_starts_anew() {
        let mut reply = ReplyCodes::default();
        assert_eq!(reply.push(&[100, -1, -1]), None);
        assert_eq!(reply.push(&[2, 200, 201]), Some(vec![100, 200, 201]));
        assert_eq!(reply.push(&[110, -1, -1]), None, "the row that ended the round is no frame");
        assert_eq!(reply.push(&[111, 210, 211]), Some(vec![110, 210, 211]));
        assert_eq!(reply.push(&[]), None, "an empty row is none");
        assert_eq!(reply.push(&[2, 1, 2]), Some(vec![111, 1, 2]));
    }
}
