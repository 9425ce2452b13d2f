//! Turn strings, role ids, and the assembly of a prompt.
//!
//! Hop 8. Each piece is tokenised on its own: the start of a turn, each item, its end, the generation prefix.
//!
//! Source: LongCat-Flash-Omni chat template; technical report §2.4.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::error::{ItemError, PromptError};
use super::history::{Speaker, spoken_rows};
use super::interleave::{Part, interleave};
use super::message::{Item, Message, Role, VideoUnit};
use super::rows::{Embeddings, Placeholder, Prompt, Row};
use super::user_text::{MarkersInText, encode_text};
use crate::ids::{AUDIO_END, AUDIO_PAD, AUDIO_START, BEGIN, END, IMAGE_PAD, PAUSE};
use crate::limits::{ITEMS_MAX, ROWS_MAX};
use crate::tokenize::{Markers, Tokenize, TokenizeError};

/// How a turn says whose it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TurnFormat {
    /// `USER:`, `VOICE ASSISTANT:`: what the model was released with.
    #[default]
    Instructions,
    /// `<begin-of-user>`. Not used by the demo; its generation prefix repeats the last role, as published.
    Markers,
    /// `<longcat_s>user`. Not used by the demo; its generation prefix repeats the last role, as published.
    Begin,
}

/// Choices of the chat template. The default is that of the published demo, but for text that holds markers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptOptions {
    /// Whether the reply is spoken.
    pub voice_chat: bool,
    /// Whether to end with the start of the reply.
    pub generation_prefix: bool,
    /// Whether user turns begin with `[Round k]`, k the index of the message div 2.
    pub round_index: bool,
    /// Whether to put a system prompt in front of a conversation that has none.
    pub automatic_system: bool,
    /// Whether video units carry their time.
    pub timestamps: bool,
    /// Whether to write spoken turns of the model as plain text, where their codes are not at hand.
    pub spoken_as_text: bool,
    /// How turns begin.
    pub format: TurnFormat,
    /// What marker strings in text items mean.
    pub markers_in_text: MarkersInText,
}

impl Default for PromptOptions {
    fn default() -> Self {
        Self {
            voice_chat: true,
            generation_prefix: true,
            round_index: false,
            automatic_system: false,
            timestamps: true,
            spoken_as_text: false,
            format: TurnFormat::Instructions,
            markers_in_text: MarkersInText::Defuse,
        }
    }
}

/// Role ids of the published template.
const TEMPLATE: u8 = 0;
const INSTRUCTION: u8 = 1;
const ASKING: u8 = 2;
const ANSWERING: u8 = 3;

impl Role {
    fn id(self) -> u8 {
        match self {
            Role::System | Role::Function => INSTRUCTION,
            Role::User | Role::Tool => ASKING,
            Role::Assistant | Role::VoiceAssistant => ANSWERING,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::VoiceAssistant => "voice assistant",
            Role::Tool => "tool",
            Role::Function => "function",
        }
    }

    /// Whether each of its items is followed by the end token.
    fn ends_items(self) -> bool {
        !matches!(self, Role::User | Role::VoiceAssistant)
    }
}

/// Turns a conversation into rows.
///
/// # Errors
/// See [`PromptError`]; nothing is kept of a conversation that has one wrong item.
pub fn assemble(tokenizer: &dyn Tokenize, markers: &Markers, messages: &[Message], options: &PromptOptions) -> Result<Prompt, PromptError> {
    if messages.iter().try_fold(0usize, |n, m| n.checked_add(1 + m.items.len())).is_none_or(|n| n > ITEMS_MAX) {
        return Err(PromptError::TooManyItems { limit: ITEMS_MAX });
    }
    let mut assembly = Assembly { tokenizer, markers, options, prompt: Prompt::default() };
    if options.automatic_system && messages.first().is_none_or(|m| m.role != Role::System) {
        assembly.automatic_system(messages)?;
    }
    for (index, message) in messages.iter().enumerate() {
        assembly.turn(index, message)?;
    }
    if options.generation_prefix {
        assembly.generation_prefix(messages)?;
    }
    Ok(assembly.prompt)
}

struct Assembly<'a> {
    tokenizer: &'a dyn Tokenize,
    markers: &'a Markers,
    options: &'a PromptOptions,
    prompt: Prompt,
}

impl Assembly<'_> {
    fn automatic_system(&mut self, messages: &[Message]) -> Result<(), PromptError> {
        let heard = messages.iter().flat_map(|m| &m.items).any(|item| matches!(item, Item::Audio { .. }));
        let text = if self.options.voice_chat || heard {
            "You are an emotional voice intelligent assistant."
        } else {
            "You are a helpful assistant."
        };
        self.template(&format!("{BEGIN}system\n{text}{END}\n"), INSTRUCTION)?;
        self.close_turn();
        Ok(())
    }

    fn turn(&mut self, index: usize, message: &Message) -> Result<(), PromptError> {
        let as_text = self.options.spoken_as_text && message.role == Role::VoiceAssistant;
        let role = if as_text { Role::Assistant } else { message.role };
        let around = if role == Role::User { ASKING } else { TEMPLATE };
        let start = self.start_of_turn(index, role)?;
        self.template(&start, around)?;
        for (item_index, item) in message.items.iter().enumerate() {
            let located = |source| PromptError::Item { message: index, item: item_index, source };
            let item = match item {
                Item::Spoken { text, .. } if as_text => Cow::Owned(Item::Text(text.replace(PAUSE, ""))),
                item => Cow::Borrowed(item),
            };
            self.check_size(index, &item)?;
            self.item(role, &item).map_err(located)?;
            if role.ends_items() {
                self.template(END, role.id())?;
            }
        }
        if role == Role::User || self.options.format != TurnFormat::Markers {
            self.template("\n", around)?;
        }
        self.close_turn();
        self.refuse_typed_placeholders(index)
    }

    fn start_of_turn(&self, index: usize, role: Role) -> Result<String, PromptError> {
        let start = match self.options.format {
            TurnFormat::Instructions => format!("{}:", role.name().to_uppercase()),
            TurnFormat::Begin => format!("{BEGIN}{}\n", role.name()),
            TurnFormat::Markers if matches!(role, Role::Tool | Role::Function) => {
                return Err(PromptError::RoleWithoutMarker { message: index, role });
            }
            TurnFormat::Markers => format!("<begin-of-{}>", role.name().replace(' ', "-")),
        };
        let numbered = self.options.round_index && role == Role::User;
        Ok(if numbered { format!("[Round {}] {start}", index / 2) } else { start })
    }

    fn generation_prefix(&mut self, messages: &[Message]) -> Result<(), PromptError> {
        let reply = if self.options.voice_chat { Role::VoiceAssistant } else { Role::Assistant };
        let role = match self.options.format {
            TurnFormat::Instructions => reply,
            TurnFormat::Markers | TurnFormat::Begin => messages.last().map_or(reply, |m| m.role),
        };
        let start = self.start_of_turn(messages.len(), role)?;
        self.template(&start, TEMPLATE)?;
        self.close_turn();
        Ok(())
    }

    fn item(&mut self, role: Role, item: &Item) -> Result<(), ItemError> {
        match item {
            Item::Text(text) => {
                let ids = encode_text(self.tokenizer, text, self.options.markers_in_text)?;
                self.push(ids.into_iter().map(Row::text), role.id());
                Ok(())
            }
            Item::Audio { tokens } => {
                let runs = if *tokens > 0 { alloc::vec![(Embeddings::Audio, *tokens)] } else { Vec::new() };
                let pad = if *tokens > 0 { AUDIO_PAD } else { "" };
                self.placeholders(&format!("{AUDIO_START}{pad}{AUDIO_END}"), runs, role)
            }
            Item::Image { tokens } => {
                let (pad, runs) = image(*tokens);
                self.placeholders(&format!("{pad}\n"), runs, role)
            }
            Item::Video(units) => self.mixed(units, &(0..units.len()).map(Part::Unit).collect::<Vec<_>>(), role),
            Item::Interleaved { units, audio, strategy } => self.mixed(units, &interleave(units.len(), *audio, *strategy)?, role),
            Item::Spoken { text, segments } => {
                let speaker = match role {
                    Role::VoiceAssistant => Speaker::Model,
                    Role::User => Speaker::User,
                    role => return Err(ItemError::CannotSpeak { role }),
                };
                let rows = spoken_rows(self.tokenizer, self.markers, text, segments, speaker, self.options.markers_in_text)?;
                self.push(rows, role.id());
                Ok(())
            }
        }
    }

    /// An item of timestamps, pictures and sound, tokenised as one string.
    fn mixed(&mut self, units: &[VideoUnit], parts: &[Part], role: Role) -> Result<(), ItemError> {
        let mut text = String::new();
        let mut runs = Vec::new();
        for part in parts {
            match *part {
                Part::Unit(index) => {
                    let VideoUnit { seconds, tokens } = units[index];
                    if !(seconds.is_finite() && seconds >= 0.0) {
                        return Err(ItemError::Time { seconds });
                    }
                    if self.options.timestamps {
                        text += &format!("second{{{seconds:.1}}}:");
                    }
                    let (pad, run) = image(tokens);
                    text += pad;
                    runs.extend(run);
                }
                Part::AudioStart => text += AUDIO_START,
                Part::Audio(count) => {
                    text += AUDIO_PAD;
                    runs.push((Embeddings::Audio, count));
                }
                Part::AudioEnd => text += AUDIO_END,
            }
        }
        self.placeholders(&text, runs, role)
    }

    /// Tokenises a string with one pad per run, and repeats each pad as often as its run says.
    fn placeholders(&mut self, text: &str, runs: Vec<(Embeddings, u32)>, role: Role) -> Result<(), ItemError> {
        let ids = self.tokenizer.encode(text)?;
        let pad = |embeddings| match embeddings {
            Embeddings::Audio => self.markers.audio_pad,
            Embeddings::Image => self.markers.image_pad,
        };
        let is_pad = |id: &u32| *id == self.markers.audio_pad || *id == self.markers.image_pad;
        if !ids.iter().copied().filter(is_pad).eq(runs.iter().map(|(embeddings, _)| pad(*embeddings))) {
            return Err(ItemError::Tokenize(TokenizeError::Failed(format!(
                "`{AUDIO_PAD}` and `{IMAGE_PAD}` do not stay whole inside other text"
            ))));
        }
        let mut runs = runs.into_iter();
        for id in ids {
            match if is_pad(&id) { runs.next() } else { None } {
                None => self.push([Row::text(id)], role.id()),
                Some((embeddings, count)) => {
                    let start = self.prompt.rows.len();
                    self.push((0..count).map(|_| Row::text(id)), role.id());
                    self.prompt.placeholders.push(Placeholder { embeddings, rows: start..self.prompt.rows.len() });
                }
            }
        }
        Ok(())
    }

    fn template(&mut self, text: &str, role: u8) -> Result<(), PromptError> {
        let ids = self.tokenizer.encode(text)?;
        self.push(ids.into_iter().map(Row::text), role);
        Ok(())
    }

    fn push(&mut self, rows: impl IntoIterator<Item = Row>, role: u8) {
        self.prompt.rows.extend(rows);
        self.prompt.roles.resize(self.prompt.rows.len(), role);
    }

    fn close_turn(&mut self) {
        let start = self.prompt.turns.last().map_or(0, |turn| turn.end);
        self.prompt.turns.push(start..self.prompt.rows.len());
    }

    /// Counts what an item will take before it takes it, so that a wrong count cannot exhaust the memory.
    fn check_size(&self, message: usize, item: &Item) -> Result<(), PromptError> {
        let units = |units: &[VideoUnit]| units.iter().map(|u| u64::from(u.tokens)).sum::<u64>();
        let tokens = match item {
            Item::Text(_) => 0,
            Item::Audio { tokens } | Item::Image { tokens } => u64::from(*tokens),
            Item::Video(all) => units(all),
            Item::Interleaved { units: all, audio, .. } => units(all) + u64::from(*audio),
            Item::Spoken { segments, .. } => segments.iter().map(|s| s.len() as u64 + 1).sum(),
        };
        let rows = self.prompt.rows.len() as u64 + tokens;
        if rows > ROWS_MAX as u64 { Err(PromptError::TooManyRows { message, rows, limit: ROWS_MAX }) } else { Ok(()) }
    }

    /// Where markers in text are allowed, a typed placeholder would shift every embedding after it.
    fn refuse_typed_placeholders(&self, message: usize) -> Result<(), PromptError> {
        let turn = self.prompt.turns.last().cloned().unwrap_or_default();
        let pads = self.prompt.rows[turn.clone()]
            .iter()
            .filter(|row| row.text == self.markers.audio_pad || row.text == self.markers.image_pad)
            .count();
        let known: usize = self.prompt.placeholders.iter().filter(|p| p.rows.start >= turn.start).map(|p| p.rows.len()).sum();
        if pads == known { Ok(()) } else { Err(PromptError::TypedPlaceholder { message }) }
    }
}

fn image(tokens: u32) -> (&'static str, Vec<(Embeddings, u32)>) {
    if tokens > 0 { (IMAGE_PAD, alloc::vec![(Embeddings::Image, tokens)]) } else { ("", Vec::new()) }
}
