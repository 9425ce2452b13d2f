//! Spoken history and generated steps have one shape: what was spoken can be read back.

use caracal_shared::ids::{CODE_END, CODE_OFFSET, CODE_PAD, TEXT_PAD};
use caracal_shared::post_process::{CodecCodes, RemoveOffset, codec_frames, reply_text};
use caracal_shared::prompt::{Item, ItemError, MarkersInText, Message, PromptError, PromptOptions, Role, Speaker, assemble, spoken_rows};
use caracal_shared::reply::{NextInput, ReplyIds, ReplyMachine};
use caracal_shared::tokenize::Tokenize;
use caracal_shared::truncate::{close_after, close_finished};
use proptest::prelude::*;

use crate::standin;

const CODES: [u32; 4] = [8192, 8100, 8100, 8100];

fn segments() -> impl Strategy<Value = Vec<(String, Vec<CodecCodes>)>> {
    let frame = [0..CODES[0], 0..CODES[1], 0..CODES[2], 0..CODES[3]];
    let segment = ("[a-z ,.?]{0,12}", prop::collection::vec(frame, 16..40));
    prop::collection::vec(segment, 1..5)
}

proptest! {
    #[test]
    fn frames_and_text_come_back(segments in segments()) {
        let (tokenizer, markers) = standin();
        let text = segments.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join("</pause>");
        let frames: Vec<Vec<CodecCodes>> = segments.iter().map(|(_, frames)| frames.clone()).collect();
        let rows = spoken_rows(&tokenizer, &markers, &text, &frames, Speaker::Model, MarkersInText::Defuse).unwrap();
        prop_assert_eq!(rows.len(), frames.iter().map(|f| f.len() + 1).sum::<usize>());
        // A history row is a step of a reply: reading it as one gives the frames again.
        let steps: Vec<[Option<u32>; 4]> = rows.iter().map(|row| row.codes.map(|id| (id != CODE_PAD).then_some(id))).collect();
        let mut offset = RemoveOffset::new(CODES);
        let read: Vec<_> = codec_frames(&steps).into_iter().filter_map(|frame| offset.step(frame)).collect();
        prop_assert_eq!(read, frames.concat());
        prop_assert_eq!(rows.iter().filter(|row| row.codes[0] == CODE_END).count(), frames.len());
        let ids: Vec<u32> = rows.iter().map(|row| row.text).filter(|id| *id != TEXT_PAD).collect();
        prop_assert_eq!(ids.iter().filter(|id| **id == markers.end).count(), 1);
        prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text.clone() + "</longcat_s>");
        let spoken = text.replace(".</pause>", ". ").replace("</pause>", "");
        prop_assert_eq!(reply_text(&tokenizer, ids.into_iter().map(Some)).unwrap(), spoken.trim());
        let heard = spoken_rows(&tokenizer, &markers, &text, &frames, Speaker::User, MarkersInText::Defuse).unwrap();
        prop_assert!(heard.iter().all(|row| row.text == TEXT_PAD));
        prop_assert_eq!(heard.iter().map(|r| r.codes).collect::<Vec<_>>(), rows.iter().map(|r| r.codes).collect::<Vec<_>>());
    }

    /// A reply that the machine followed to its end, closed, has exactly the rows that its frames give as history.
    #[test]
    fn a_finished_reply_has_the_shape_of_history(text in prop::collection::vec(300u32..400, 1..6), frames in prop::collection::vec(
        [40..8000u32, 40..8000, 40..8000, 40..8000], 8..20)) {
        let (_, markers) = standin();
        let mut machine = ReplyMachine::new(ReplyIds { pause: markers.pause, end: markers.end, semantic_end: CODE_END });
        let mut fed: Vec<NextInput> = Vec::new();
        let mut acoustic = [9; 3];
        let texts = text.iter().copied().chain([markers.end]).chain(std::iter::repeat(7));
        let semantics = frames.iter().map(|f| f[0]).chain([CODE_END]);
        for (k, (text, semantic)) in texts.zip(semantics).enumerate() {
            fed.push(machine.step(text, [semantic, acoustic[0], acoustic[1], acoustic[2]]).next);
            if let Some(frame) = frames.get(k) {
                acoustic = [frame[1], frame[2], frame[3]];
            }
        }
        prop_assert!(machine.stage() == caracal_shared::reply::ReplyStage::Finished);
        let last = fed.pop().unwrap();
        let closing = close_finished(&last, fed.len());
        prop_assert_eq!(closing.keep_rows, fed.len());
        let row = |input: &NextInput| (input.text.unwrap_or(TEXT_PAD), input.codes.map(|id| id.unwrap_or(CODE_PAD)));
        let rows: Vec<_> = fed.iter().map(row).chain(closing.feed.iter().map(|row| (row.text, row.codes))).collect();
        let raw: Vec<CodecCodes> = frames.iter().map(|f| f.map(|id| id - CODE_OFFSET)).collect();
        let expected = caracal_shared::prompt::code_rows(&raw).unwrap();
        prop_assert_eq!(rows.iter().map(|(_, codes)| *codes).collect::<Vec<_>>(), expected);
        let ids: Vec<u32> = rows.iter().map(|(text, _)| *text).filter(|id| *id != TEXT_PAD).collect();
        prop_assert_eq!(ids, text.iter().copied().chain([markers.end]).collect::<Vec<_>>());
    }
}

/// A reply of one segment per list of text ids, six frames each: what every step fed.
fn reply(segments: &[&[u32]]) -> Vec<NextInput> {
    let (_, markers) = standin();
    let mut machine = ReplyMachine::new(ReplyIds { pause: markers.pause, end: markers.end, semantic_end: CODE_END });
    let mut fed = Vec::new();
    for (index, text) in segments.iter().enumerate() {
        let end = if index + 1 == segments.len() { markers.end } else { markers.pause };
        let texts = text.iter().copied().chain([end]).chain(std::iter::repeat(7)).take(7);
        for (step, text) in texts.enumerate() {
            let base = 100 * (index as u32 + 1) + 10 * step as u32;
            fed.push(machine.step(text, [if step == 6 { CODE_END } else { base }, base + 1, base + 2, base + 3]).next);
        }
    }
    fed
}

#[test]
fn a_reply_cut_at_punctuation_ends_there() {
    let (_, markers) = standin();
    let fed = reply(&[&[300, 235, 301]]);
    let closing = close_after(&fed, Some(1), &markers);
    assert_eq!(closing.keep_rows, 2);
    assert_eq!(closing.feed.iter().map(|row| (row.text, row.codes)).collect::<Vec<_>>(), [(markers.end, [CODE_END, 121, 122, 123])]);
}

#[test]
fn a_reply_cut_at_a_pause_ends_instead_of_pausing() {
    let (_, markers) = standin();
    let fed = reply(&[&[300], &[301]]);
    let closing = close_after(&fed, Some(1), &markers);
    assert_eq!(closing.keep_rows, 1, "the row with the pause is fed again as the end");
    assert_eq!(
        closing.feed.iter().map(|row| (row.text, row.codes)).collect::<Vec<_>>(),
        [(markers.end, [110, 111, 112, 113]), (TEXT_PAD, [CODE_END, 121, 122, 123])]
    );
}

#[test]
fn a_reply_cut_at_its_end_or_at_nothing() {
    let (_, markers) = standin();
    let fed = reply(&[&[300]]);
    let closing = close_after(&fed, Some(1), &markers);
    assert_eq!(closing.keep_rows, 2);
    assert_eq!(closing.feed.iter().map(|row| (row.text, row.codes)).collect::<Vec<_>>(), [(TEXT_PAD, [CODE_END, 121, 122, 123])]);
    let nothing = close_after(&fed, None, &markers);
    assert_eq!((nothing.keep_rows, nothing.feed[0].text, nothing.feed[0].codes), (0, markers.end, [CODE_END, 3, 3, 3]));
    let last = close_after(&fed[..2], Some(1), &markers);
    assert_eq!(last.feed[0].codes, [CODE_END, 3, 3, 3], "no step after the last kept one");
}

#[test]
fn ids_that_no_code_stands_for_repeat_the_frame_before() {
    let mut offset = RemoveOffset::new(CODES);
    assert_eq!(offset.step([31, 40, 40, 40]), None, "nothing before the first frame");
    assert_eq!(offset.step([40, 41, 42, 43]), Some([8, 9, 10, 11]));
    assert_eq!(offset.step([50, 8132, 3, 8131]), Some([18, 9, 10, 8099]));
    assert_eq!(offset.step([8224, 40, 40, u32::MAX]), Some([18, 8, 8, 8099]));
}

#[test]
fn wrong_history_is_named() {
    let (tokenizer, markers) = standin();
    let frames = vec![[1, 2, 3, 4]; 3];
    let turn = |role, text: &str, segments: Vec<Vec<CodecCodes>>| {
        let message = Message { role, items: vec![Item::Text(String::new()), Item::Spoken { text: text.into(), segments }] };
        match assemble(&tokenizer, &markers, &[message], &PromptOptions::default()) {
            Err(PromptError::Item { message: 0, item: 1, source }) => source,
            other => panic!("not refused: {other:?}"),
        }
    };
    assert_eq!(turn(Role::VoiceAssistant, "a</pause>b", vec![frames.clone()]), ItemError::Segments { texts: 2, audio: 1 });
    assert!(matches!(
        turn(Role::VoiceAssistant, "a text longer than its sound", vec![frames.clone()]),
        ItemError::TextLongerThanAudio { rows: 4, .. }
    ));
    assert_eq!(turn(Role::VoiceAssistant, "a", vec![vec![[1, u32::MAX, 3, 4]; 3]]), ItemError::CodeTooLarge { index: u32::MAX });
    assert_eq!(turn(Role::System, "a", vec![frames]), ItemError::CannotSpeak { role: Role::System });
}
