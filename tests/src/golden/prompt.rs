//! Goldens of prompt.

use anyhow::{Context, Result};
use burn::tensor::Device;
use caracal_shared::reply::{ReplyIds, ReplyMachine, ReplyStage, ReplyStep};
use serde_json::{Value, json};

use super::{Entry, Golden, Report};

/// Checks of this family.
pub(super) const ENTRIES: &[Entry] = &[Entry { name: "prompt/decode_trace", on_device: false, check: decode_trace }];

fn id(value: &Value, field: &str) -> Result<u32> {
    value[field].as_u64().and_then(|v| u32::try_from(v).ok()).with_context(|| format!("`{field}` is no id: {}", value[field]))
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
    for case in golden.field("/cases")?.as_array().context("cases")? {
        let name = case["name"].as_str().context("name")?;
        let mut machine = ReplyMachine::new(ids);
        let mut emitted = Vec::new();
        for (i, step) in case["steps"].as_array().context("steps")?.iter().enumerate() {
            let codes: [u32; 4] = serde_json::from_value(step["sampled_audio"].clone())?;
            let ReplyStep { before, after, count, text, emitted_text_id, codes, next, finished } = machine.step(id(step, "sampled_text")?, codes);
            emitted.push(emitted_text_id);
            let got = json!([stage_name(before), stage_name(after), count, text, emitted_text_id, codes, next.text, next.codes, finished]);
            let negative_is_none = |v: &Value| if v.as_i64().is_some_and(|v| v < 0) { Value::Null } else { v.clone() };
            let record: Vec<_> = step["audio_record"].as_array().context("audio_record")?.iter().map(negative_is_none).collect();
            let want = json!([
                step["state_before"], step["state_after"], step["step_after"], negative_is_none(&step["text_record"]), step["emitted_text_id"], record,
                step["next_input_text"], step["next_input_audio"], step["finished"]
            ]);
            report.equal(format!("{name} step {i}"), &got, &want);
        }
        report.equal(format!("{name} text ids"), &json!(emitted), &case["text_ids_emitted"]);
    }
    Ok(report)
}
