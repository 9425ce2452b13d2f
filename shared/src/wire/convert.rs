//! Messages: values to units of the `.proto` and back, with every check.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use prost::Message;

use super::Wire;
use super::convert_hello::{clipped, precision_from, precision_to, reason_from, reason_to};
use super::embeddings::Embeddings;
use super::error::WireError;
use super::hello::{Hello, Refusal, Welcome};
use super::message::{ClusterMessage, EdgeMessage, PictureId, SeenAs, VisionMessage};
use super::proto::{self, cluster_unit, edge_unit, vision_unit};
use super::speech::{pack_frames, unpack_frames};
use crate::limits::{MESSAGE_TEXT_BYTES_MAX, NUMBER_MAX, PICTURE_TOKENS_MAX, REPLY_FRAMES_MAX, UNIT_BYTES_MAX};
use crate::turn::{AttemptId, TurnId};

/// Bytes of a message besides its vectors, codes and text: a generous guess for limits.
const SMALL_BYTES: usize = 32;

/// A number within range.
pub(super) fn number(field: &'static str, found: u64) -> Result<u64, WireError> {
    match found <= NUMBER_MAX {
        true => Ok(found),
        false => Err(WireError::Field { field, found: found.to_string(), expected: "at most 2^53" }),
    }
}

/// A text within its limit.
pub(super) fn text(field: &'static str, found: String, limit: usize) -> Result<String, WireError> {
    if found.len() > limit { Err(WireError::TooMany { field, found: found.len(), limit }) } else { Ok(found) }
}

fn turn(found: u64) -> Result<TurnId, WireError> {
    number("turn", found).map(TurnId)
}

fn attempt(found: u64) -> Result<AttemptId, WireError> {
    number("attempt", found).map(AttemptId)
}

fn picture(found: u64) -> Result<PictureId, WireError> {
    number("picture", found).map(PictureId)
}

fn frames(found: u32) -> Result<u32, WireError> {
    match found <= REPLY_FRAMES_MAX {
        true => Ok(found),
        false => Err(WireError::Field { field: "frames", found: found.to_string(), expected: "at most 4096" }),
    }
}

fn embeddings_to(embeddings: &Embeddings) -> Option<proto::Embeddings> {
    Some(proto::Embeddings {
        precision: precision_to(embeddings.precision()),
        width: embeddings.width(),
        values: embeddings.values().to_vec(),
    })
}

fn embeddings_from(unit: Option<proto::Embeddings>) -> Result<Embeddings, WireError> {
    let unit = unit.ok_or(WireError::Field { field: "embeddings", found: "nothing".into(), expected: "vectors" })?;
    Embeddings::from_wire(precision_from(unit.precision)?, unit.width, &unit.values)
}

fn unit<M: Message + Default>(bytes: &[u8]) -> Result<M, WireError> {
    if bytes.len() > UNIT_BYTES_MAX {
        return Err(WireError::TooLong { bytes: bytes.len() as u64, limit: UNIT_BYTES_MAX });
    }
    M::decode(bytes).map_err(|error| WireError::Malformed(error.to_string()))
}

impl Wire for EdgeMessage {
    fn encode(&self) -> Vec<u8> {
        use edge_unit::Kind;
        let kind = match self {
            Self::Hello(hello) => Kind::Hello(hello.to_proto()),
            Self::TurnStart(turn) => Kind::TurnStart(proto::TurnStart { turn: turn.0 }),
            Self::TurnCancel(turn) => Kind::TurnCancel(proto::TurnCancel { turn: turn.0 }),
            Self::Audio { turn, provisional, embeddings } => Kind::Audio(proto::Audio {
                turn: turn.0,
                provisional: provisional.map(|attempt| attempt.0),
                embeddings: embeddings_to(embeddings),
            }),
            Self::Unit { turn, provisional, picture, seen } => {
                let (kind, tenths) = match seen {
                    SeenAs::Sparse { tenths } => (proto::UnitKind::Sparse, *tenths),
                    SeenAs::Dense { tenths } => (proto::UnitKind::Dense, *tenths),
                    SeenAs::Still => (proto::UnitKind::Still, 0),
                };
                Kind::Unit(proto::Unit {
                    turn: turn.0,
                    provisional: provisional.map(|attempt| attempt.0),
                    picture: picture.0,
                    kind: kind as i32,
                    tenths,
                })
            }
            Self::SpeculativeEndpoint { turn, attempt } => {
                Kind::SpeculativeEndpoint(proto::SpeculativeEndpoint { turn: turn.0, attempt: attempt.0 })
            }
            Self::Resume(attempt) => Kind::Resume(proto::Resume { attempt: attempt.0 }),
            Self::Endpoint { turn, attempt } => Kind::Endpoint(proto::Endpoint { turn: turn.0, attempt: attempt.0 }),
            Self::BargeIn { attempt, frames } => Kind::BargeIn(proto::BargeIn { attempt: attempt.0, frames: *frames }),
            Self::ReplyEnd(attempt) => Kind::ReplyEnd(proto::ReplyEnd { attempt: attempt.0 }),
            Self::Played { attempt, frames } => Kind::Played(proto::Played { attempt: attempt.0, frames: *frames }),
            Self::Ack(received) => Kind::Ack(proto::Ack { received: *received, vision: 0 }),
            Self::Forget(picture) => Kind::Forget(proto::Forget { picture: picture.0 }),
            Self::Bye => Kind::Bye(proto::Bye {}),
        };
        proto::EdgeUnit { kind: Some(kind) }.encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        use edge_unit::Kind;
        let provisional = |found: Option<u64>| found.map(attempt).transpose();
        Ok(match unit::<proto::EdgeUnit>(bytes)?.kind.ok_or(WireError::UnknownKind)? {
            Kind::Hello(unit) => Self::Hello(Hello::from_proto(unit)?),
            Kind::TurnStart(unit) => Self::TurnStart(turn(unit.turn)?),
            Kind::TurnCancel(unit) => Self::TurnCancel(turn(unit.turn)?),
            Kind::Audio(unit) => Self::Audio {
                turn: turn(unit.turn)?,
                provisional: provisional(unit.provisional)?,
                embeddings: embeddings_from(unit.embeddings)?,
            },
            Kind::Unit(unit) => Self::Unit {
                turn: turn(unit.turn)?,
                provisional: provisional(unit.provisional)?,
                picture: picture(unit.picture)?,
                seen: match proto::UnitKind::try_from(unit.kind) {
                    Ok(proto::UnitKind::Sparse) => SeenAs::Sparse { tenths: number("unit.tenths", unit.tenths)? },
                    Ok(proto::UnitKind::Dense) => SeenAs::Dense { tenths: number("unit.tenths", unit.tenths)? },
                    Ok(proto::UnitKind::Still) => SeenAs::Still,
                    _ => {
                        let found = unit.kind.to_string();
                        return Err(WireError::Field { field: "unit.kind", found, expected: "sparse, dense or still" });
                    }
                },
            },
            Kind::SpeculativeEndpoint(unit) => Self::SpeculativeEndpoint { turn: turn(unit.turn)?, attempt: attempt(unit.attempt)? },
            Kind::Resume(unit) => Self::Resume(attempt(unit.attempt)?),
            Kind::Endpoint(unit) => Self::Endpoint { turn: turn(unit.turn)?, attempt: attempt(unit.attempt)? },
            Kind::BargeIn(unit) => Self::BargeIn { attempt: attempt(unit.attempt)?, frames: frames(unit.frames)? },
            Kind::ReplyEnd(unit) => Self::ReplyEnd(attempt(unit.attempt)?),
            Kind::Played(unit) => Self::Played { attempt: attempt(unit.attempt)?, frames: frames(unit.frames)? },
            Kind::Ack(unit) => Self::Ack(number("ack.received", unit.received)?),
            Kind::Forget(unit) => Self::Forget(picture(unit.picture)?),
            Kind::Bye(_) => Self::Bye,
        })
    }

    fn is_counted(&self) -> bool {
        !matches!(self, Self::Hello(_) | Self::Ack(_))
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Audio { embeddings, .. } => SMALL_BYTES + embeddings.values().len(),
            _ => SMALL_BYTES,
        }
    }
}

impl Wire for VisionMessage {
    fn encode(&self) -> Vec<u8> {
        use vision_unit::Kind;
        let kind = match self {
            Self::Picture { picture, embeddings } => {
                Kind::Picture(proto::Picture { picture: picture.0, embeddings: embeddings_to(embeddings) })
            }
        };
        proto::VisionUnit { kind: Some(kind) }.encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        use vision_unit::Kind;
        Ok(match unit::<proto::VisionUnit>(bytes)?.kind.ok_or(WireError::UnknownKind)? {
            Kind::Picture(unit) => {
                let embeddings = embeddings_from(unit.embeddings)?;
                if embeddings.count() > PICTURE_TOKENS_MAX {
                    let (found, limit) = (embeddings.count() as usize, PICTURE_TOKENS_MAX as usize);
                    return Err(WireError::TooMany { field: "picture.embeddings", found, limit });
                }
                Self::Picture { picture: picture(unit.picture)?, embeddings }
            }
        })
    }

    fn is_counted(&self) -> bool {
        true
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Picture { embeddings, .. } => SMALL_BYTES + embeddings.values().len(),
        }
    }
}

impl Wire for ClusterMessage {
    fn encode(&self) -> Vec<u8> {
        use cluster_unit::Kind;
        let kind = match self {
            Self::Welcome(welcome) => Kind::Welcome(welcome.to_proto()),
            Self::Refusal(refusal) => Kind::Refusal(refusal.to_proto()),
            Self::Speech { attempt, frames } => Kind::Speech(proto::Speech { attempt: attempt.0, codes: pack_frames(frames) }),
            Self::Caption { attempt, text } => Kind::Caption(proto::Caption { attempt: attempt.0, text: clipped(text) }),
            Self::ReplyGenerated { attempt, frames } => Kind::ReplyGenerated(proto::ReplyGenerated { attempt: attempt.0, frames: *frames }),
            Self::ReplyClosed { attempt, text, whole } => {
                Kind::ReplyClosed(proto::ReplyClosed { attempt: attempt.0, text: clipped(text), whole: *whole })
            }
            Self::Notice { reason, text, turn } => {
                Kind::Notice(proto::Notice { reason: reason_to(*reason), text: clipped(text), turn: turn.map(|turn| turn.0) })
            }
            Self::Ack { control, vision } => Kind::Ack(proto::Ack { received: *control, vision: *vision }),
        };
        proto::ClusterUnit { kind: Some(kind) }.encode_to_vec()
    }

    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        use cluster_unit::Kind;
        Ok(match unit::<proto::ClusterUnit>(bytes)?.kind.ok_or(WireError::UnknownKind)? {
            Kind::Welcome(unit) => Self::Welcome(Welcome::from_proto(unit)?),
            Kind::Refusal(unit) => Self::Refusal(Refusal::from_proto(unit)?),
            Kind::Speech(unit) => Self::Speech { attempt: attempt(unit.attempt)?, frames: unpack_frames(&unit.codes)? },
            Kind::Caption(unit) => {
                Self::Caption { attempt: attempt(unit.attempt)?, text: text("caption.text", unit.text, MESSAGE_TEXT_BYTES_MAX)? }
            }
            Kind::ReplyGenerated(unit) => Self::ReplyGenerated { attempt: attempt(unit.attempt)?, frames: frames(unit.frames)? },
            Kind::ReplyClosed(unit) => Self::ReplyClosed {
                attempt: attempt(unit.attempt)?,
                text: text("reply_closed.text", unit.text, MESSAGE_TEXT_BYTES_MAX)?,
                whole: unit.whole,
            },
            Kind::Notice(unit) => Self::Notice {
                reason: reason_from(unit.reason)?,
                text: text("notice.text", unit.text, MESSAGE_TEXT_BYTES_MAX)?,
                turn: unit.turn.map(turn).transpose()?,
            },
            Kind::Ack(unit) => Self::Ack { control: number("ack.received", unit.received)?, vision: number("ack.vision", unit.vision)? },
        })
    }

    fn is_counted(&self) -> bool {
        !matches!(self, Self::Welcome(_) | Self::Refusal(_) | Self::Ack { .. })
    }

    fn bytes(&self) -> usize {
        SMALL_BYTES
            + match self {
                Self::Speech { frames, .. } => 7 * frames.len(),
                Self::Caption { text, .. } | Self::ReplyClosed { text, .. } | Self::Notice { text, .. } => text.len(),
                _ => 0,
            }
    }
}
