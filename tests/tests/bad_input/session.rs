//! What a cluster keeps for an edge that sends more, or other things, than was agreed.

use caracal_shared::limits::{RESEND_BYTES_MAX, WAITING_MESSAGES_MAX};
use caracal_shared::machine::{Machine, Micros};
use caracal_shared::session::cluster::{ClusterInput, ClusterOutput, Session};
use caracal_shared::turn::TurnId;
use caracal_shared::wire::{EdgeMessage, Embeddings, PictureId, Precision, Reason, SeenAs, Ticket, Wire};
use caracal_tests::fuzz::session::cluster_settings;

const TURN: TurnId = TurnId(0);

/// A session whose next messages wait behind a picture that does not come.
fn waiting(audio_width: u32) -> Session {
    let mut settings = cluster_settings();
    settings.model.audio_width = audio_width;
    let mut session = Session::new(settings, Ticket([7; 16]), Micros(0));
    assert_eq!(tell(&mut session, ClusterInput::Attached { received: 0, restarted: false }), None);
    for message in [EdgeMessage::TurnStart(TURN), unit()] {
        assert_eq!(tell(&mut session, ClusterInput::Control(message)), None);
    }
    session
}

fn unit() -> EdgeMessage {
    EdgeMessage::Unit { turn: TURN, provisional: None, picture: PictureId(0), seen: SeenAs::Still }
}

fn audio(count: usize, width: usize, precision: Precision) -> EdgeMessage {
    let embeddings = Embeddings::pack(&vec![1.0; count * width], width, precision);
    EdgeMessage::Audio { turn: TURN, provisional: None, embeddings }
}

/// Why the session ended, if it did.
fn tell(session: &mut Session, input: ClusterInput) -> Option<Reason> {
    session.handle(Micros(0), input);
    let outputs: Vec<_> = std::iter::from_fn(|| session.poll()).collect();
    outputs.into_iter().find_map(|o| if let ClusterOutput::End(Some(refusal)) = o { Some(refusal.reason) } else { None })
}

#[test]
fn vectors_that_were_not_agreed_are_refused_before_they_wait() {
    for (width, precision) in [(5, Precision::Int8), (4, Precision::Bf16)] {
        let mut session = waiting(4);
        assert_eq!(tell(&mut session, ClusterInput::Control(audio(1, width, precision))), Some(Reason::Embeddings));
    }
}

#[test]
fn what_waits_for_a_picture_is_limited_in_messages_and_in_bytes() {
    let of_bytes = audio(1024, 4096, Precision::Int8);
    let fit = RESEND_BYTES_MAX / of_bytes.bytes();
    assert!(fit < WAITING_MESSAGES_MAX);
    // One message waits already.
    for (message, fit) in [(of_bytes, fit), (unit(), WAITING_MESSAGES_MAX - 1)] {
        let mut session = waiting(4096);
        let refused = (0..2 * fit).find_map(|n| tell(&mut session, ClusterInput::Control(message.clone())).map(|reason| (n, reason)));
        assert_eq!(refused, Some((fit, Reason::Protocol)));
    }
}
