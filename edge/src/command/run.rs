//! `caracal run`: hear, see and speak with a cluster.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use caracal_shared::machine::Micros;

use super::options::ConfigOptions;
use super::talk::{TalkOptions, prepare, talk};
use crate::config::ClusterLink;
use crate::io::quic::{QuicDoor, QuicSettings};
use crate::io::trust::{Trust, TrustError};
use crate::token::tokens;

/// Hear, see and speak with a cluster.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  caracal run --sound question.wav --answer answer.wav
  caracal run --sound question.wav --picture scene.png --timeline turns.svg
  caracal run --script conversation.toml --answer answers.wav
  arecord -q -f S16_LE -r 16000 | caracal run --sound - --answer - | aplay -q

The cluster, its fingerprint and the device token stand in the configuration: `caracal config --print`.
A session goes on after a lost connection; with --ticket FILE also after a restart of this program.
With --answer - all text goes to standard error. Ctrl-C says goodbye and leaves whole files; again, it ends at once.
Exit codes: 0 the conversation ended, 1 failed or answered otherwise than the script says, 2 wrong arguments.")]
pub struct Arguments {
    #[command(flatten)]
    options: ConfigOptions,
    #[command(flatten)]
    talk: TalkOptions,
}

/// Talks until the sound has ended and the last answer was heard.
///
/// # Errors
/// When the configuration, the model, the sound or the voice model cannot be used, or the cluster refuses this device.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut config = arguments.options.read()?;
    prepare(&mut config, &arguments.talk)?;
    let quic = quic_settings(&config.cluster)?;
    let token = read_token(&config.cluster)?;
    talk(&config, &arguments.talk, token, |told| Ok(QuicDoor::open(quic, told)?))
}

fn quic_settings(link: &ClusterLink) -> Result<QuicSettings, TrustError> {
    let trust = match (&link.fingerprint, &link.authority) {
        (pinned, _) if !pinned.is_empty() => Trust::Fingerprint(pinned.clone()),
        (_, Some(file)) => Trust::Authority(file.clone()),
        (_, None) => return Err(TrustError::Nothing),
    };
    let time = |time: Micros| Duration::from_micros(time.0);
    Ok(QuicSettings {
        address: link.address.clone(),
        trust,
        keep_alive: time(link.keep_alive),
        idle_timeout: time(link.idle_timeout),
        reconnect_longest: time(link.reconnect_longest),
    })
}

fn read_token(link: &ClusterLink) -> Result<String> {
    let file = link.token.as_deref().context("no device token: name its file with cluster.token in the configuration")?;
    let text = std::fs::read_to_string(file).with_context(|| format!("{}: cannot be read; correct cluster.token", file.display()))?;
    let token = tokens(&text).next().with_context(|| format!("{}: holds no token; copy one from the cluster", file.display()))?;
    Ok(token.to_string())
}
