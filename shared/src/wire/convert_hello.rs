//! Greetings: values to units of the `.proto` and back.

use alloc::string::{String, ToString};

use super::convert::{number, text};
use super::embeddings::Precision;
use super::error::WireError;
use super::hello::{AudioCut, Continue, Hello, Model, Reason, Refusal, TICKET_BYTES, Ticket, Welcome};
use super::proto;
use crate::limits::{EMBEDDING_WIDTH_MAX, MESSAGE_TEXT_BYTES_MAX, NAME_BYTES_MAX};

pub(super) fn precision_to(precision: Precision) -> i32 {
    match precision {
        Precision::Bf16 => proto::Precision::Bf16 as i32,
        Precision::Int8 => proto::Precision::Int8 as i32,
    }
}

pub(super) fn precision_from(found: i32) -> Result<Precision, WireError> {
    match proto::Precision::try_from(found) {
        Ok(proto::Precision::Bf16) => Ok(Precision::Bf16),
        Ok(proto::Precision::Int8) => Ok(Precision::Int8),
        _ => Err(WireError::Field { field: "precision", found: found.to_string(), expected: "bf16 or int8" }),
    }
}

fn width(field: &'static str, found: u32, least: u32) -> Result<u32, WireError> {
    match (least..=EMBEDDING_WIDTH_MAX).contains(&found) {
        true => Ok(found),
        false => Err(WireError::Field { field, found: found.to_string(), expected: "at most 65536, and not 0 for sound" }),
    }
}

fn ticket(bytes: &[u8]) -> Result<Ticket, WireError> {
    let exact: Result<[u8; TICKET_BYTES], _> = bytes.try_into();
    exact.map(Ticket).map_err(|_| WireError::Field {
        field: "ticket",
        found: alloc::format!("{} bytes", bytes.len()),
        expected: "16 bytes",
    })
}

impl Hello {
    pub(super) fn to_proto(&self) -> proto::Hello {
        let cut = match self.model.audio_cut {
            AudioCut::Projected => proto::Cut::Projected,
            AudioCut::Hidden => proto::Cut::Hidden,
        };
        proto::Hello {
            version: self.version,
            token: self.token.clone(),
            model: self.model.identity.clone(),
            audio_cut: cut as i32,
            precision: precision_to(self.model.precision),
            audio_width: self.model.audio_width,
            vision_width: self.model.vision_width,
            r#continue: self.resume.map(|resume| proto::Continue {
                ticket: resume.ticket.0.to_vec(),
                received: resume.received,
                restarted: resume.restarted,
            }),
        }
    }

    /// Another version's Hello may look different after its first field, so the version is not judged here.
    pub(super) fn from_proto(unit: proto::Hello) -> Result<Self, WireError> {
        let audio_cut = match proto::Cut::try_from(unit.audio_cut) {
            Ok(proto::Cut::Projected) => AudioCut::Projected,
            Ok(proto::Cut::Hidden) => AudioCut::Hidden,
            _ => {
                let found = unit.audio_cut.to_string();
                return Err(WireError::Field { field: "hello.audio_cut", found, expected: "projected or hidden" });
            }
        };
        let resume = |unit: proto::Continue| {
            Ok(Continue { ticket: ticket(&unit.ticket)?, received: number("continue.received", unit.received)?, restarted: unit.restarted })
        };
        Ok(Self {
            version: unit.version,
            token: text("hello.token", unit.token, NAME_BYTES_MAX)?,
            model: Model {
                identity: text("hello.model", unit.model, NAME_BYTES_MAX)?,
                audio_cut,
                precision: precision_from(unit.precision)?,
                audio_width: width("hello.audio_width", unit.audio_width, 1)?,
                vision_width: width("hello.vision_width", unit.vision_width, 0)?,
            },
            resume: unit.r#continue.map(resume).transpose()?,
        })
    }
}

impl Welcome {
    pub(super) fn to_proto(self) -> proto::Welcome {
        proto::Welcome {
            ticket: self.ticket.0.to_vec(),
            control: self.control,
            vision: self.vision,
            next_turn: self.next_turn,
            next_attempt: self.next_attempt,
            next_picture: self.next_picture,
            sent: self.sent,
            now: self.now,
        }
    }

    pub(super) fn from_proto(unit: proto::Welcome) -> Result<Self, WireError> {
        Ok(Self {
            ticket: ticket(&unit.ticket)?,
            control: number("welcome.control", unit.control)?,
            vision: number("welcome.vision", unit.vision)?,
            next_turn: number("welcome.next_turn", unit.next_turn)?,
            next_attempt: number("welcome.next_attempt", unit.next_attempt)?,
            next_picture: number("welcome.next_picture", unit.next_picture)?,
            sent: number("welcome.sent", unit.sent)?,
            now: number("welcome.now", unit.now)?,
        })
    }
}

pub(super) fn reason_to(reason: Reason) -> i32 {
    1 + Reason::ALL.iter().position(|r| *r == reason).expect("every reason is in the list") as i32
}

pub(super) fn reason_from(found: i32) -> Result<Reason, WireError> {
    let listed = usize::try_from(found).ok().and_then(|n| n.checked_sub(1)).and_then(|n| Reason::ALL.get(n));
    listed.copied().ok_or_else(|| WireError::Field { field: "reason", found: found.to_string(), expected: "a known reason" })
}

impl Refusal {
    pub(super) fn to_proto(&self) -> proto::Refusal {
        proto::Refusal { reason: reason_to(self.reason), text: clipped(&self.text) }
    }

    pub(super) fn from_proto(unit: proto::Refusal) -> Result<Self, WireError> {
        Ok(Self { reason: reason_from(unit.reason)?, text: text("refusal.text", unit.text, MESSAGE_TEXT_BYTES_MAX)? })
    }
}

/// Text cut to what a message may hold, at a character's edge.
pub(super) fn clipped(text: &str) -> String {
    let end = (0..=text.len().min(MESSAGE_TEXT_BYTES_MAX)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[..end].to_string()
}

/// All reasons have the numbers of the `.proto`.
const _: () = assert!(proto::Reason::Context as usize == Reason::ALL.len() && Reason::ALL.len() == 13);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_the_numbers_and_words_of_the_definition() {
        for reason in Reason::ALL {
            assert_eq!(reason_from(reason_to(reason)), Ok(reason));
            let unit = proto::Reason::try_from(reason_to(reason)).unwrap();
            assert_eq!(unit.as_str_name().to_lowercase(), reason.word());
        }
        assert!(reason_from(0).is_err() && reason_from(14).is_err() && reason_from(-1).is_err());
    }
}
