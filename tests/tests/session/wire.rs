//! Bytes of strangers: garbage, truncation, mutation; and what honest messages cost.

use caracal_shared::limits::UNIT_BYTES_MAX;
use caracal_shared::turn::{AttemptId, TurnId};
use caracal_shared::wire::{
    AudioCut, ClusterMessage, Continue, EdgeMessage, Embeddings, Hello, Model, PictureId, Precision, Reason, Refusal, SeenAs, Ticket,
    UnitReader, VERSION, VisionMessage, Welcome, Wire, WireError, write_unit,
};
use caracal_tests::fuzz::{wire_stream, wire_unit};
use proptest::prelude::*;

fn hello() -> Hello {
    let model = Model { identity: "m".into(), audio_cut: AudioCut::Hidden, precision: Precision::Int8, audio_width: 1536, vision_width: 0 };
    let resume = Some(Continue { ticket: Ticket([9; 16]), received: 7, restarted: true });
    Hello { version: VERSION, token: "secret".into(), model, resume }
}

fn edge_messages() -> Vec<EdgeMessage> {
    let embeddings = Embeddings::pack(&[0.5; 24], 8, Precision::Bf16);
    let (turn, attempt) = (TurnId(300), AttemptId(5));
    vec![
        EdgeMessage::Hello(hello()),
        EdgeMessage::TurnStart(turn),
        EdgeMessage::TurnCancel(turn),
        EdgeMessage::Audio { turn, provisional: None, embeddings: embeddings.clone() },
        EdgeMessage::Audio { turn, provisional: Some(AttemptId(0)), embeddings },
        EdgeMessage::Unit { turn, provisional: Some(attempt), picture: PictureId(0), seen: SeenAs::Dense { tenths: 12 } },
        EdgeMessage::Unit { turn, provisional: None, picture: PictureId(1), seen: SeenAs::Still },
        EdgeMessage::SpeculativeEndpoint { turn, attempt },
        EdgeMessage::Resume(attempt),
        EdgeMessage::Endpoint { turn, attempt },
        EdgeMessage::BargeIn { attempt, frames: 17 },
        EdgeMessage::ReplyEnd(attempt),
        EdgeMessage::Played { attempt, frames: 16 },
        EdgeMessage::Ack(4),
        EdgeMessage::Forget(PictureId(3)),
        EdgeMessage::Bye,
    ]
}

fn cluster_messages() -> Vec<ClusterMessage> {
    let attempt = AttemptId(5);
    let welcome =
        Welcome { ticket: Ticket([1; 16]), control: 1, vision: 2, next_turn: 3, next_attempt: 4, next_picture: 5, sent: 6, now: 7 };
    vec![
        ClusterMessage::Welcome(welcome),
        ClusterMessage::Refusal(Refusal::new(Reason::Token, "no")),
        ClusterMessage::Speech { attempt, frames: vec![[8191, 0, 1, 2]; 5] },
        ClusterMessage::Caption { attempt, text: "Hällo".into() },
        ClusterMessage::ReplyGenerated { attempt, frames: 40 },
        ClusterMessage::ReplyClosed { attempt, text: "Hello.".into(), whole: true },
        ClusterMessage::Notice { reason: Reason::Context, text: "full".into(), turn: Some(TurnId(0)) },
        ClusterMessage::Ack { control: 3, vision: 0 },
    ]
}

#[test]
fn every_message_comes_back() {
    for message in edge_messages() {
        assert_eq!(EdgeMessage::decode(&message.encode()), Ok(message));
    }
    for message in cluster_messages() {
        assert_eq!(ClusterMessage::decode(&message.encode()), Ok(message));
    }
    let picture = VisionMessage::Picture { picture: PictureId(0), embeddings: Embeddings::pack(&[1.0; 6], 2, Precision::Int8) };
    assert_eq!(VisionMessage::decode(&picture.encode()), Ok(picture));
}

#[test]
fn a_unit_cut_anywhere_is_no_other_unit_and_says_what_is_missing() {
    for message in edge_messages() {
        let mut bytes = Vec::new();
        write_unit(&message, &mut bytes);
        for end in 1..bytes.len() {
            let mut reader = UnitReader::default();
            reader.push(&bytes[..end]);
            assert_eq!(reader.next_unit::<EdgeMessage>(), Ok(None));
            assert!(matches!(reader.finish(), Err(WireError::Truncated { .. })), "{message:?} cut at {end}");
        }
    }
}

#[test]
fn a_length_above_the_limit_is_refused_before_a_byte_of_it_came() {
    for prefix in [vec![0xff, 0xff, 0xff, 0x7f], vec![0xff; 4], vec![0x80, 0x80, 0x80, 0x80, 1]] {
        let mut reader = UnitReader::default();
        reader.push(&prefix);
        assert!(matches!(reader.next_unit::<EdgeMessage>(), Err(WireError::TooLong { limit: UNIT_BYTES_MAX, .. })), "{prefix:?}");
    }
}

#[test]
fn numbers_that_are_not_finite_never_come_in() {
    let mut bytes =
        EdgeMessage::Audio { turn: TurnId(0), provisional: None, embeddings: Embeddings::pack(&[1.0; 4], 4, Precision::Bf16) }.encode();
    let at = bytes.windows(2).rposition(|pair| pair == [0x80, 0x3f]).expect("1.0 in bf16");
    bytes[at..at + 2].copy_from_slice(&[0xc0, 0x7f]);
    let error = EdgeMessage::decode(&bytes).expect_err("NaN");
    assert!(error.to_string().contains("finite"), "{error}");
}

#[test]
fn speech_stays_below_one_and_a_half_kilobits_a_second() {
    // As the cluster sends it: four frames, then two by two, then four by four; ten seconds, attempt numbers of two bytes.
    let sizes = [4, 2, 2].into_iter().chain(std::iter::repeat(4)).take_while({
        let mut frames = 0;
        move |size| {
            frames += size;
            frames <= 168
        }
    });
    let (mut bytes, mut frames) = (Vec::new(), 0);
    for size in sizes {
        write_unit(&ClusterMessage::Speech { attempt: AttemptId(200), frames: vec![[4095, 1, 2, 3]; size] }, &mut bytes);
        frames += size;
    }
    let kilobits = bytes.len() as f64 * 8.0 / (frames as f64 * 0.06) / 1000.0;
    assert!(kilobits <= 1.5, "{kilobits:.2} kbit/s");
}

#[test]
fn the_token_and_the_ticket_are_in_no_debug_print_of_a_ticket() {
    assert_eq!(format!("{:?}", Ticket([9; 16])), "Ticket(..)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn garbage_is_refused_and_never_panics(data in prop::collection::vec(any::<u8>(), 0..300)) {
        wire_unit(&data);
        wire_stream(&data);
    }

    #[test]
    fn mutated_messages_are_refused_or_are_messages(which in any::<prop::sample::Index>(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in 1u8..40) {
        let mut stream = vec![cut];
        let messages = edge_messages();
        write_unit(&messages[which.index(messages.len())], &mut stream);
        write_unit(&messages[0], &mut stream);
        for (at, byte) in changes {
            let at = 1 + at.index(stream.len() - 1);
            stream[at] = byte;
        }
        wire_stream(&stream);
        wire_unit(&stream[2..]);
    }

    #[test]
    fn what_was_packed_is_what_it_was_about(rows in prop::collection::vec(-1e4f32..1e4, 1..40), int8 in any::<bool>()) {
        let precision = if int8 { Precision::Int8 } else { Precision::Bf16 };
        let packed = Embeddings::pack(&rows, rows.len(), precision);
        let largest = rows.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        for (a, b) in rows.iter().zip(packed.unpack()) {
            let error = if int8 { largest / 254.0 + 1e-3 } else { a.abs() / 256.0 + 1e-30 };
            prop_assert!((a - b).abs() <= error * 1.001, "{a} became {b}");
        }
    }
}
