//! Tokenizer files that are not this model's, and conversations that cannot be.

use std::path::{Path, PathBuf};

use caracal_cluster::tokenizer::{Tokenizer, TokenizerFileError};
use caracal_shared::limits::{ITEMS_MAX, ROWS_MAX, TEXT_BYTES_MAX};
use caracal_shared::prompt::{Item, ItemError, Message, PromptError, PromptOptions, Role, TurnFormat, VideoUnit, assemble};
use caracal_shared::tokenize::{Markers, Tokenize, TokenizeError};
use caracal_tests::golden::golden_root;
use serde_json::{Value, json};

fn standin_file() -> PathBuf {
    golden_root().join("prompt/standin_tokenizer.json")
}

/// The stand-in tokenizer after `change`, in a folder.
fn changed(change: impl FnOnce(&mut Value)) -> Result<Tokenizer, TokenizerFileError> {
    let mut json: Value = serde_json::from_str(&std::fs::read_to_string(standin_file()).unwrap()).unwrap();
    change(&mut json);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), json.to_string()).unwrap();
    Tokenizer::load(folder.path())
}

/// Gives the token `content` another name, wherever the file has it.
fn rename(json: &mut Value, content: &str, name: &str) {
    for token in json["added_tokens"].as_array_mut().unwrap() {
        if token["content"] == content {
            token["content"] = json!(name);
        }
    }
    let vocabulary = json["model"]["vocab"].as_object_mut().unwrap();
    let id = vocabulary.remove(content).unwrap();
    vocabulary.insert(name.into(), id);
}

#[test]
fn files_that_are_no_tokenizer() {
    let missing = Tokenizer::load(Path::new("/nowhere/tokenizer.json")).err().unwrap();
    assert!(matches!(missing, TokenizerFileError::Io { .. }) && missing.to_string().contains("/nowhere/tokenizer.json"), "{missing}");
    let folder = tempfile::tempdir().unwrap();
    for text in ["", "{}", "[1, 2]", "no json", "{\"model\": {\"type\": \"BPE\"}}"] {
        std::fs::write(folder.path().join("tokenizer.json"), text).unwrap();
        let error = Tokenizer::load(folder.path()).err().unwrap();
        assert!(matches!(error, TokenizerFileError::Damaged { .. }) && error.to_string().contains("tokenizer.json"), "{text:?}: {error}");
    }
}

#[test]
fn tokenizers_of_other_models() {
    let renamed = changed(|json| rename(json, "<mask_113>", "<other>")).unwrap();
    let error = Markers::resolve(&renamed).unwrap_err();
    assert_eq!(error, TokenizeError::Missing { token: "<mask_113>".into(), stands_for: "</pause>".into() });

    let shifted = changed(|json| {
        rename(json, "<mask_113>", "<spare>");
        rename(json, "<mask_120>", "<mask_113>");
    });
    let error = Markers::resolve(&shifted.unwrap()).unwrap_err();
    assert_eq!(error, TokenizeError::WrongId { token: "</pause>".into(), found: 144, expected: 137 });

    let end = changed(|json| {
        rename(json, "</longcat_s>", "<spare>");
        rename(json, "<mask_120>", "</longcat_s>");
    });
    let error = Markers::resolve(&end.unwrap()).unwrap_err();
    assert_eq!(error, TokenizeError::WrongId { token: "</longcat_s>".into(), found: 144, expected: 2 });

    let split = changed(|json| json["added_tokens"].as_array_mut().unwrap().retain(|token| token["content"] != "<mask_110>"));
    let error = Markers::resolve(&split.unwrap()).unwrap_err();
    assert!(matches!(&error, TokenizeError::NotWhole { token, expected: 134, .. } if token == "<|audio|>"), "{error}");
}

#[test]
fn pads_that_do_not_stay_whole() {
    let tokenizer = changed(|json| {
        let mut joined = json["added_tokens"][0].clone();
        joined["content"] = json!("<mask_118><mask_118>");
        joined["id"] = json!(json["model"]["vocab"].as_object().unwrap().len());
        json["added_tokens"].as_array_mut().unwrap().push(joined);
    });
    let tokenizer = tokenizer.unwrap();
    let markers = Markers::resolve(&tokenizer).unwrap();
    let units = vec![VideoUnit { seconds: 0.0, tokens: 4 }; 2];
    let options = PromptOptions { timestamps: false, ..PromptOptions::default() };
    let refused = assemble(&tokenizer, &markers, &[Message { role: Role::User, items: vec![Item::Video(units)] }], &options);
    let Err(PromptError::Item { source: ItemError::Tokenize(TokenizeError::Failed(why)), .. }) = refused else { panic!("{refused:?}") };
    assert!(why.contains("do not stay whole"), "{why}");
}

#[test]
fn a_file_cannot_cut_or_fill_up_a_prompt() {
    let plain = Tokenizer::load(&standin_file()).unwrap();
    let padding = json!({"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 3, "pad_type_id": 0, "pad_token": "<longcat_pad>"});
    let truncation = json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
    let asking = changed(|json| {
        json["padding"] = padding;
        json["truncation"] = truncation;
    });
    let text = "What can you see in the image?";
    assert_eq!(asking.unwrap().encode(text), plain.encode(text));
}

#[test]
fn ids_and_texts_out_of_range() {
    let tokenizer = Tokenizer::load(&standin_file()).unwrap();
    let vocabulary = tokenizer.vocabulary();
    assert_eq!(tokenizer.decode(&[300, vocabulary as u32]), Err(TokenizeError::UnknownId { id: vocabulary as u32, vocabulary }));
    assert_eq!(tokenizer.decode(&[u32::MAX]), Err(TokenizeError::UnknownId { id: u32::MAX, vocabulary }));
    let long = "a".repeat(TEXT_BYTES_MAX + 1);
    assert_eq!(tokenizer.encode(&long), Err(TokenizeError::TooLong { bytes: TEXT_BYTES_MAX + 1, limit: TEXT_BYTES_MAX }));
}

#[test]
fn conversations_that_cannot_be() {
    let tokenizer = Tokenizer::load(&standin_file()).unwrap();
    let markers = Markers::resolve(&tokenizer).unwrap();
    let options = PromptOptions::default();
    let one = |item: Item| assemble(&tokenizer, &markers, &[Message { role: Role::User, items: vec![item] }], &options);

    let many = one(Item::Audio { tokens: u32::MAX }).unwrap_err();
    assert!(matches!(many, PromptError::TooManyRows { message: 0, limit: ROWS_MAX, .. }), "{many}");
    let many = one(Item::Video(vec![VideoUnit { seconds: 0.0, tokens: u32::MAX }; 3])).unwrap_err();
    assert!(matches!(many, PromptError::TooManyRows { .. }), "{many}");
    for seconds in [f64::NAN, f64::INFINITY, -1.0] {
        let time = one(Item::Video(vec![VideoUnit { seconds, tokens: 4 }])).unwrap_err();
        assert!(matches!(time, PromptError::Item { source: ItemError::Time { .. }, .. }), "{time}");
    }
    let turns = vec![Message { role: Role::User, items: vec![] }; ITEMS_MAX + 1];
    assert_eq!(assemble(&tokenizer, &markers, &turns, &options), Err(PromptError::TooManyItems { limit: ITEMS_MAX }));
    let marked = PromptOptions { format: TurnFormat::Markers, ..options };
    let tool = [Message { role: Role::Tool, items: vec![] }];
    assert_eq!(assemble(&tokenizer, &markers, &tool, &marked), Err(PromptError::RoleWithoutMarker { message: 0, role: Role::Tool }));

    let prompt = one(Item::Audio { tokens: 100 }).unwrap();
    let rows = prompt.rows.len();
    assert_eq!(prompt.check_context(28, rows + 28), Ok(()));
    assert_eq!(prompt.check_context(29, rows + 28), Err(PromptError::ContextExceeded { rows, reply: 29, context: rows + 28 }));
    assert!(prompt.check_context(usize::MAX, usize::MAX).is_err(), "no overflow");
}
