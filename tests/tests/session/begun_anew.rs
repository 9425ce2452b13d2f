//! A session that is lost and begun anew: what the new one is told, and what the user is told of the rest.

use caracal_shared::limits::TURN_LOG_BYTES_MAX;
use caracal_shared::machine::{Machine, Micros};
use caracal_shared::session::edge::{EdgeInput, EdgeOutput, Session};
use caracal_shared::turn::{AttemptId, TurnId, TurnOutput};
use caracal_shared::wire::{
    ClusterMessage, EdgeMessage, Embeddings, PictureId, Precision, Reason, Refusal, SeenAs, Ticket, VisionMessage, Welcome,
};

const TURN: TurnId = TurnId(0);
const ATTEMPT: AttemptId = AttemptId(0);
/// Bytes of one piece of sound.
const PIECE: usize = 2 << 20;

fn tell(session: &mut Session, input: EdgeInput) -> Vec<EdgeOutput> {
    session.handle(Micros(0), input);
    std::iter::from_fn(|| session.poll()).collect()
}

fn link(session: &mut Session, ticket: u8) -> Vec<EdgeOutput> {
    let ticket = Ticket([ticket; 16]);
    let zero = Welcome { ticket, control: 0, vision: 0, next_turn: 0, next_attempt: 0, next_picture: 0, sent: 0, now: 0 };
    tell(session, EdgeInput::Linked(zero))
}

/// The cluster was started anew: reasons that the user is told, and attempts that will not come.
fn lose(session: &mut Session) -> (Vec<Reason>, Vec<AttemptId>) {
    let outputs = tell(session, EdgeInput::Refused(Refusal::new(Reason::Ticket, "there is no such session.")));
    assert_eq!(outputs.last(), Some(&EdgeOutput::Reconnect));
    let reason = |output: &EdgeOutput| if let EdgeOutput::Notice(reason, _) = output { Some(*reason) } else { None };
    let abandoned = |output: &EdgeOutput| if let EdgeOutput::Abandon(attempt) = output { Some(*attempt) } else { None };
    (outputs.iter().filter_map(reason).collect(), outputs.iter().filter_map(abandoned).collect())
}

fn sound() -> Embeddings {
    Embeddings::pack(&vec![1.0; PIECE / 2], 1024, Precision::Bf16)
}

/// A session of which one turn is open that is longer than is kept; all of it was acknowledged.
fn long_turn() -> Session {
    let mut session = Session::new(false, None);
    link(&mut session, 1);
    tell(&mut session, EdgeInput::Turn(TurnOutput::TurnStart(TURN)));
    for piece in 1..=TURN_LOG_BYTES_MAX as u64 / PIECE as u64 {
        tell(&mut session, EdgeInput::Audio { turn: TURN, embeddings: sound() });
        tell(&mut session, EdgeInput::Received(ClusterMessage::Ack { control: 1 + piece, vision: 0 }));
        assert!(session.is_within_limits());
    }
    session
}

#[test]
fn pictures_that_wait_for_the_next_turn_are_shown_again() {
    let mut session = Session::new(true, None);
    link(&mut session, 1);
    let (picture, seen) = (PictureId(0), SeenAs::Sparse { tenths: 3 });
    tell(&mut session, EdgeInput::Picture { picture, embeddings: sound() });
    tell(&mut session, EdgeInput::Buffer { picture, seen });
    tell(&mut session, EdgeInput::Received(ClusterMessage::Ack { control: 0, vision: 1 }));
    assert_eq!(lose(&mut session), (vec![Reason::Ticket], vec![]));
    let shown = EdgeOutput::Vision(VisionMessage::Picture { picture, embeddings: sound() });
    assert!(link(&mut session, 2).contains(&shown), "the turn would wait for a picture that never comes");
}

#[test]
fn a_turn_longer_than_is_kept_is_not_told_again_and_goes_on() {
    let mut session = long_turn();
    assert_eq!(lose(&mut session), (vec![Reason::Ticket, Reason::TurnTooLong], vec![]));
    let said = link(&mut session, 2);
    assert_eq!(said[1..], [EdgeOutput::Control(EdgeMessage::TurnStart(TURN))]);
    // What follows is heard, and both sides count it only.
    tell(&mut session, EdgeInput::Audio { turn: TURN, embeddings: sound() });
    tell(&mut session, EdgeInput::Turn(TurnOutput::SpeculativeEndpoint(ATTEMPT)));
    tell(&mut session, EdgeInput::Tail { attempt: ATTEMPT, audio: None, unit: None });
    let said = tell(&mut session, EdgeInput::Turn(TurnOutput::Endpoint { attempt: ATTEMPT, speculated: true }));
    assert_eq!(said, [EdgeOutput::Control(EdgeMessage::Endpoint { turn: TURN, attempt: ATTEMPT })]);
    assert_eq!(session.transcript().exchanges().map(|exchange| exchange.audio).collect::<Vec<_>>(), [1024]);
}

#[test]
fn a_guess_that_is_lost_with_its_session_answers_nothing() {
    for goes_on in [false, true] {
        let mut session = long_turn();
        tell(&mut session, EdgeInput::Turn(TurnOutput::SpeculativeEndpoint(ATTEMPT)));
        tell(&mut session, EdgeInput::Tail { attempt: ATTEMPT, audio: Some(sound()), unit: None });
        assert_eq!(lose(&mut session), (vec![Reason::Ticket, Reason::TurnTooLong], vec![ATTEMPT]));
        link(&mut session, 2);
        if goes_on {
            assert_eq!(tell(&mut session, EdgeInput::Turn(TurnOutput::Resume(ATTEMPT))), []);
            let said = tell(&mut session, EdgeInput::Audio { turn: TURN, embeddings: sound() });
            assert_eq!(said, [EdgeOutput::Control(EdgeMessage::Audio { turn: TURN, provisional: None, embeddings: sound() })]);
        } else {
            // The turn is over, and nothing of it is left: to the new session it never was, and the next one may begin.
            let said = tell(&mut session, EdgeInput::Turn(TurnOutput::Endpoint { attempt: ATTEMPT, speculated: true }));
            assert_eq!(said, [EdgeOutput::Control(EdgeMessage::TurnCancel(TURN))]);
            assert_eq!(session.transcript().exchanges().len(), 0);
            let said = tell(&mut session, EdgeInput::Turn(TurnOutput::TurnStart(TurnId(1))));
            assert_eq!(said, [EdgeOutput::Control(EdgeMessage::TurnStart(TurnId(1)))]);
        }
    }
}
