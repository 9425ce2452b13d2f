//! What a live turn prefills is what the chat template writes for the same conversation.

use std::sync::Arc;

use caracal_cluster::tokenizer::Tokenizer;
use caracal_shared::machine::{Machine, Micros};
use caracal_shared::prompt::{Item, Message, PromptOptions, Role, Row, Strategy, VideoUnit, assemble};
use caracal_shared::session::cluster::{ClusterInput, ClusterOutput, Session};
use caracal_shared::session::engine::{EngineOp, Part};
use caracal_shared::session::{Content, TurnOrder};
use caracal_shared::tokenize::Markers;
use caracal_shared::turn::{AttemptId, TurnId};
use caracal_shared::wire::{EdgeMessage, Embeddings, PictureId, Precision, SeenAs, Ticket, VisionMessage};
use caracal_tests::fuzz::session::cluster_settings;
use caracal_tests::golden::golden_root;

const TURN: TurnId = TurnId(0);

fn sound(count: usize) -> Embeddings {
    Embeddings::pack(&vec![1.0; 4 * count], 4, Precision::Int8)
}

/// Rows that a session asks its engine for, placeholders where embeddings stand.
fn rows(messages: Vec<EdgeMessage>, pictures: u64, markers: &Markers) -> Vec<Row> {
    let mut session = Session::new(cluster_settings(), Ticket([1; 16]), Micros(0));
    let mut inputs = vec![ClusterInput::Attached { received: 0, restarted: false }];
    let picture = |id| ClusterInput::Vision(VisionMessage::Picture { picture: PictureId(id), embeddings: sound(6) });
    inputs.extend(messages.into_iter().map(ClusterInput::Control));
    // Pictures come last, as over a slow stream: everything behind them waits.
    inputs.extend((0..pictures).map(picture));
    let mut rows = Vec::new();
    for input in inputs {
        session.handle(Micros(0), input);
        while let Some(output) = session.poll() {
            let ClusterOutput::Engine(EngineOp::Extend { parts, .. }) = output else { continue };
            for part in parts {
                let count = part.rows() as usize;
                match part {
                    Part::Rows(new) => rows.extend(new),
                    Part::Audio(..) => rows.extend(std::iter::repeat_n(Row::text(markers.audio_pad), count)),
                    Part::Picture(_) => rows.extend(std::iter::repeat_n(Row::text(markers.image_pad), count)),
                    Part::Steps(_) => panic!("nothing was generated"),
                }
            }
        }
    }
    rows
}

fn assembled(items: Vec<Item>) -> (Vec<Row>, Markers) {
    let tokenizer = Arc::new(Tokenizer::load(&golden_root().join("prompt/standin_tokenizer.json")).expect("it is there"));
    let markers = Markers::resolve(&*tokenizer).expect("it has them");
    let prompt = assemble(&*tokenizer, &markers, &[Message { role: Role::User, items }], &PromptOptions::default()).expect("a prompt");
    (prompt.rows, markers)
}

fn message(content: Content) -> EdgeMessage {
    match content {
        Content::Audio(embeddings) => EdgeMessage::Audio { turn: TURN, provisional: None, embeddings },
        Content::Unit(picture, seen) => EdgeMessage::Unit { turn: TURN, provisional: None, picture, seen },
    }
}

fn turn(contents: Vec<Content>) -> Vec<EdgeMessage> {
    let end = EdgeMessage::SpeculativeEndpoint { turn: TURN, attempt: AttemptId(0) };
    std::iter::once(EdgeMessage::TurnStart(TURN)).chain(contents.into_iter().map(message)).chain([end]).collect()
}

#[test]
fn of_speech_alone() {
    let (expected, markers) = assembled(vec![Item::Audio { tokens: 31 }]);
    let contents = [13, 12, 6].map(|count| Content::Audio(sound(count))).to_vec();
    assert_eq!(rows(turn(contents), 0, &markers), expected);
}

#[test]
fn of_a_shown_picture_and_speech() {
    let (expected, markers) = assembled(vec![Item::Image { tokens: 6 }, Item::Audio { tokens: 10 }]);
    let contents = vec![Content::Unit(PictureId(0), SeenAs::Still), Content::Audio(sound(10))];
    assert_eq!(rows(turn(contents), 1, &markers), expected);
}

#[test]
fn of_a_turn_with_a_camera_whatever_comes_when() {
    // Two pictures seen in silence, then 31 embeddings and a unit for each of three seconds.
    let unit = |seconds: f64| VideoUnit { seconds, tokens: 6 };
    let units = vec![unit(0.0), unit(2.0), unit(4.1), unit(5.1), unit(6.1)];
    let strategy = Strategy::Sequential { chunk_ms: 1000, unit_ms: 1000 };
    let (expected, markers) = assembled(vec![Item::Interleaved { units, audio: 31, strategy }]);
    let dense = |i: u64| Some((PictureId(2 + i), SeenAs::Dense { tenths: 41 + 10 * i }));
    for (pieces, units_first) in [(vec![1; 31], true), (vec![31], false), (vec![7, 7, 7, 7, 3], true), (vec![20, 11], false)] {
        let mut order = TurnOrder::new(true);
        let mut contents =
            vec![Content::Unit(PictureId(0), SeenAs::Sparse { tenths: 0 }), Content::Unit(PictureId(1), SeenAs::Sparse { tenths: 20 })];
        if units_first {
            (0..3).for_each(|i| order.push_unit(dense(i)));
        }
        for count in pieces {
            order.push_audio(sound(count));
            contents.extend(order.take());
        }
        if !units_first {
            (0..2).for_each(|i| order.push_unit(dense(i)));
            contents.extend(order.take());
            order.push_unit(dense(2));
        }
        contents.extend(order.close());
        assert_eq!(rows(turn(contents), 5, &markers), expected);
    }
}
