//! The turn machine: the laws of machines, and who may be heard when.

use caracal_shared::machine::{Machine, Micros};
use caracal_shared::turn::{AttemptId, Turn, TurnId, TurnInput, TurnOutput, TurnState, TurnTiming};
use caracal_tests::machine_laws;
use proptest::prelude::*;

/// Most outputs of one input: a late one may pass two deadlines and interrupt the answer.
const OUTPUTS_MAX: usize = 4;

fn script() -> impl Strategy<Value = Vec<(Micros, TurnInput)>> {
    let attempt = (0u64..6).prop_map(AttemptId);
    let input = prop_oneof![
        4 => Just(TurnInput::SpeechStart),
        4 => Just(TurnInput::SpeechStop),
        1 => Just(TurnInput::SpeechWithdrawn),
        2 => Just(TurnInput::Tick),
        2 => attempt.clone().prop_map(TurnInput::ReplyGenerated),
        2 => (attempt, any::<bool>()).prop_map(|(attempt, empty)| TurnInput::Playback { attempt, empty }),
    ];
    let step = prop_oneof![8 => 0i64..900_000, 1 => -500_000i64..0, 1 => 5_000_000i64..9_000_000];
    prop::collection::vec((step, input), 0..60).prop_map(|steps| {
        let mut now = 0i64;
        steps
            .into_iter()
            .map(|(step, input)| {
                now = (now + step).max(0);
                (Micros(now as u64), input)
            })
            .collect()
    })
}

fn timing() -> impl Strategy<Value = TurnTiming> {
    let silence = || prop_oneof![Just(0u64), 1u64..1_000_000, Just(u64::MAX)];
    prop_oneof![
        3 => Just(TurnTiming::default()),
        1 => (silence(), silence()).prop_map(|(a, b)| TurnTiming { speculate_after: Micros(a), endpoint_after: Micros(b) }),
    ]
}

proptest! {
    #[test]
    fn laws_of_machines(timing in timing(), script in script(), saved in 0usize..60) {
        machine_laws::check(&Turn::new(timing), &script, saved, TurnInput::Tick, OUTPUTS_MAX);
    }

    /// Reading only the outputs, as the cluster does, every one of them makes sense.
    #[test]
    fn outputs_tell_a_consistent_story(timing in timing(), script in script()) {
        let mut turn = Turn::new(timing);
        let outputs = machine_laws::run(&mut turn, &script, OUTPUTS_MAX);
        let (mut open, mut held, mut heard) = (None, None, None);
        let (mut turns, mut attempts) = (0, 0);
        for (_, output) in outputs {
            match output {
                TurnOutput::TurnStart(id) => {
                    prop_assert_eq!((id, open, held, heard), (TurnId(turns), None, None, None));
                    turns += 1;
                    open = Some(id);
                }
                TurnOutput::TurnCancel(id) => {
                    prop_assert_eq!((open.take(), held, heard), (Some(id), None, None));
                }
                TurnOutput::SpeculativeEndpoint(id) => {
                    prop_assert_eq!((id, held, heard), (AttemptId(attempts), None, None));
                    prop_assert!(open.is_some());
                    attempts += 1;
                    held = Some(id);
                }
                TurnOutput::Resume(id) => prop_assert_eq!((held.take(), heard), (Some(id), None)),
                TurnOutput::Endpoint { attempt, speculated } => {
                    prop_assert!(open.take().is_some());
                    prop_assert_eq!(held.take(), speculated.then_some(attempt));
                    if !speculated {
                        prop_assert_eq!(attempt, AttemptId(attempts));
                        attempts += 1;
                    }
                    prop_assert_eq!(heard.replace(attempt), None);
                }
                TurnOutput::BargeIn(id) | TurnOutput::ReplyEnd(id) => prop_assert_eq!(heard.take(), Some(id)),
            }
        }
        let (listens, speculates, speaks) = match turn.state() {
            TurnState::Idle => (false, None, None),
            TurnState::Listen { .. } | TurnState::Hold { .. } => (true, None, None),
            TurnState::Speculate { attempt, .. } => (true, Some(attempt), None),
            TurnState::Speak { attempt, .. } => (false, None, Some(attempt)),
        };
        prop_assert_eq!((open.is_some(), held, heard), (listens, speculates, speaks));
    }
}

fn speaking() -> (Turn, AttemptId) {
    let mut turn = Turn::new(TurnTiming::default());
    for (at, input) in [(0, TurnInput::SpeechStart), (1_000_000, TurnInput::SpeechStop), (2_000_000, TurnInput::Tick)] {
        turn.handle(Micros(at), input);
        while turn.poll().is_some() {}
    }
    match turn.state() {
        TurnState::Speak { attempt, .. } => (turn, attempt),
        state => panic!("silence of a second did not end the turn: {state:?}"),
    }
}

#[test]
fn a_reply_ends_when_it_is_complete_and_played() {
    let (mut turn, attempt) = speaking();
    let mut handle = |input| {
        turn.handle(Micros(3_000_000), input);
        turn.poll()
    };
    assert_eq!(handle(TurnInput::Playback { attempt, empty: true }), None, "an underrun is no end");
    assert_eq!(handle(TurnInput::Playback { attempt, empty: false }), None);
    assert_eq!(handle(TurnInput::ReplyGenerated(attempt)), None);
    assert_eq!(handle(TurnInput::Playback { attempt, empty: true }), Some(TurnOutput::ReplyEnd(attempt)));
}

#[test]
fn what_a_dead_attempt_says_is_dropped() {
    let (mut turn, attempt) = speaking();
    let before = turn.state();
    for stale in [AttemptId(attempt.0 + 1), AttemptId(u64::MAX)] {
        for input in [TurnInput::ReplyGenerated(stale), TurnInput::Playback { attempt: stale, empty: true }] {
            turn.handle(Micros(3_000_000), input);
            assert_eq!((turn.poll(), turn.state()), (None, before));
        }
    }
}

#[test]
fn a_withdrawn_onset_leaves_no_turn() {
    let mut turn = Turn::new(TurnTiming::default());
    turn.handle(Micros(0), TurnInput::SpeechStart);
    assert_eq!(turn.poll(), Some(TurnOutput::TurnStart(TurnId(0))));
    turn.handle(Micros(50_000), TurnInput::SpeechWithdrawn);
    assert_eq!((turn.poll(), turn.state()), (Some(TurnOutput::TurnCancel(TurnId(0))), TurnState::Idle));
}

#[test]
#[should_panic(expected = "not drained")]
fn outputs_must_be_drained() {
    let mut turn = Turn::new(TurnTiming::default());
    turn.handle(Micros(0), TurnInput::SpeechStart);
    turn.handle(Micros(1), TurnInput::SpeechStop);
}
