//! The sources and the sink of a conversation, opened as the configuration says.

use std::path::Path;

use super::options::is_pipe;
use crate::config::{EdgeConfig, PaceChoice};
use crate::io::{Clock, Hop, Paced, Shot, Sink, SinkError, Slides, SoundFile, Source, SourceError, ThenSilence, VideoShots, WavSink};

/// Extensions of picture files; everything else is taken for a video.
const PICTURES: &[&str] = &["png", "jpg", "jpeg", "webp", "bmp", "gif"];

/// A source whose kind does not matter.
pub type AnySource<T> = Box<dyn Source<Item = T>>;

/// What a conversation hears, sees and speaks through.
pub struct Media {
    /// The session's clock, which paced sources share.
    pub clock: Clock,
    /// Sound; silence after its end.
    pub sound: AnySource<Hop>,
    /// Pictures, if any.
    pub pictures: Option<AnySource<Shot>>,
    /// Where the answers go, if anywhere.
    pub answer: Option<Box<dyn Sink>>,
}

/// What is missing or cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// No sound is named. Name it.
    #[error("no sound to hear: name a file with `--sound FILE`, or pipe a WAV file in: `… | caracal … --sound -`")]
    NoSound,
    /// Sound or pictures.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The answer.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// Opens everything; the clock starts when all is open. The sound is followed by `silence` hops of silence, or by silence for
/// ever. A pipe sets its own pace and is never slowed down.
///
/// # Errors
/// [`MediaError`].
pub fn open(config: &EdgeConfig, silence: Option<u64>, answer_rate: u32) -> Result<Media, MediaError> {
    let named = config.media.sound.as_deref().ok_or(MediaError::NoSound)?;
    let sound = ThenSilence::new(SoundFile::open(named)?, silence);
    let pictures = config.media.picture.as_deref().map(open_pictures).transpose()?;
    let sink = |file: &Path| WavSink::create(file, answer_rate).map(|sink| Box::new(sink) as Box<dyn Sink>);
    let answer = config.media.answer.as_deref().map(sink).transpose()?;
    let clock = Clock::start();
    let real_time = config.media.pace == PaceChoice::RealTime;
    let sound: AnySource<Hop> = if real_time && !is_pipe(named) { Box::new(Paced::new(sound, clock)) } else { Box::new(sound) };
    let paced = |pictures| -> AnySource<Shot> { if real_time { Box::new(Paced::new(pictures, clock)) } else { pictures } };
    let pictures = pictures.map(paced);
    Ok(Media { clock, sound, pictures, answer })
}

/// A picture file is a still scene; anything else is read as a video.
///
/// # Errors
/// [`SourceError`].
pub fn open_pictures(file: &Path) -> Result<AnySource<Shot>, SourceError> {
    let extension = file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    Ok(if PICTURES.contains(&extension.as_str()) { Box::new(Slides::still(file)?) } else { Box::new(VideoShots::open(file)?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use caracal_shared::machine::Micros;

    fn config(sound: &str, picture: &str) -> EdgeConfig {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/demo");
        let mut config = EdgeConfig::default();
        config.media.sound = Some(data.join(sound));
        config.media.picture = Some(data.join(picture));
        config.media.pace = PaceChoice::Fast;
        config
    }

    #[test]
    fn what_is_configured_is_opened_by_its_kind() {
        let mut media = open(&config("question_short.wav", "ball.mp4"), Some(2), 24_000).expect("files of this repository");
        let mut hops = 0;
        while media.sound.next().expect("undamaged").is_some() {
            hops += 1;
        }
        assert_eq!(hops, 250 + 2);
        let mut shots = media.pictures.expect("a video");
        assert_eq!(shots.next().expect("undamaged").map(|shot| shot.at), Some(Micros(0)));
        assert!(media.answer.is_none());
        let mut still = open_pictures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/demo/shapes.png")).expect("a picture");
        let shot = still.next().expect("memory").expect("never ends");
        assert_eq!((shot.at, shot.picture.width()), (Micros(0), 2133));
    }

    #[test]
    fn what_is_missing_is_said() {
        assert!(matches!(open(&EdgeConfig::default(), None, 24_000), Err(MediaError::NoSound)));
        let error = open(&config("none.wav", "ball.mp4"), None, 24_000).err().expect("no such file").to_string();
        assert!(error.contains("none.wav"), "{error}");
        let error = open(&config("question_short.wav", "question.wav"), None, 24_000).err().expect("no video").to_string();
        assert!(error.contains("has no pictures"), "{error}");
    }
}
