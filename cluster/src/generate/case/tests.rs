//! The published example conversations are read; everything else is refused by place.

use caracal_edge::vision::InterleavedOptions;

use super::*;

fn parse(text: &str) -> Result<Case, String> {
    Case::parse(Path::new("folder/a case.json"), text).map_err(|e| e.to_string())
}

fn item(json: &str) -> Result<CaseItem, String> {
    parse(&format!(r#"[{{"role": "user", "content": [{json}]}}]"#)).map(|mut case| case.messages.remove(0).content.remove(0))
}

#[test]
fn every_item_type_is_read() {
    assert_eq!(item(r#"{"type": "text", "text": "Hi"}"#).unwrap(), CaseItem::Text("Hi".into()));
    assert_eq!(item(r#"{"type": "audio", "audio": "q.wav"}"#).unwrap(), CaseItem::Audio(vec!["folder/q.wav".into()]));
    assert_eq!(
        item(r#"{"type": "audio", "audio": ["a.wav", "/b.wav"]}"#).unwrap(),
        CaseItem::Audio(vec!["folder/a.wav".into(), "/b.wav".into()])
    );
    assert_eq!(item(r#"{"type": "image", "image": "p.png", "meta": {}}"#).unwrap(), CaseItem::Image("folder/p.png".into()));
    let published = r#"{"type": "video", "video": "v.mp4", "meta": {"read_image_fps": 1, "bound": [2.0, 5.0], "frame_sample_strategy": null,
        "average_sample_num_frame_per_video": 8, "sequential_sample_num_frame_per_sec": 1, "sequential_max_num_sample_frame": 32}}"#;
    let meta = VideoOptions { bound: Some([2.0, 5.0]), ..VideoOptions::default() };
    assert_eq!(item(published).unwrap(), CaseItem::Video { video: "folder/v.mp4".into(), meta });
    let published = r#"{"type": "multimodal_interleaved", "multimodal_interleaved": {"video": "v.mp4", "audio": "q.wav"},
        "meta": {"frame_sample_strategy": "sequential", "average_sample_num_frame_per_video": 8, "sequential_sample_num_frame_per_sec": 1,
        "use_audio_track": false, "time_offset": 0.0, "video_frame_pre_resize": false, "video_max_resolution": 720,
        "sequential_max_num_sample_frame": -1, "bound": null}}"#;
    let meta = InterleavedMeta { sampling: InterleavedOptions::default(), average: false, use_audio_track: false };
    assert_eq!(item(published).unwrap(), CaseItem::Interleaved { video: "folder/v.mp4".into(), audio: vec!["folder/q.wav".into()], meta });
    let spoken =
        r#"{"type": "audio_codec", "audio_codec": "a</pause>b", "meta": {"codec_ids": [[[0, 1, 2, 3]], [[4, 5, 6, 7], [8, 9, 10, 11]]]}}"#;
    let segments = vec![vec![[0, 1, 2, 3]], vec![[4, 5, 6, 7], [8, 9, 10, 11]]];
    assert_eq!(item(spoken).unwrap(), CaseItem::AudioCodec { text: "a</pause>b".into(), segments });
}

#[test]
fn the_name_is_the_file_name() {
    let case = parse(r#"[{"role": "system", "content": [{"type": "text", "text": ""}]}]"#).unwrap();
    assert_eq!((case.name.as_str(), case.messages[0].role.as_str()), ("a case", "system"));
}

#[test]
fn departures_are_named_by_place() {
    let video = |meta: &str| format!(r#"{{"type": "video", "video": "v", "meta": {meta}}}"#);
    let both = |meta: &str| format!(r#"{{"type": "multimodal_interleaved", "multimodal_interleaved": {{"video": "v"}}, "meta": {meta}}}"#);
    for (json, named) in [
        (r#"{"type": "smell", "smell": "x"}"#.to_string(), ["item 0, field type", "unknown item type `smell`"]),
        (r#"{"type": "text"}"#.into(), ["item 0, field text", "missing"]),
        (r#"{"type": "text", "text": 5}"#.into(), ["item 0, field text", "found 5, expected text"]),
        (r#"{"type": "text", "text": "a", "txet": "b"}"#.into(), ["item 0, field txet", "unknown key"]),
        (r#"{"type": "audio", "audio": []}"#.into(), ["item 0, field audio", "path"]),
        (r#""Hi""#.into(), ["item 0", "expected an object"]),
        (r#"{"type": "image", "image": "p", "meta": 3}"#.into(), ["item 0, field meta", "expected an object"]),
        (video(r#"{"bound": [5, 2]}"#), ["item 0, field meta.bound", "start < end"]),
        (video(r#"{"bound": [5]}"#), ["item 0, field meta.bound", "start < end"]),
        (video(r#"{"frame_indices": [1]}"#), ["item 0, field meta.frame_indices", "bound"]),
        (video(r#"{"first_idx": -1}"#), ["item 0, field meta.first_idx", "at least 0"]),
        (video(r#"{"tempo": 2}"#), ["item 0, field meta.tempo", "unknown key"]),
        (both(r#"{"frame_sample_strategy": "random"}"#), ["field meta.frame_sample_strategy", "\"sequential\" or \"average\""]),
        (both(r#"{"sequential_sample_num_frame_per_sec": 0}"#), ["field meta.sequential_sample_num_frame_per_sec", "expected more"]),
        (both(r#"{"video_frame_pre_resize": true}"#), ["field meta.video_frame_pre_resize", "false"]),
        (
            r#"{"type": "multimodal_interleaved", "multimodal_interleaved": {"vidoe": "v"}}"#.into(),
            ["field multimodal_interleaved.video", "missing"],
        ),
        (
            r#"{"type": "audio_codec", "audio_codec": "a", "meta": {"codec_ids": [[[1, 2, 3]]]}}"#.into(),
            ["field meta.codec_ids", "segment"],
        ),
        (
            r#"{"type": "audio_codec", "audio_codec": "a", "meta": {"codec_ids": [[[1, 2, 3, -4]]]}}"#.into(),
            ["field meta.codec_ids", "segment"],
        ),
    ] {
        let error = item(&json).expect_err(&json);
        assert!(error.starts_with("folder/a case.json: message 0") && named.iter().all(|n| error.contains(n)), "{json}: {error}");
    }
    for (json, named) in [
        ("", "not JSON"),
        ("{}", "list of messages"),
        ("[]", "at least one"),
        (r#"[{"role": "user"}]"#, "message 0, field content"),
        (r#"[{"role": "user", "content": "Hi"}]"#, "list of items"),
        (r#"[{"role": "user", "content": []}]"#, "empty"),
        (r#"[{"content": []}]"#, "field role"),
    ] {
        let error = parse(json).expect_err(json);
        assert!(error.contains(named), "{json}: {error}");
    }
}
