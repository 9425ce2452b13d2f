//! Sound and pictures of a turn in the order of the prompt, as they become ready.
//!
//! Hop 6, edge. With a camera every second of the turn is a chunk: its unit, then its 12 or 13 audio embeddings. A unit
//! is ready only after its second is over, and an embedding half a second after its own 80 ms, so embeddings wait for
//! the unit of their chunk; a second without a picture is told, and holds nothing up. Without a camera nothing waits.
//!
//! Source: technical report §2.4.2; rules R2, R5 and R24: the look-ahead delays what is sent, and changes nothing of it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::prompt::ChunkRhythm;
use crate::rates::DENSE_CHUNK_MS;
use crate::wire::{Embeddings, PictureId, SeenAs};

/// One piece of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Embeddings of 80 ms each.
    Audio(Embeddings),
    /// A picture stands here.
    Unit(PictureId, SeenAs),
}

/// Where the order of one turn stands. A clone is closed to answer on a guess.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnOrder {
    camera: bool,
    /// The chunk that is being filled, from 1; 0 before the first.
    chunks: usize,
    /// Embeddings that the chunk still takes.
    left: u32,
    audio: VecDeque<Embeddings>,
    /// Units of the chunks after this one; none where the camera gave nothing.
    units: VecDeque<Option<(PictureId, SeenAs)>>,
}

impl TurnOrder {
    /// A turn that has just begun.
    pub fn new(camera: bool) -> Self {
        Self { camera, chunks: 0, left: 0, audio: VecDeque::new(), units: VecDeque::new() }
    }

    /// More sound.
    pub fn push_audio(&mut self, embeddings: Embeddings) {
        self.audio.push_back(embeddings);
    }

    /// The next second is over; its unit.
    pub fn push_unit(&mut self, unit: Option<(PictureId, SeenAs)>) {
        self.units.push_back(unit);
    }

    /// What can be sent now.
    pub fn take(&mut self) -> Vec<Content> {
        self.advance(false)
    }

    /// What is left when the turn ends here: embeddings that a missing unit held up, and no unit without sound after it.
    pub fn close(mut self) -> Vec<Content> {
        self.advance(true)
    }

    /// Pictures that have no place yet.
    pub fn unplaced(&self) -> Vec<PictureId> {
        self.units.iter().flatten().map(|(picture, _)| *picture).collect()
    }

    fn advance(&mut self, closing: bool) -> Vec<Content> {
        let mut contents = Vec::new();
        loop {
            if self.camera && self.left == 0 {
                if closing && self.audio.is_empty() {
                    break;
                }
                let unit = match self.units.pop_front() {
                    Some(unit) => unit,
                    None if closing => None,
                    None => break,
                };
                contents.extend(unit.map(|(picture, seen)| Content::Unit(picture, seen)));
                self.left = ChunkRhythm::of(DENSE_CHUNK_MS).count(self.chunks);
                self.chunks += 1;
            }
            let Some(embeddings) = self.audio.pop_front() else { break };
            let count = embeddings.count();
            if !self.camera || count <= self.left {
                self.left = self.left.saturating_sub(count);
                contents.push(Content::Audio(embeddings));
            } else {
                contents.push(Content::Audio(embeddings.slice(0, self.left)));
                self.audio.push_front(embeddings.slice(self.left, count));
                self.left = 0;
            }
        }
        contents
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Precision;

    fn sound(count: usize) -> Embeddings {
        Embeddings::pack(&alloc::vec![1.0; count], 1, Precision::Int8)
    }

    fn unit(id: u64) -> Option<(PictureId, SeenAs)> {
        Some((PictureId(id), SeenAs::Dense { tenths: 10 * id }))
    }

    /// Units as their number + 100, sound as its count.
    fn shape(contents: &[Content]) -> Vec<u64> {
        contents
            .iter()
            .map(|c| {
                if let Content::Audio(e) = c {
                    u64::from(e.count())
                } else if let Content::Unit(p, _) = c {
                    100 + p.0
                } else {
                    0
                }
            })
            .collect()
    }

    #[test]
    fn chunks_take_twelve_and_thirteen_and_wait_for_their_unit() {
        let mut order = TurnOrder::new(true);
        order.push_audio(sound(20));
        assert!(order.take().is_empty());
        order.push_unit(unit(0));
        assert_eq!(shape(&order.take()), [100, 12]);
        assert_eq!(shape(&order.clone().close()), [8]);
        order.push_unit(unit(1));
        order.push_audio(sound(11));
        assert_eq!(shape(&order.take()), [101, 8, 5]);
        order.push_unit(unit(2));
        order.push_unit(unit(3));
        assert_eq!(shape(&order.clone().close()), [102, 6], "a unit without sound after it is left out");
    }

    #[test]
    fn a_second_without_picture_and_a_turn_without_camera_hold_nothing_up() {
        let mut order = TurnOrder::new(true);
        order.push_unit(None);
        order.push_audio(sound(14));
        assert_eq!(shape(&order.take()), [12]);
        order.push_unit(unit(1));
        assert_eq!(shape(&order.take()), [101, 2]);
        let mut order = TurnOrder::new(false);
        order.push_audio(sound(30));
        assert_eq!(shape(&order.take()), [30]);
    }
}
