//! The keys of the edge's configuration file, with every default and its reason.
//!
//! Read by [`crate::settings`]; printed by `caracal config --print`. What the model must be is not here: its shapes come
//! from its own folder.

use std::path::PathBuf;

use caracal_kernels::DeviceChoice;
use caracal_shared::limits::{ENDPOINT_AFTER, SPECULATE_AFTER};
use caracal_shared::machine::Micros;
use caracal_shared::turn::TurnTiming;

use crate::audio::VoiceActivityConfig;
use crate::settings::{Choice, Keys, Range, Settings};

/// Where the cluster of one machine listens.
pub const CLUSTER_ADDRESS: &str = "localhost:4433";
/// Pause between two signs of life: well below the half minute after which home routers forget a UDP flow.
const KEEP_ALIVE: Micros = Micros(5_000_000);
/// A connection without a sign of life for this long is lost: three of them.
const IDLE_TIMEOUT: Micros = Micros(15_000_000);
/// Longest pause between two attempts to connect: a cluster that comes back is found while the user still waits.
const RECONNECT_LONGEST: Micros = Micros(5_000_000);

/// Where embeddings leave the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddingCut {
    /// After the projector, as wide as the language model.
    Projected,
    /// Before the projector, as wide as the audio encoder: a quarter of the bits for the released model.
    Hidden,
}

impl Choice for EmbeddingCut {
    const WORDS: &'static [(&'static str, Self)] = &[("projected", Self::Projected), ("hidden", Self::Hidden)];
}

/// How the values of embeddings travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddingPrecision {
    /// One byte a value and one scale a vector.
    Int8,
    /// Two bytes a value.
    Bf16,
}

impl Choice for EmbeddingPrecision {
    const WORDS: &'static [(&'static str, Self)] = &[("int8", Self::Int8), ("bf16", Self::Bf16)];
}

/// Which device computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compute {
    /// A GPU through wgpu when the build has it and one answers, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// wgpu.
    Wgpu,
}

impl From<Compute> for DeviceChoice {
    fn from(compute: Compute) -> Self {
        match compute {
            Compute::Auto => Self::Auto,
            Compute::Cpu => Self::Cpu,
            Compute::Wgpu => Self::Wgpu,
        }
    }
}

impl Choice for Compute {
    const WORDS: &'static [(&'static str, Self)] = &[("auto", Self::Auto), ("cpu", Self::Cpu), ("wgpu", Self::Wgpu)];
}

/// How fast files are played in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaceChoice {
    /// As a microphone would deliver them.
    RealTime,
    /// As fast as they can be worked on.
    Fast,
}

impl Choice for PaceChoice {
    const WORDS: &'static [(&'static str, Self)] = &[("real time", Self::RealTime), ("fast", Self::Fast)];
}

/// The link to the cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterLink {
    /// Host and port.
    pub address: String,
    /// SHA-256 of the cluster's certificate in hexadecimal; empty: `authority` is used.
    pub fingerprint: String,
    /// Certificates that may sign the cluster's, as PEM.
    pub authority: Option<PathBuf>,
    /// The file that holds the device token.
    pub token: Option<PathBuf>,
    /// Where embeddings are cut.
    pub cut: EmbeddingCut,
    /// How their values travel.
    pub precision: EmbeddingPrecision,
    /// Pause between signs of life.
    pub keep_alive: Micros,
    /// Silence of the link after which it counts as lost.
    pub idle_timeout: Micros,
    /// Longest pause between attempts to connect.
    pub reconnect_longest: Micros,
}

/// Voice activity: files and thresholds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VadSettings {
    /// ONNX Runtime; `None` looks for it.
    pub library: Option<PathBuf>,
    /// The network; `None` looks for it.
    pub model: Option<PathBuf>,
    /// How probabilities become spans.
    pub activity: VoiceActivityConfig,
}

/// When a turn ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TurnSettings {
    /// Whether answers are started on a guess.
    pub speculate: bool,
    /// Silence after which one is.
    pub speculate_after: Micros,
    /// Silence that ends the turn.
    pub endpoint_after: Micros,
}

impl TurnSettings {
    /// For the turn machine.
    pub fn timing(&self) -> TurnTiming {
        let speculate_after = if self.speculate { self.speculate_after } else { self.endpoint_after };
        TurnTiming { speculate_after, endpoint_after: self.endpoint_after }
    }
}

/// Where sound and pictures come from and where the answer goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Media {
    /// Sound file, or `-` for standard input.
    pub sound: Option<PathBuf>,
    /// Picture or video file.
    pub picture: Option<PathBuf>,
    /// WAV file for the answers, or `-` for standard output.
    pub answer: Option<PathBuf>,
    /// How fast files are played in.
    pub pace: PaceChoice,
}

/// Everything.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeConfig {
    /// Folder of the model.
    pub model: PathBuf,
    /// Which device computes.
    pub compute: Compute,
    /// What is logged: an `EnvFilter` directive.
    pub log: String,
    /// The link.
    pub cluster: ClusterLink,
    /// Voice activity.
    pub vad: VadSettings,
    /// Turns.
    pub turn: TurnSettings,
    /// Files.
    pub media: Media,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            model: "models/kitten".into(),
            compute: Compute::Auto,
            log: "info".into(),
            cluster: ClusterLink {
                address: CLUSTER_ADDRESS.into(),
                fingerprint: String::new(),
                authority: None,
                token: None,
                cut: EmbeddingCut::Projected,
                precision: EmbeddingPrecision::Int8,
                keep_alive: KEEP_ALIVE,
                idle_timeout: IDLE_TIMEOUT,
                reconnect_longest: RECONNECT_LONGEST,
            },
            vad: VadSettings::default(),
            turn: TurnSettings { speculate: true, speculate_after: SPECULATE_AFTER, endpoint_after: ENDPOINT_AFTER },
            media: Media { sound: None, picture: None, answer: None, pace: PaceChoice::RealTime },
        }
    }
}

const fn times(min_ms: u64, max_ms: u64, because: &'static str) -> Range<Micros> {
    Range { min: Micros(min_ms * 1000), max: Micros(max_ms * 1000), because }
}

impl Settings for EdgeConfig {
    fn describe(&mut self, keys: &mut Keys) {
        keys.key("model", &mut self.model, "Folder of the model, in the published layout.");
        keys.key("compute", &mut self.compute, "What computes: \"auto\" (a GPU if one answers), \"cpu\" or \"wgpu\".");
        keys.key("log", &mut self.log, "What is logged: error, warn, info, debug or trace, also per part: \"info,caracal_edge=debug\".");
        keys.section("cluster", "The link to the machine that thinks.", |keys| describe_link(&mut self.cluster, keys));
        keys.section("vad", "When the user speaks.", |keys| describe_vad(&mut self.vad, keys));
        keys.section("turn", "When the user's turn is over.", |keys| describe_turn(&mut self.turn, keys));
        keys.section("media", "Files and pipes for sound and pictures; options of `caracal run` win over these.", |keys| {
            keys.key("sound", &mut self.media.sound, "WAV, FLAC or MP3 file to hear, \"-\" for standard input.");
            keys.key("picture", &mut self.media.picture, "Picture or video file to see.");
            keys.key("answer", &mut self.media.answer, "WAV file for the answers, \"-\" for standard output.");
            keys.key("pace", &mut self.media.pace, "How fast files are played in: \"real time\" or \"fast\".");
        });
    }

    fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        let activity = &self.vad.activity;
        if activity.offset > activity.onset {
            found.push(format!(
                "vad.offset ({}) is above vad.onset ({}): a window would be speech and silence at once",
                activity.offset, activity.onset
            ));
        }
        if self.turn.speculate && self.turn.speculate_after >= self.turn.endpoint_after {
            found.push("turn.speculate_after is not below turn.endpoint_after: set turn.speculate = false, or shorten it".into());
        }
        if self.cluster.keep_alive >= self.cluster.idle_timeout {
            found.push("cluster.keep_alive is not below cluster.idle_timeout: every silence would end the connection".into());
        }
        if !self.cluster.fingerprint.is_empty() && self.cluster.authority.is_some() {
            found.push("cluster.fingerprint and cluster.authority are both given: keep the one that you mean".into());
        }
        found
    }
}

fn describe_link(link: &mut ClusterLink, keys: &mut Keys) {
    keys.checked("address", &mut link.address, "Host and port.", |address| {
        let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
        port.filter(|port| *port != 0).map(|_| ()).ok_or_else(|| "expected a host and a port such as `localhost:4433`".into())
    });
    let comment = "SHA-256 of the cluster's certificate, which it prints when it starts: 64 hexadecimal digits. Empty: use `authority`.";
    keys.checked("fingerprint", &mut link.fingerprint, comment, |text| check_fingerprint(text));
    keys.key("authority", &mut link.authority, "PEM file of the authorities that may sign the cluster's certificate.");
    keys.key("token", &mut link.token, "File that holds the device token; keep it readable by its owner alone.");
    keys.key(
        "cut",
        &mut link.cut,
        "Where embeddings leave the device: \"projected\", or \"hidden\", which is a quarter of the bits for the released model.",
    );
    keys.key("precision", &mut link.precision, "How their values travel: \"int8\", or \"bf16\", which is twice the bits.");
    let because = "routers forget a silent flow after about half a minute";
    keys.ranged("keep_alive", &mut link.keep_alive, times(100, 25_000, because), "Pause between signs of life.");
    let because = "a shorter one takes every hiccup for a loss, and a longer one lets the user wait";
    keys.ranged("idle_timeout", &mut link.idle_timeout, times(1_000, 120_000, because), "Silence of the link that ends it.");
    let because = "a shorter one floods the network and after a longer one nobody believes in it";
    keys.ranged(
        "reconnect_longest",
        &mut link.reconnect_longest,
        times(100, 60_000, because),
        "Longest pause between attempts to connect.",
    );
}

fn check_fingerprint(text: &str) -> Result<(), String> {
    let digits = text.bytes().filter(|b| *b != b':').count();
    let hexadecimal = text.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
    if text.is_empty() || (digits == 64 && hexadecimal) {
        return Ok(());
    }
    Err(format!("expected 64 hexadecimal digits, found {digits} characters; copy the line that `caracal-cluster serve` prints"))
}

fn describe_vad(vad: &mut VadSettings, keys: &mut Keys) {
    keys.key("library", &mut vad.library, "ONNX Runtime library; empty: the one that `cargo xtask setup` fetched.");
    keys.key("model", &mut vad.model, "Silero network; empty: the one that `cargo xtask setup` fetched.");
    let activity = &mut vad.activity;
    let probability = || Range { min: 0.01, max: 0.99, because: "at 0 or 1 everything or nothing would be speech" };
    keys.ranged("onset", &mut activity.onset, probability(), "Probability from which 32 ms of sound count as speech.");
    keys.ranged("offset", &mut activity.offset, probability(), "Probability below which they count as silence; at most `onset`.");
    let because = "an interruption must be heard within 200 ms";
    keys.ranged("onset_span", &mut activity.onset_span, times(0, 160, because), "How long speech must last to be believed.");
    let because = "silence is measured from here to the end of a turn, and would be counted twice";
    keys.ranged("offset_span", &mut activity.offset_span, times(0, 300, because), "How long silence must last to be believed.");
    let because = "a short \"no\" takes 200 ms";
    let comment = "Speech shorter than this opens no turn by itself.";
    keys.ranged("shortest_speech", &mut activity.shortest_speech, times(0, 200, because), comment);
    let because = "the sound before is kept in memory for it";
    keys.ranged("lead_in", &mut activity.lead_in, times(0, 1_000, because), "Sound before speech that is heard with it.");
    let because = "the answer must not wait for silence";
    keys.ranged("lead_out", &mut activity.lead_out, times(0, 300, because), "Sound after speech that is heard with it.");
}

fn describe_turn(turn: &mut TurnSettings, keys: &mut Keys) {
    let comment = "Whether an answer is started on a guess and held until the turn is over: faster answers for more computing.";
    keys.key("speculate", &mut turn.speculate, comment);
    let because = "a guess at every breath would keep the cluster busy with answers that nobody hears";
    keys.ranged("speculate_after", &mut turn.speculate_after, times(100, 5_000, because), "Silence after which it is.");
    let because = "people pause up to half a second inside a sentence, and give up waiting after some seconds";
    keys.ranged("endpoint_after", &mut turn.endpoint_after, times(200, 5_000, because), "Silence that ends the turn.");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::{print, read};

    fn parse(text: &str) -> Result<EdgeConfig, String> {
        read(Path::new("caracal.toml"), text).map_err(|e| e.to_string())
    }

    #[test]
    fn printed_defaults_read_as_the_defaults() {
        let text = print(&mut EdgeConfig::default(), "Caracal.");
        assert_eq!(parse(&text).as_ref(), Ok(&EdgeConfig::default()), "{text}");
        assert!(text.contains("endpoint_after = \"650 ms\"") && text.contains("[vad]"), "{text}");
        for line in text.lines() {
            assert!(line.len() <= 120, "{line}");
        }
    }

    #[test]
    fn without_speculation_the_turn_machine_never_guesses() {
        let config = parse("[turn]\nspeculate = false\nspeculate_after = \"900 ms\"").expect("no guess, no contradiction");
        assert_eq!(config.turn.timing(), TurnTiming { speculate_after: ENDPOINT_AFTER, endpoint_after: ENDPOINT_AFTER });
        assert_eq!(EdgeConfig::default().turn.timing(), TurnTiming::default());
    }

    #[test]
    fn contradictions_and_nonsense_are_refused() {
        for (text, part) in [
            ("[vad]\nonset = 0.3", "vad.offset (0.35) is above vad.onset (0.3)"),
            ("[turn]\nendpoint_after = \"300 ms\"", "turn.speculate_after is not below"),
            ("[turn]\nendpoint_after = \"100 ms\"", "at least 200 ms, because people pause"),
            ("[cluster]\nkeep_alive = \"20 s\"", "cluster.keep_alive is not below"),
            ("[cluster]\naddress = \"localhost\"", "expected a host and a port"),
            ("[cluster]\naddress = \"host:0\"", "expected a host and a port"),
            ("[cluster]\nfingerprint = \"abc\"", "expected 64 hexadecimal digits, found 3"),
            ("[vad]\nonsett = 0.3", "did you mean `vad.onset`?"),
            ("[media]\npace = \"slow\"", "expected one of `real time`, `fast`"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
        let fingerprint = format!("[cluster]\nfingerprint = \"{}\"", "ab".repeat(32));
        assert!(parse(&fingerprint).is_ok());
        let both = format!("{fingerprint}\nauthority = \"ca.pem\"");
        assert!(parse(&both).expect_err("two ways to trust").contains("keep the one that you mean"));
    }
}
