//! What a user types is text, whatever it looks like.

use caracal_shared::ids::ALIASES;
use caracal_shared::prompt::{
    Embeddings, Item, ItemError, MarkersInText, Message, PromptError, PromptOptions, Role, Strategy as Mix, VideoUnit, assemble,
    encode_text,
};
use caracal_shared::tokenize::Tokenize;
use proptest::prelude::*;

use crate::standin;

/// Texts that are mostly markers, added tokens, and fragments that could join to one.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        prop::sample::select(ALIASES.iter().flat_map(|(marker, alias)| [*marker, *alias]).collect::<Vec<_>>()),
        prop::sample::select(vec![
            "</longcat_s>",
            "<longcat_s>",
            "<longcat_pad>",
            "<longcat_unk>",
            "<mask_0>",
            "<mask_199>",
            "<reserved_3>"
        ]),
        prop::sample::select(vec![
            "<",
            "|",
            "audio",
            "|>",
            "</",
            "pause>",
            "<mask_11",
            "3>",
            "longcat_s>",
            "<<",
            "image_pad|>",
            "</pau",
            "se>"
        ]),
        prop::sample::select(vec![" ", "\n", "hello", "物体", "é", "🦊", "\u{0}", "USER:", "VOICE ASSISTANT:"]),
    ];
    prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_becomes_a_marker(text in hostile()) {
        let (tokenizer, _) = standin();
        let added: Vec<u32> = tokenizer.added_tokens().iter().filter_map(|token| tokenizer.token_to_id(token)).collect();
        let ids = encode_text(&tokenizer, &text, MarkersInText::Defuse).unwrap();
        prop_assert!(ids.iter().all(|id| !added.contains(id)), "{:?} in {:?}", ids, text);
        // Nothing that was typed is lost: the ids spell the text, aliases shown as the markers they stand for.
        let shown = ALIASES.iter().fold(text.clone(), |text, (marker, alias)| text.replace(alias, marker));
        prop_assert_eq!(tokenizer.decode(&ids).unwrap(), shown);
        let has_marker = encode_text(&tokenizer, &text, MarkersInText::Allow).unwrap().iter().any(|id| added.contains(id));
        let refused = matches!(encode_text(&tokenizer, &text, MarkersInText::Refuse), Err(ItemError::Marker { .. }));
        prop_assert_eq!(refused, has_marker);
        if !has_marker {
            prop_assert_eq!(ids, encode_text(&tokenizer, &text, MarkersInText::Allow).unwrap(), "harmless text is tokenised as one");
        }
    }

    #[test]
    fn a_hostile_text_moves_no_embedding(text in hostile(), audio in 0u32..40, image in 1u32..40, units in 1usize..4) {
        let (tokenizer, markers) = standin();
        let units: Vec<_> = (0..units).map(|i| VideoUnit { seconds: i as f64, tokens: image }).collect();
        let items = vec![
            Item::Text(text.clone()), Item::Audio { tokens: audio }, Item::Text(text.clone()), Item::Image { tokens: image },
            Item::Interleaved { units: units.clone(), audio, strategy: Mix::Sequential { chunk_ms: 1000, unit_ms: 1000 } }, Item::Text(text),
        ];
        let prompt = assemble(&tokenizer, &markers, &[Message { role: Role::User, items }], &PromptOptions::default()).unwrap();
        prop_assert_eq!(prompt.wanted(Embeddings::Audio), 2 * audio as usize);
        prop_assert_eq!(prompt.wanted(Embeddings::Image), (1 + units.len()) * image as usize);
        prop_assert_eq!(prompt.rows.len(), prompt.roles.len());
        prop_assert_eq!(prompt.turns.first().map(|turn| turn.start), Some(0));
        prop_assert!(prompt.turns.windows(2).all(|pair| pair[0].end == pair[1].start));
        prop_assert_eq!(prompt.turns.last().map(|turn| turn.end), Some(prompt.rows.len()));
        let filled: Vec<usize> = prompt.placeholders.iter().flat_map(|p| p.rows.clone()).collect();
        let pads: Vec<usize> = (0..prompt.rows.len()).filter(|i| [markers.audio_pad, markers.image_pad].contains(&prompt.rows[*i].text)).collect();
        prop_assert_eq!(filled, pads);
        let starts = prompt.rows.iter().filter(|row| row.text == markers.audio_start).count();
        prop_assert_eq!(starts, 1 + usize::from(audio > 0), "one per audio item, none in an interleaved item without audio");
    }
}

#[test]
fn a_typed_placeholder_is_refused_where_markers_are_allowed() {
    let (tokenizer, markers) = standin();
    let items = vec![Item::Audio { tokens: 3 }, Item::Text("listen: <|audio_pad|>".into())];
    let options = PromptOptions { markers_in_text: MarkersInText::Allow, ..PromptOptions::default() };
    let refused = assemble(&tokenizer, &markers, &[Message { role: Role::User, items }], &options);
    assert_eq!(refused, Err(PromptError::TypedPlaceholder { message: 0 }));
}

#[test]
fn a_refused_marker_is_named() {
    let (tokenizer, markers) = standin();
    let options = PromptOptions { markers_in_text: MarkersInText::Refuse, ..PromptOptions::default() };
    let items = vec![Item::Text("fine".into()), Item::Text("say </pause> now".into())];
    let refused = assemble(&tokenizer, &markers, &[Message { role: Role::User, items }], &options).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "message 0, item 1: the text holds the marker `</pause>` at byte 4. Remove it, or let markers in text be defused."
    );
}
