//! What the items of a conversation become before any network runs, and what is refused.

use std::path::Path;

use super::{SPOKEN, demo_file, made, model, prompt_rows, run_text, user};

const NOTHING: &str = r#"{"type": "text", "text": ""}"#;

fn error(model: &Path, conversation: &str) -> String {
    run_text(model, conversation, &SPOKEN).expect_err(conversation).to_string()
}

fn path(name: &str) -> String {
    serde_json::to_string(&demo_file(name)).unwrap()
}

#[test]
fn media_that_cannot_be_used_are_named_by_item() {
    let folder = model();
    let other = tempfile::tempdir().unwrap();
    let text = other.path().join("text.wav");
    std::fs::write(&text, "no sound").unwrap();
    let text = serde_json::to_string(&text).unwrap();
    let (clip, picture) = (path("ball.mp4"), path("shapes.png"));
    let says_hi = r#"{"type": "text", "text": "Hi"}"#;
    for (items, named) in [
        (format!(r#"{says_hi}, {{"type": "audio", "audio": "nothing.wav"}}"#), ["message 0, item 1", "nothing.wav", "cannot be read"]),
        (format!(r#"{{"type": "audio", "audio": {text}}}"#), ["message 0, item 0", "text.wav", "no usable WAV"]),
        (format!(r#"{{"type": "image", "image": {text}}}"#), ["message 0, item 0", "text.wav", "not a usable picture"]),
        (format!(r#"{{"type": "video", "video": {text}}}"#), ["message 0, item 0", "text.wav", "not a usable video file"]),
        (format!(r#"{{"type": "video", "video": {picture}}}"#), ["message 0, item 0", "shapes.png", "1 frames"]),
        (format!(r#"{{"type": "video", "video": {clip}, "meta": {{"bound": [8, 9]}}}}"#), ["message 0, item 0", "ball.mp4", "75 frames"]),
        (
            format!(
                r#"{{"type": "multimodal_interleaved", "multimodal_interleaved": {{"video": {clip}}}, "meta": {{"sequential_sample_num_frame_per_sec": 0.5}}}}"#
            ),
            ["message 0, item 0", "1000 ms", "2000 ms"],
        ),
    ] {
        let error = error(folder.path(), &user(&items));
        assert!(named.iter().all(|n| error.contains(n)), "{items}: {error}");
    }
    let from_assistant = format!(
        r#"[{{"role": "user", "content": [{says_hi}]}}, {{"role": "assistant", "content": [{{"type": "image", "image": {picture}}}]}}]"#
    );
    let error_text = error(folder.path(), &from_assistant);
    assert!(error_text.contains("message 1, item 0") && error_text.contains("`user` only"), "{error_text}");
    let nobody = r#"[{"role": "cat", "content": [{"type": "text", "text": "Miau"}]}]"#;
    assert!(error(folder.path(), nobody).contains("message 0, field role: unknown role `cat`"));
}

/// Sound beyond what one item may have is left out, and the user is told.
#[test]
fn long_sound_is_cut_and_told() {
    let folder = model();
    let other = tempfile::tempdir().unwrap();
    let long = made(other.path(), "long.wav", &["-f", "lavfi", "-i", "sine=r=16000:d=121"]);
    let outcome = run_text(folder.path(), &user(&format!(r#"{{"type": "audio", "audio": {long}}}"#)), &SPOKEN).unwrap();
    assert!(outcome.notices.iter().any(|n| n.contains("long.wav") && n.contains("120 s")), "{:?}", outcome.notices);
    let empty = run_text(folder.path(), &user(NOTHING), &SPOKEN).unwrap().prompt_rows;
    assert_eq!(outcome.prompt_rows, empty + 1500 + 2, "120 s are 1500 embeddings between two markers");
}

/// A list of files is one item: as long as both together, one pair of markers.
#[test]
fn sound_files_are_joined() {
    let folder = model();
    let rows = |json: &str| prompt_rows(folder.path(), &format!(r#"{{"type": "audio", "audio": {json}}}"#));
    let (short, long) = (path("question_short.wav"), path("question.wav"));
    // 2.5 s are 31 embeddings, 5.15 s are 65; together 7.65 s, 96.
    assert_eq!(rows(&format!("[{short}, {long}]")), rows(&short) + 96 - 31);
    assert_eq!(rows(&long), rows(&short) + 65 - 31);
}

/// Sound that is too short for one embedding leaves its two markers.
#[test]
fn a_click_is_an_empty_audio_item() {
    let folder = model();
    let other = tempfile::tempdir().unwrap();
    let click = made(other.path(), "click.wav", &["-f", "lavfi", "-i", "sine=r=16000:d=0.02"]);
    let heard = prompt_rows(folder.path(), &format!(r#"{{"type": "audio", "audio": {click}}}"#));
    assert_eq!(heard, prompt_rows(folder.path(), NOTHING) + 2);
}

/// Every picture of a conversation counts for the compression of all.
#[test]
fn pooling_is_global() {
    let folder = model();
    let other = tempfile::tempdir().unwrap();
    let config = folder.path().join("vision/config.json");
    let limited = std::fs::read_to_string(&config).unwrap().replace(r#""max_tokens_video": 8192"#, r#""max_tokens_video": 800"#);
    assert!(limited.contains("800"), "the small model's config has a limit to change");
    std::fs::write(&config, limited).unwrap();
    let still = made(other.path(), "still.png", &["-f", "lavfi", "-i", "testsrc=s=448x448", "-frames:v", "1"]);
    let still = format!(r#"{{"type": "image", "image": {still}}}"#);
    let empty = prompt_rows(folder.path(), NOTHING);
    let one = prompt_rows(folder.path(), &still) - empty;
    let two = prompt_rows(folder.path(), &format!("{still}, {still}")) - empty;
    // 32 x 32 patches are 512 tokens, and a newline; two such pictures are more than 800.
    assert_eq!(one, 512 + 1);
    assert!(two > 2 * 64 && two <= 800 + 2 && two.is_multiple_of(2), "{two}");
}

/// Spoken history goes in as codes; its codes must be the codec's.
#[test]
fn spoken_history_is_read() {
    let folder = model();
    let spoken = |text: &str, codes: &str| {
        format!(
            r#"[{{"role": "user", "content": [{{"type": "text", "text": "Hello"}}]}},
                {{"role": "voice assistant", "content": [{{"type": "audio_codec", "audio_codec": "{text}", "meta": {{"codec_ids": {codes}}}}}]}},
                {{"role": "user", "content": [{{"type": "text", "text": "fine"}}]}}]"#
        )
    };
    let frames = |first: u32| (0..20).map(|k| format!("[{}, {k}, {k}, {k}]", first + k)).collect::<Vec<_>>().join(", ");
    let history = |first: u32| spoken("I am fine.", &format!("[[{}]]", frames(first)));
    let (a, b) = (run_text(folder.path(), &history(0), &SPOKEN).unwrap(), run_text(folder.path(), &history(100), &SPOKEN).unwrap());
    assert_eq!(a.prompt_rows, b.prompt_rows);
    assert_ne!(a.reply, b.reply, "the codes are heard");
    let long = spoken("I am fine and this text is longer than its audio", "[[[0, 1, 2, 3]]]");
    let error_text = error(folder.path(), &long);
    assert!(error_text.contains("message 1, item 0") && error_text.contains("only 2 rows"), "{error_text}");
    let foreign = spoken("I", "[[[0, 1, 2, 3], [9000, 1, 2, 3], [0, 0, 0, 0]]]");
    let error_text = error(folder.path(), &foreign);
    assert!(error_text.contains("9032") && error_text.contains("codebook 0"), "{error_text}");
}
