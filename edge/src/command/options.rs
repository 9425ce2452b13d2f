//! What every subcommand takes: the configuration file, and options that win over it.

use std::path::{Path, PathBuf};

use crate::config::{EdgeConfig, PaceChoice};
use crate::settings::{ConfigError, read_file};

/// Looked for in the working folder when no file is named.
pub const CONFIG_FILE: &str = "caracal.toml";

/// The configuration file.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ConfigOptions {
    /// Configuration file; without it `caracal.toml` of this folder if there is one, else the defaults.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the model; wins over the file.
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
}

impl ConfigOptions {
    /// The file that counts, if any.
    pub fn file(&self) -> Option<PathBuf> {
        self.config.clone().or_else(|| Some(PathBuf::from(CONFIG_FILE)).filter(|file| file.is_file()))
    }

    /// Reads the file and lets the options win.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(&self) -> Result<EdgeConfig, ConfigError> {
        let mut config = match self.file() {
            Some(file) => read_file::<EdgeConfig>(&file)?,
            None => EdgeConfig::default(),
        };
        if let Some(model) = &self.model {
            config.model = model.clone();
        }
        Ok(config)
    }
}

/// Where sound and pictures come from, and where the answers go.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct MediaOptions {
    /// WAV, FLAC or MP3 file to hear; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub sound: Option<PathBuf>,
    /// Picture or video file to see.
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// WAV file for the answers; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub answer: Option<PathBuf>,
    /// Do not wait for real time: work through files as fast as possible.
    #[arg(long)]
    pub fast: bool,
}

impl MediaOptions {
    /// Lets the options win over the file.
    pub fn apply(&self, config: &mut EdgeConfig) {
        let win = |option: &Option<PathBuf>, place: &mut Option<PathBuf>| {
            if let Some(file) = option {
                *place = Some(file.clone());
            }
        };
        win(&self.sound, &mut config.media.sound);
        win(&self.picture, &mut config.media.picture);
        win(&self.answer, &mut config.media.answer);
        if self.fast {
            config.media.pace = PaceChoice::Fast;
        }
    }
}

/// Whether `file` stands for a pipe.
pub fn is_pipe(file: &Path) -> bool {
    file == Path::new(crate::io::PIPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_win_over_the_file() {
        let file = std::env::temp_dir().join(format!("caracal-options-{}.toml", std::process::id()));
        std::fs::write(&file, "model = \"from/file\"\n[media]\nsound = \"file.wav\"\nanswer = \"file-answer.wav\"\n").expect("room");
        let options = ConfigOptions { config: Some(file.clone()), model: None };
        let mut config = options.read().expect("a right file");
        assert_eq!(config.model, Path::new("from/file"));
        MediaOptions { sound: Some("-".into()), fast: true, ..Default::default() }.apply(&mut config);
        assert_eq!((config.media.sound.as_deref(), config.media.pace), (Some(Path::new("-")), PaceChoice::Fast));
        assert_eq!(config.media.answer.as_deref(), Some(Path::new("file-answer.wav")));
        let options = ConfigOptions { model: Some("from/option".into()), ..options };
        assert_eq!(options.read().expect("a right file").model, Path::new("from/option"));
        std::fs::remove_file(&file).expect("ours");
        assert!(matches!(options.read(), Err(ConfigError::Io { .. })), "a file that is named must be there");
    }
}
