//! An accelerator that is stuck is given little to do, however long it lasts and whatever the user does meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;

use caracal_edge::audio::voice_activity::VoiceEvent;
use caracal_edge::job::{Job, JobResult};
use caracal_edge::uplink::{PICTURES_ON_THE_WAY_MAX, Uplink, UplinkInput, UplinkOutput};
use caracal_edge::vision::Picture;
use caracal_shared::machine::{Machine, Micros};
use caracal_shared::session::edge::EdgeInput;
use caracal_shared::turn::{AttemptId, TurnId, TurnOutput};

/// Hops of a pause, in which an answer is begun on a guess, and from one to the next.
const PAUSE: u64 = 40;
const RHYTHM: u64 = 100;

#[derive(Default)]
struct Seen {
    /// Jobs on their way.
    jobs: VecDeque<Job>,
    /// Hops that were asked for, in order.
    hops: Vec<u64>,
    lost: u64,
    unseen: usize,
    tails: Vec<AttemptId>,
}

impl Seen {
    fn tell(&mut self, uplink: &mut Uplink, hop: u64, input: UplinkInput) {
        uplink.handle(Micros(10_000 * hop), input);
        while let Some(output) = uplink.poll() {
            match output {
                UplinkOutput::Job(job) => {
                    if let Job::Hear { samples, .. } = &job {
                        self.hops.extend(samples.iter().step_by(160).map(|sample| *sample as u64));
                    }
                    self.jobs.push_back(job);
                }
                UplinkOutput::Overrun(samples) => self.lost += samples / 160,
                UplinkOutput::Unseen => self.unseen += 1,
                UplinkOutput::Session(EdgeInput::Tail { attempt, .. }) => self.tails.push(attempt),
                UplinkOutput::Session(_) => {}
            }
        }
        assert!(uplink.is_within_limits());
    }

    /// The accelerator does what waits, and what comes of that.
    fn work(&mut self, uplink: &mut Uplink, hop: u64) {
        while let Some(job) = self.jobs.pop_front() {
            let result = match job {
                Job::Hear { stream, .. } => JobResult::Heard { stream, embeddings: None },
                Job::HearTail { stream, attempt } => JobResult::HeardTail { stream, attempt, embeddings: None },
                Job::See { picture, .. } => JobResult::Seen { picture, embeddings: None },
                Job::HearEnd(_) | Job::Speak { .. } | Job::SpeakEnd(_) => continue,
            };
            self.tell(uplink, hop, UplinkInput::Done(result));
        }
    }
}

#[test]
fn an_accelerator_that_is_stuck_is_given_little_and_loses_nothing_untold() {
    let picture = Arc::new(Picture::new("test", 1, 1, vec![0; 3]).expect("one pixel"));
    for seconds in [20, 50, 90] {
        let (mut uplink, mut seen) = (Uplink::new(true), Seen::default());
        let hops = 100 * seconds;
        let last = AttemptId(hops / RHYTHM - 1);
        for hop in 0..hops {
            let (guess, beat) = (AttemptId(hop / RHYTHM), hop % RHYTHM);
            let (at, decided_at) = (160 * hop, 160 * hop);
            if beat == 0 {
                seen.tell(&mut uplink, hop, UplinkInput::Voice(VoiceEvent::Started { at, decided_at }));
                let output = if hop == 0 { TurnOutput::TurnStart(TurnId(0)) } else { TurnOutput::Resume(AttemptId(guess.0 - 1)) };
                seen.tell(&mut uplink, hop, UplinkInput::Turn(output));
            } else if beat == RHYTHM - PAUSE {
                seen.tell(&mut uplink, hop, UplinkInput::Voice(VoiceEvent::Stopped { at, decided_at, brief: false }));
                seen.tell(&mut uplink, hop, UplinkInput::Turn(TurnOutput::SpeculativeEndpoint(guess)));
            }
            seen.tell(&mut uplink, hop, UplinkInput::Hop(Box::new([hop as f32; 160])));
            if hop % 10 == 0 {
                seen.tell(&mut uplink, hop, UplinkInput::Camera(picture.clone()));
            }
        }
        let of = |wanted: fn(&Job) -> bool| seen.jobs.iter().filter(|job| wanted(job)).count();
        let pictures = of(|job| matches!(job, Job::See { .. }));
        assert!(seen.jobs.len() - pictures <= 3, "{seconds} s: {} jobs of sound", seen.jobs.len() - pictures);
        assert_eq!(pictures, PICTURES_ON_THE_WAY_MAX, "{seconds} s");
        assert!(seen.unseen > 10, "{seconds} s: {}", seen.unseen);

        seen.tell(&mut uplink, hops, UplinkInput::Turn(TurnOutput::Endpoint { attempt: last, speculated: true }));
        seen.work(&mut uplink, hops);
        assert_eq!(seen.tails.last(), Some(&last), "{seconds} s: the turn is brought to its end");
        // Speech ended at the last pause. Of what was before, each hop was heard once and in order, or told to be lost.
        assert!(seen.hops.is_sorted_by(|before, after| before < after), "{seconds} s: a hop came twice or late");
        assert_eq!(seen.hops.len() as u64 + seen.lost, hops - PAUSE, "{seconds} s");
        assert_eq!(seen.lost > 0, seconds > 61, "{seconds} s: {} hops were lost", seen.lost);
    }
}
