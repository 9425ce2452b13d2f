//! Which camera pictures of a live session are looked at: two a second while the user speaks, one in two seconds else.
//!
//! Time is cut into packets of one second. A packet with speech in it is dense: its unit is the first picture of each
//! half. The others are sparse: one picture, then a packet is skipped, counted from the first packet after speech. When
//! speech begins right after a skipped packet, that packet's picture is looked at as well, so that the model has seen
//! the moment before.
//!
//! The sampler is told what happened and when, in order of time; it reads no clock. A packet is decided when something
//! later happens, or at the end.
//!
//! Source: LongCat-Flash-Omni §2.4.2 and figure 11; rules R1 to R4 and R6 (prompt.md section 8).

use std::collections::VecDeque;
use std::time::Duration;

use crate::Streaming;

/// Length of a packet.
const PACKET: Duration = Duration::from_secs(1);
/// A sparse chunk is this many packets long.
const SPARSE_PACKETS: u64 = 2;
/// Sparse units that wait for the next turn: two minutes of silence (R6).
pub const SPARSE_UNITS_MAX: usize = 60;

/// What happened, and when: time since the start of the session.
#[derive(Clone, Debug, PartialEq)]
pub enum CameraEvent<P> {
    /// The camera delivered a picture.
    Picture(Duration, P),
    /// The user began to speak.
    SpeechStarted(Duration),
    /// The user stopped speaking.
    SpeechStopped(Duration),
}

/// What is to be encoded as one unit.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveUnit<P> {
    /// A second with speech: its two pictures; they are the same one when the camera delivered only one.
    Dense {
        /// Number of the packet: its start in seconds.
        packet: u64,
        /// First picture of each half.
        pictures: [P; 2],
    },
    /// Two seconds without speech.
    Sparse {
        /// Number of the packet: its start in seconds.
        packet: u64,
        /// Its first picture.
        picture: P,
    },
}

/// Chooses pictures of type `P` (anything that is cheap to clone).
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameSampler<P>(std::marker::PhantomData<P>);

/// Where a session's sampling stands: at most three pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplerState<P> {
    /// The packet that is being filled.
    packet: u64,
    /// First picture of each half of it.
    halves: [Option<P>; 2],
    /// Whether the user speaks at this moment.
    speaking: bool,
    /// Whether the user spoke at any moment of this packet.
    spoken: bool,
    /// Packets since the last sparse picture, or since speech; `None` directly after speech: the next packet is looked at.
    since_sparse: Option<u64>,
    /// Packet before this one and its picture, when it was skipped.
    skipped: Option<(u64, P)>,
}

impl<P: Clone> FrameSampler<P> {
    /// A sampler.
    pub fn new() -> Self {
        Self(std::marker::PhantomData)
    }

    /// All units of a recorded session.
    pub fn offline(&self, events: Vec<CameraEvent<P>>) -> Vec<LiveUnit<P>> {
        let mut state = self.start();
        let mut units = self.step(&mut state, events).unwrap_or_default();
        units.extend(self.flush(&mut state).unwrap_or_default());
        units
    }
}

impl<P: Clone> Streaming for FrameSampler<P> {
    type State = SamplerState<P>;
    type In = Vec<CameraEvent<P>>;
    type Out = Vec<LiveUnit<P>>;

    fn start(&self) -> SamplerState<P> {
        SamplerState { packet: 0, halves: [None, None], speaking: false, spoken: false, since_sparse: None, skipped: None }
    }

    fn step(&self, state: &mut SamplerState<P>, events: Vec<CameraEvent<P>>) -> Option<Vec<LiveUnit<P>>> {
        let mut units = Vec::new();
        for event in events {
            state.take(event, &mut units);
        }
        (!units.is_empty()).then_some(units)
    }

    fn flush(&self, state: &mut SamplerState<P>) -> Option<Vec<LiveUnit<P>>> {
        let mut units = Vec::new();
        state.close_packet(&mut units);
        (!units.is_empty()).then_some(units)
    }
}

impl<P: Clone> SamplerState<P> {
    fn take(&mut self, event: CameraEvent<P>, units: &mut Vec<LiveUnit<P>>) {
        let (CameraEvent::Picture(at, _) | CameraEvent::SpeechStarted(at) | CameraEvent::SpeechStopped(at)) = &event;
        let packet = at.as_secs();
        let half = usize::from(at.subsec_nanos() >= PACKET.as_nanos() as u32 / 2);
        if packet > self.packet {
            self.close_packet(units);
            self.pass_empty_packets(packet);
        }
        match event {
            // A picture that comes late belongs to a packet that is decided.
            CameraEvent::Picture(_, picture) if packet == self.packet => {
                self.halves[half].get_or_insert(picture);
            }
            CameraEvent::Picture(..) => {}
            CameraEvent::SpeechStarted(_) => (self.speaking, self.spoken) = (true, true),
            CameraEvent::SpeechStopped(_) => self.speaking = false,
        }
    }

    /// Decides the packet that is being filled and opens the next.
    fn close_packet(&mut self, units: &mut Vec<LiveUnit<P>>) {
        let packet = self.packet;
        let pictures = match std::mem::take(&mut self.halves) {
            [Some(first), Some(second)] => Some([first, second]),
            [Some(only), None] | [None, Some(only)] => Some([only.clone(), only]),
            [None, None] => None,
        };
        let skipped = self.skipped.take();
        if self.spoken {
            if let Some((packet, picture)) = skipped {
                units.push(LiveUnit::Sparse { packet, picture });
            }
            units.extend(pictures.map(|pictures| LiveUnit::Dense { packet, pictures }));
            self.since_sparse = None;
        } else if let Some([picture, _]) = pictures {
            if self.since_sparse.is_none_or(|since| since >= SPARSE_PACKETS) {
                units.push(LiveUnit::Sparse { packet, picture });
                self.since_sparse = Some(1);
            } else {
                self.skipped = Some((packet, picture));
                self.since_sparse = self.since_sparse.map(|since| since + 1);
            }
        } else {
            self.since_sparse = self.since_sparse.map(|since| since + 1);
        }
        self.packet += 1;
        self.spoken = self.speaking;
    }

    /// Goes on to `packet` over packets in which nothing happened, however many.
    fn pass_empty_packets(&mut self, packet: u64) {
        let empty = packet - self.packet;
        if empty == 0 {
            return;
        }
        self.skipped = None;
        self.since_sparse = if self.spoken { None } else { self.since_sparse.map(|since| since.saturating_add(empty)) };
        self.packet = packet;
        self.spoken = self.speaking;
    }
}

/// Encoded sparse units that wait for the next turn. When it is full the oldest goes.
#[derive(Clone, Debug, PartialEq)]
pub struct SparseBuffer<T>(VecDeque<T>);

impl<T> Default for SparseBuffer<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> SparseBuffer<T> {
    /// Adds the newest unit; returns the one that had to go.
    pub fn push(&mut self, unit: T) -> Option<T> {
        self.0.push_back(unit);
        if self.0.len() > SPARSE_UNITS_MAX { self.0.pop_front() } else { None }
    }

    /// Hands all units over, oldest first: a turn opens.
    pub fn take(&mut self) -> Vec<T> {
        std::mem::take(&mut self.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CameraEvent::{Picture, SpeechStarted, SpeechStopped};

    /// Ten pictures a second, each named by its tenth of a second, and the given speech.
    fn session(seconds: u64, speech: &[(u64, u64)]) -> Vec<CameraEvent<u64>> {
        let mut events: Vec<(u64, u8, CameraEvent<u64>)> =
            (0..10 * seconds).map(|t| (100 * t, 1, Picture(Duration::from_millis(100 * t), t))).collect();
        for (on, off) in speech {
            events.push((*on, 0, SpeechStarted(Duration::from_millis(*on))));
            events.push((*off, 0, SpeechStopped(Duration::from_millis(*off))));
        }
        events.sort_by_key(|(at, kind, _)| (*at, *kind));
        events.into_iter().map(|(_, _, event)| event).collect()
    }

    fn sparse(packet: u64) -> LiveUnit<u64> {
        LiveUnit::Sparse { packet, picture: 10 * packet }
    }

    fn dense(packet: u64) -> LiveUnit<u64> {
        LiveUnit::Dense { packet, pictures: [10 * packet, 10 * packet + 5] }
    }

    #[test]
    fn silence_gives_one_picture_in_two_seconds() {
        assert_eq!(FrameSampler::new().offline(session(5, &[])), [sparse(0), sparse(2), sparse(4)]);
    }

    #[test]
    fn speech_is_dense_from_its_packet_to_its_end_and_the_rhythm_starts_again_after_it() {
        let units = FrameSampler::new().offline(session(9, &[(2400, 4100)]));
        assert_eq!(units, [sparse(0), sparse(1), dense(2), dense(3), dense(4), sparse(5), sparse(7)]);
    }

    #[test]
    fn the_packet_before_speech_is_added_only_if_it_was_skipped() {
        let units = FrameSampler::new().offline(session(4, &[(3000, 3500)]));
        assert_eq!(units, [sparse(0), sparse(2), dense(3)]);
    }

    #[test]
    fn a_slow_camera_doubles_its_picture_and_a_silent_one_gives_nothing() {
        let second = |s, p| Picture(Duration::from_millis(s), p);
        let events = vec![
            SpeechStarted(Duration::ZERO),
            second(700, 1),
            second(5100, 2),
            SpeechStopped(Duration::from_millis(5200)),
            second(900_000, 3),
        ];
        let want = [
            LiveUnit::Dense { packet: 0, pictures: [1, 1] },
            LiveUnit::Dense { packet: 5, pictures: [2, 2] },
            LiveUnit::Sparse { packet: 900, picture: 3 },
        ];
        assert_eq!(FrameSampler::new().offline(events), want);
    }

    #[test]
    fn a_late_picture_changes_nothing() {
        let mut events = session(4, &[]);
        events.insert(25, Picture(Duration::from_millis(300), 99));
        assert_eq!(FrameSampler::new().offline(events), FrameSampler::new().offline(session(4, &[])));
    }

    #[test]
    fn a_full_buffer_drops_its_oldest_unit() {
        let mut buffer = SparseBuffer::default();
        let dropped: Vec<usize> = (0..SPARSE_UNITS_MAX + 2).filter_map(|unit| buffer.push(unit)).collect();
        assert_eq!(dropped, [0, 1]);
        assert_eq!(buffer.take(), (2..SPARSE_UNITS_MAX + 2).collect::<Vec<_>>());
        assert!(buffer.take().is_empty());
    }
}
