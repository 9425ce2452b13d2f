//! Goldens of prompt.

use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;
use caracal_cluster::tokenizer::Tokenizer;
use caracal_shared::ids::{BREAK_MARKS, NO_CODES};
use caracal_shared::machine::{Machine, Micros};
use caracal_shared::post_process::{clean_text, codec_frames, reply_text};
use caracal_shared::prompt::{
    ChunkRhythm, Embeddings, Item, MarkersInText, Message, Prompt, PromptOptions, Role, Speaker, Strategy, TurnFormat, VideoUnit, assemble,
    code_rows, spoken_rows,
};
use caracal_shared::rates::{SECOND_MS, audio_embeddings};
use caracal_shared::reply::{ReplyIds, ReplyMachine, ReplyStage, ReplyStep};
use caracal_shared::tokenize::{Markers, Tokenize, TokenizeError};
use caracal_shared::truncate::{break_marks, keep_through};
use caracal_shared::turn::{Turn, TurnInput, TurnOutput, TurnState, TurnTiming};
use serde_json::{Value, json};

use super::{Entry, Golden, Report};

/// Checks of this family that need the prompt rules alone.
pub(super) const ENTRIES: &[Entry] = &[
    Entry { name: "prompt/template_cases", on_device: false, check: template_cases },
    Entry { name: "prompt/demo_cases", on_device: false, check: demo_cases },
    Entry { name: "prompt/decode_trace", on_device: false, check: decode_trace },
    Entry { name: "prompt/codec_post", on_device: false, check: codec_post },
    Entry { name: "prompt/streaming_trace", on_device: false, check: streaming_trace },
    Entry { name: "audio/token_layout", on_device: false, check: token_layout },
];

fn list<'a>(value: &'a Value, field: &str) -> Result<&'a Vec<Value>> {
    value[field].as_array().with_context(|| format!("`{field}` is no list: {}", value[field]))
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value[field].as_str().with_context(|| format!("`{field}` is no text: {}", value[field]))
}

fn id(value: &Value, field: &str) -> Result<u32> {
    value[field].as_u64().and_then(|v| u32::try_from(v).ok()).with_context(|| format!("`{field}` is no id: {}", value[field]))
}

/// Negative ids of the goldens say that there is none.
fn recorded(value: &Value) -> Result<Option<u32>> {
    let id = value.as_i64().with_context(|| format!("no id: {value}"))?;
    Ok(u32::try_from(id).ok())
}

fn recorded_codes(rows: &Value) -> Result<Vec<[Option<u32>; 4]>> {
    let rows = rows.as_array().context("rows")?.iter().map(|row| {
        let codes = row.as_array().context("row")?.iter().map(recorded).collect::<Result<Vec<_>>>()?;
        codes.try_into().map_err(|_| anyhow::anyhow!("a row has four codes: {row}"))
    });
    rows.collect()
}

fn standin(golden: &Golden) -> Result<(Tokenizer, Markers)> {
    let tokenizer = Tokenizer::load(&golden.folder.join("standin_tokenizer.json"))?;
    let markers = Markers::resolve(&tokenizer)?;
    Ok((tokenizer, markers))
}

/// Text of a range of rows as the goldens print it: runs of placeholders are collapsed to their count.
fn piece(tokenizer: &Tokenizer, prompt: &Prompt, rows: Range<usize>) -> Result<String> {
    let ids: Vec<u32> = prompt.rows[rows].iter().map(|row| row.text).collect();
    let mut text = tokenizer.decode(&ids)?;
    for (pad, name) in [("<|audio_pad|>", "audio"), ("<|image_pad|>", "image")] {
        while let Some(start) = text.find(pad) {
            let count = text.as_bytes()[start..].chunks(pad.len()).take_while(|chunk| *chunk == pad.as_bytes()).count();
            text.replace_range(start..start + count * pad.len(), &format!("<{name}-placeholder={count}>"));
        }
    }
    Ok(text)
}

fn run_lengths(ids: impl IntoIterator<Item = u32>) -> Vec<[u32; 2]> {
    ids.into_iter().fold(Vec::new(), |mut runs: Vec<[u32; 2]>, id| {
        match runs.last_mut() {
            Some([last, count]) if *last == id => *count += 1,
            _ => runs.push([id, 1]),
        }
        runs
    })
}

fn role(name: &str) -> Result<Role> {
    Ok(match name {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "voice assistant" => Role::VoiceAssistant,
        "tool" => Role::Tool,
        "function" => Role::Function,
        other => bail!("the golden has the unknown role `{other}`"),
    })
}

fn audio_tokens(item: &Value) -> Result<u32> {
    Ok(u32::try_from(audio_embeddings(item["samples"].as_u64().with_context(|| format!("no sample count: {item}"))?))?)
}

fn units(meta: &Value) -> Result<Vec<VideoUnit>> {
    let tokens: Vec<u32> = serde_json::from_value(meta["image_token_num"].clone())?;
    let unit = |(time, tokens): (&Value, u32)| {
        let seconds =
            time.as_str().and_then(|s| s.strip_prefix("second{")?.strip_suffix("}:")).with_context(|| format!("no time: {time}"))?;
        Ok(VideoUnit { seconds: seconds.parse()?, tokens })
    };
    list(meta, "frame_secs")?.iter().zip(tokens).map(unit).collect()
}

/// An item of the template goldens, which carry counts where a conversation carries files.
fn item(item: &Value, chunk_seconds: f64) -> Result<Item> {
    let meta = &item["meta"];
    Ok(match text(item, "type")? {
        "text" => Item::Text(text(item, "text")?.into()),
        "audio" => Item::Audio { tokens: audio_tokens(&item["audio"])? },
        "image" => Item::Image { tokens: serde_json::from_value::<Vec<u32>>(meta["image_token_num"].clone())?.into_iter().sum() },
        "video" => Item::Video(units(meta)?),
        "multimodal_interleaved" => Item::Interleaved {
            units: units(meta)?,
            audio: audio_tokens(&item["multimodal_interleaved"]["audio"])?,
            strategy: match text(meta, "frame_sample_strategy")? {
                "average" => Strategy::Average { parity: true },
                "sequential" => {
                    let per_second = meta["sequential_sample_num_frame_per_sec"].as_f64().context("units per second")?;
                    Strategy::Sequential { chunk_ms: milliseconds(chunk_seconds), unit_ms: milliseconds(1.0 / per_second) }
                }
                other => bail!("the golden has the unknown strategy `{other}`"),
            },
        },
        "audio_codec" => {
            Item::Spoken { text: text(item, "audio_codec")?.into(), segments: serde_json::from_value(meta["codec_ids"].clone())? }
        }
        other => bail!("the golden has the unknown item `{other}`"),
    })
}

fn milliseconds(seconds: f64) -> u32 {
    (seconds * f64::from(SECOND_MS)).round() as u32
}

fn options(case: &Value) -> PromptOptions {
    let given = &case["options"];
    let flag = |name: &str, otherwise: bool| given[name].as_bool().unwrap_or(otherwise);
    PromptOptions {
        voice_chat: flag("is_voice_chat", true),
        generation_prefix: flag("infer_insert_assistant", true),
        round_index: flag("add_round_idx", false),
        automatic_system: flag("auto_insert_system_prompt", false),
        timestamps: flag("has_sec_sep", true),
        spoken_as_text: flag("degenerate_to_textual_form", false),
        format: match (flag("use_text_instruction", true), flag("simplify_conversation_format", false)) {
            (true, _) => TurnFormat::Instructions,
            (false, true) => TurnFormat::Markers,
            (false, false) => TurnFormat::Begin,
        },
        markers_in_text: MarkersInText::Allow,
    }
}

fn template_cases(golden: &Golden, _: &Device) -> Result<Report> {
    let (tokenizer, markers) = standin(golden)?;
    let mut report = Report::default();
    special_ids(&mut report, golden, &tokenizer)?;
    for case in list(&golden.json, "cases")? {
        let name = text(case, "name")?;
        let chunk_seconds = case["options"]["omni_streaming_sequential_interval"].as_f64().unwrap_or(1.0);
        let messages = list(case, "messages")?.iter().map(|m| {
            Ok(Message {
                role: role(text(m, "role")?)?,
                items: list(m, "content")?.iter().map(|i| item(i, chunk_seconds)).collect::<Result<_>>()?,
            })
        });
        let prompt = assemble(&tokenizer, &markers, &messages.collect::<Result<Vec<_>>>()?, &options(case));
        if case["error"].is_string() {
            report.holds(format!("{name} is refused"), prompt.is_err(), "the published code refuses it");
            continue;
        }
        let prompt = prompt.with_context(|| format!("{name}: refused"))?;
        report.equal(format!("{name} ids"), &json!(prompt.rows.iter().map(|row| row.text).collect::<Vec<_>>()), &case["ids"]);
        let pieces = prompt.turns.iter().map(|turn| piece(&tokenizer, &prompt, turn.clone())).collect::<Result<Vec<_>>>()?;
        report.equal(format!("{name} pieces"), &json!(pieces), &case["pieces"]);
        let spoken = prompt.rows.iter().enumerate().filter(|(_, row)| row.codes != NO_CODES);
        let spoken: Vec<_> = spoken.map(|(i, row)| json!([i, row.codes[0], row.codes[1], row.codes[2], row.codes[3]])).collect();
        report.equal(format!("{name} codes"), &json!(spoken), &case["codec_nonpad"]);
        report.equal(format!("{name} roles"), &json!(run_lengths(prompt.roles.iter().map(|role| u32::from(*role)))), &case["role_ids_rle"]);
        report.equal(format!("{name} rows"), &json!([prompt.rows.len(), prompt.roles.len()]), &json!([case["length"], case["codec_rows"]]));
    }
    Ok(report)
}

fn special_ids(report: &mut Report, golden: &Golden, tokenizer: &Tokenizer) -> Result<()> {
    for (marker, id) in golden.field("/special_ids")?.as_object().context("special_ids")? {
        report.equal(format!("id of {marker}"), &json!(tokenizer.encode(marker)?), &json!([id]));
    }
    Ok(())
}

/// The six published conversations. Their media are not here, so counts and times come from the golden; what the prompt
/// rules make of them is checked.
fn demo_cases(golden: &Golden, _: &Device) -> Result<Report> {
    let (tokenizer, markers) = standin(golden)?;
    let mut report = Report::default();
    special_ids(&mut report, golden, &tokenizer)?;
    for case in list(&golden.json, "cases")? {
        let name = text(case, "case")?;
        let audio = u32::try_from(case["n_audio_pad"].as_u64().context("n_audio_pad")?)?;
        let images: Vec<u32> = serde_json::from_value::<Option<_>>(case["resized_image_token_nums"].clone())?.unwrap_or_default();
        let times: Vec<f64> = case["pieces"][0]
            .as_str()
            .context("piece")?
            .split("second{")
            .skip(1)
            .map(|rest| Ok(rest.split('}').next().context("time")?.parse()?))
            .collect::<Result<_>>()?;
        let units: Vec<_> = times.iter().zip(&images).map(|(seconds, tokens)| VideoUnit { seconds: *seconds, tokens: *tokens }).collect();
        let messages = list(case, "input")?.iter().map(|message| {
            let items = list(message, "content")?.iter().map(|item| {
                let meta = &item["meta"];
                Ok(match text(item, "type")? {
                    "text" => Item::Text(text(item, "text")?.into()),
                    "audio" => Item::Audio { tokens: audio },
                    "image" => Item::Image { tokens: images.iter().sum() },
                    "video" => Item::Video(units.clone()),
                    "multimodal_interleaved" => {
                        ensure!(text(meta, "frame_sample_strategy")? == "sequential", "{name}: a strategy that the check does not know");
                        let unit_ms = milliseconds(1.0 / meta["sequential_sample_num_frame_per_sec"].as_f64().context("units per second")?);
                        Item::Interleaved { units: units.clone(), audio, strategy: Strategy::Sequential { chunk_ms: SECOND_MS, unit_ms } }
                    }
                    other => bail!("the golden has the unknown item `{other}`"),
                })
            });
            Ok(Message { role: role(text(message, "role")?)?, items: items.collect::<Result<_>>()? })
        });
        let prompt = assemble(&tokenizer, &markers, &messages.collect::<Result<Vec<_>>>()?, &PromptOptions::default())?;
        let pieces = prompt.turns.iter().map(|turn| piece(&tokenizer, &prompt, turn.clone())).collect::<Result<Vec<_>>>()?;
        report.equal(format!("{name} pieces"), &json!(pieces), &case["pieces"]);
        report.equal(format!("{name} ids"), &json!(run_lengths(prompt.rows.iter().map(|row| row.text))), &case["ids_rle"]);
        report.equal(format!("{name} rows"), &json!(prompt.rows.len()), &case["length"]);
        report.equal(format!("{name} no codes"), &json!(prompt.rows.iter().all(|row| row.codes == NO_CODES)), &case["codec_all_pad"]);
        let wanted = json!([prompt.wanted(Embeddings::Image), prompt.wanted(Embeddings::Audio)]);
        report.equal(format!("{name} embeddings"), &wanted, &json!([case["n_image_pad"], case["n_audio_pad"]]));
        let runs: Vec<_> = prompt.placeholders.iter().filter(|p| p.embeddings == Embeddings::Image).map(|p| p.rows.len() as u32).collect();
        report.equal(format!("{name} embeddings per picture"), &runs, &images);
    }
    Ok(report)
}

fn stage_name(stage: ReplyStage) -> &'static str {
    match stage {
        ReplyStage::Text => "AT_ST0",
        ReplyStage::Audio => "AT_ST1",
        ReplyStage::Finished => "ABORT",
    }
}

fn decode_trace(golden: &Golden, _: &Device) -> Result<Report> {
    let ids = golden.field("/ids")?;
    let ids = ReplyIds { pause: id(ids, "pause")?, end: id(ids, "text_end")?, semantic_end: id(ids, "semantic_end")? };
    let mut report = Report::default();
    for case in list(&golden.json, "cases")? {
        let name = text(case, "name")?;
        let mut machine = ReplyMachine::new(ids);
        let (mut emitted, mut record_of_codes) = (Vec::new(), Vec::new());
        for (i, step) in list(case, "steps")?.iter().enumerate() {
            let codes: [u32; 4] = serde_json::from_value(step["sampled_audio"].clone())?;
            let ReplyStep { before, after, count, text, emitted_text_id, codes, next, finished } =
                machine.step(id(step, "sampled_text")?, codes);
            emitted.push(emitted_text_id);
            record_of_codes.push(codes);
            let got = json!([stage_name(before), stage_name(after), count, text, emitted_text_id, codes, next.text, next.codes, finished]);
            let record = list(step, "audio_record")?.iter().map(recorded).collect::<Result<Vec<_>>>()?;
            let want = json!([
                step["state_before"],
                step["state_after"],
                step["step_after"],
                recorded(&step["text_record"])?,
                step["emitted_text_id"],
                record,
                step["next_input_text"],
                step["next_input_audio"],
                step["finished"]
            ]);
            report.equal(format!("{name} step {i}"), &got, &want);
        }
        report.equal(format!("{name} text ids"), &json!(emitted), &case["text_ids_emitted"]);
        report.equal(format!("{name} frames"), &json!(codec_frames(&record_of_codes)), &case["frames_after_shift"]);
    }
    Ok(report)
}

fn codec_post(golden: &Golden, _: &Device) -> Result<Report> {
    let (tokenizer, _) = standin(golden)?;
    let mut report = Report::default();
    for (i, case) in list(&golden.json, "shift")?.iter().enumerate() {
        report.equal(format!("frames {i}"), &json!(codec_frames(&recorded_codes(&case["steps"])?)), &case["frames"]);
    }
    for case in list(&golden.json, "text")? {
        let raw = text(case, "raw")?;
        report.equal(format!("clean {raw:?}"), clean_text(raw).as_str(), text(case, "clean")?);
    }
    for (i, case) in list(&golden.json, "encode_shift")?.iter().enumerate() {
        let frames: Vec<[u32; 4]> = serde_json::from_value(case["frames"].clone())?;
        report.equal(format!("rows {i}"), &json!(code_rows(&frames)?), &case["rows"]);
    }
    for (i, case) in list(&golden.json, "ids")?.iter().enumerate() {
        let ids = list(case, "ids")?.iter().map(recorded).collect::<Result<Vec<_>>>()?;
        report.equal(format!("text {i}"), reply_text(&tokenizer, ids)?.as_str(), text(case, "text")?);
    }
    Ok(report)
}

fn micros(seconds: &Value) -> Result<Micros> {
    Ok(Micros((seconds.as_f64().context("seconds")? * 1e6).round() as u64))
}

fn state_name(state: TurnState) -> &'static str {
    match state {
        TurnState::Idle => "IDLE",
        TurnState::Listen { .. } => "LISTEN",
        TurnState::Hold { .. } => "HOLD",
        TurnState::Speculate { .. } => "SPEC",
        TurnState::Speak { .. } => "SPEAK",
    }
}

/// What the golden calls the steps of one output.
fn actions(output: TurnOutput) -> &'static [&'static str] {
    match output {
        TurnOutput::TurnStart(_) => &["OPEN_TURN"],
        TurnOutput::TurnCancel(_) => &["REMOVE_TURN"],
        TurnOutput::SpeculativeEndpoint(_) => &["SNAPSHOT", "CLOSE_INPUT", "START_DECODE_HELD"],
        TurnOutput::Resume(_) => &["STOP_DECODE", "DISCARD_HELD", "RESTORE_SNAPSHOT"],
        TurnOutput::Endpoint { speculated: true, .. } => &["DELIVER_HELD"],
        TurnOutput::Endpoint { speculated: false, .. } => &["CLOSE_INPUT", "START_DECODE"],
        TurnOutput::BargeIn(_) => &["STOP_DECODE", "STOP_AUDIO", "TRUNCATE", "CLOSE_REPLY"],
        TurnOutput::ReplyEnd(_) => &["CLOSE_REPLY"],
    }
}

fn streaming_trace(golden: &Golden, _: &Device) -> Result<Report> {
    let mut report = Report::default();
    for case in list(&golden.json, "switching")? {
        let name = text(case, "name")?;
        let timing =
            TurnTiming { speculate_after: micros(&case["params"]["spec_delay"])?, endpoint_after: micros(&case["params"]["silent_span"])? };
        let mut turn = Turn::new(timing);
        for step in list(case, "trace")? {
            let (at, event, before) = (micros(&step["t"])?, text(step, "event")?, state_name(turn.state()));
            let due = turn.deadline();
            let input = match (event, turn.state()) {
                ("t3" | "t4", _) => TurnInput::Tick,
                ("speech_on", _) => TurnInput::SpeechStart,
                ("speech_off", _) => TurnInput::SpeechStop,
                ("generation_done", TurnState::Speculate { attempt, .. } | TurnState::Speak { attempt, .. }) => {
                    TurnInput::ReplyGenerated(attempt)
                }
                ("audio_drained", TurnState::Speak { attempt, .. }) => TurnInput::Playback { attempt, empty: true },
                (event, state) => bail!("{name}: {event} while {state:?}"),
            };
            let ticks = matches!(input, TurnInput::Tick);
            report.equal(format!("{name} {event} is due"), &(due == Some(at)), &ticks);
            turn.handle(at, input);
            let done: Vec<_> = std::iter::from_fn(|| turn.poll()).flat_map(actions).collect();
            let want = json!([step["before"], step["after"], step["actions"]]);
            report.equal(format!("{name} {event} at {} s", step["t"]), &json!([before, state_name(turn.state()), done]), &want);
        }
    }
    let truncation = golden.field("/truncation")?;
    let marks: Vec<u32> = serde_json::from_value(truncation["mark_ids"].clone())?;
    report.equal("break marks", &marks[..], &BREAK_MARKS[..]);
    let (tokenizer, markers) = standin(golden)?;
    let found = break_marks(&tokenizer, &markers);
    for mark in [",", ".", "?", "</pause>", "</longcat_s>"] {
        report.holds(format!("{mark} is a break mark"), tokenizer.encode(mark)?.iter().all(|id| found.contains(id)), format!("{found:?}"));
    }
    for case in list(truncation, "cases")? {
        let record: Vec<Option<u32>> = serde_json::from_value(case["text_record"].clone())?;
        let delivered = recorded(&case["last_delivered_step"])?.map(|step| step as usize);
        report.equal(
            format!("truncate {}", text(case, "name")?),
            &json!(keep_through(&record, delivered, &marks)),
            &case["keep_through_step"],
        );
    }
    Ok(report)
}

/// The toy tokenizer of the golden: one id per character, restarting in every part.
struct Toy {
    added: Vec<String>,
}

impl Tokenize for Toy {
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizeError> {
        Ok((1000..).take(text.chars().count()).collect())
    }

    fn decode(&self, _: &[u32]) -> Result<String, TokenizeError> {
        Err(TokenizeError::Failed("ids of the toy tokenizer do not tell their text".into()))
    }

    fn token_to_id(&self, _: &str) -> Option<u32> {
        None
    }

    fn added_tokens(&self) -> &[String] {
        &self.added
    }
}

fn token_layout(golden: &Golden, _: &Device) -> Result<Report> {
    let mut report = Report::default();
    let turn = golden.field("/assistant")?;
    let segments: Vec<Vec<[u32; 4]>> = serde_json::from_value(turn["codec_frames"].clone())?;
    for (speaker, ids) in [(Speaker::Model, "input_ids"), (Speaker::User, "input_ids_text_padded_variant")] {
        // In the toy tokenizer the end of a part is the next id after its characters, so the markers come from the text.
        let mut rows = Vec::new();
        let parts: Vec<&str> = text(turn, "text")?.split("</pause>").collect();
        for (part, frames) in parts.iter().zip(&segments) {
            let end = 1000 + part.chars().count() as u32;
            let markers = Markers { audio_start: 0, audio_end: 0, audio_pad: 0, image_pad: 0, pause: end, end };
            rows.extend(spoken_rows(&Toy { added: vec![] }, &markers, part, std::slice::from_ref(frames), speaker, MarkersInText::Allow)?);
        }
        report.equal(format!("{speaker:?} text"), &json!(rows.iter().map(|row| row.text).collect::<Vec<_>>()), &turn[ids]);
        report.equal(format!("{speaker:?} codes"), &json!(rows.iter().map(|row| row.codes).collect::<Vec<_>>()), &turn["rows"]);
    }
    let placeholder = golden.field("/placeholder")?;
    let pads = text(placeholder, "text")?.matches('#').count() as u64;
    report.equal("audio placeholders", &audio_embeddings(placeholder["samples"].as_u64().context("samples")?), &pads);
    for row in list(golden.field("/interleave")?, "rows")? {
        let rhythm = ChunkRhythm::of(milliseconds(row[0].as_f64().context("chunk seconds")?));
        report.equal(format!("chunks of {} s", row[0]), &json!([rhythm.base, rhythm.every]), &json!([row[1], row[2]]));
    }
    Ok(report)
}
