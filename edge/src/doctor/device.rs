//! Checks of this device: voice activity, video reader, clock, sound card and camera.

use std::io::Read;

use caracal_shared::machine::Micros;
use caracal_shared::rates::HEARING_HZ;

use super::Check;
use crate::audio::VAD_WINDOW_SAMPLES;
use crate::config::EdgeConfig;
use crate::io::ffmpeg::Running;
use crate::io::{Clock, SileroState, SileroVad, VadFiles};

/// How late a sleep of one hop may end, at worst of several: half a hop, so that paced sound does not stutter.
const LATE_MAX: Micros = Micros(5_000);
/// Sleeps that are tried.
const SLEEPS: u64 = 10;

/// Runs the voice model on a second of silence and a second of a loud buzz, which must not pass for speech either.
pub fn voice_activity(config: &EdgeConfig) -> Check {
    let loaded = VadFiles::find(config.vad.library.as_deref(), config.vad.model.as_deref())
        .map_err(|e| e.to_string())
        .and_then(|files| SileroVad::load(&files).map_err(|e| e.to_string()).map(|vad| (files, vad)));
    let (files, mut vad) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return Check::error(error),
    };
    let second = HEARING_HZ as usize;
    let sound: Vec<f32> = (0..2 * second).map(|i| if i < second || i % 160 < 80 { 0.0 } else { 0.3 }).collect();
    let (clock, mut heard) = (Clock::start(), Vec::new());
    if let Err(error) = vad.push(&mut SileroState::default(), &sound, &mut heard) {
        return Check::error(error);
    }
    let each = clock.now().0 as f64 / 1e3 / heard.len().max(1) as f64;
    let loudest = heard.iter().take(second / VAD_WINDOW_SAMPLES).map(|w| w.probability).fold(0.0, f32::max);
    if loudest >= config.vad.activity.onset {
        return Check::problem(
            format!("silence passes for speech (probability {loudest:.2}, `vad.onset` is {})", config.vad.activity.onset),
            "Raise `vad.onset`, or take the network that `cargo xtask setup` fetches.",
        );
    }
    let library = files.library.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Check::ok(format!("Silero through {library}: {each:.2} ms for 32 ms of sound"))
}

/// Starts ffmpeg, which reads video files.
pub fn video_reader(_: &EdgeConfig) -> Check {
    match Running::start("ffmpeg", &["-version".into()]) {
        // Pictures and sound work without it.
        Err(error) => Check::note(error.to_string(), "Needed for video files only."),
        Ok(mut running) => {
            let mut text = String::new();
            let read = running.output.read_to_string(&mut text);
            match (read, text.lines().next()) {
                (Ok(_), Some(line)) => Check::ok(line.split(" Copyright").next().unwrap_or(line)),
                _ => Check::problem("ffmpeg says nothing about itself", "Install it again."),
            }
        }
    }
}

/// Sleeps for one hop several times and looks how late it wakes.
pub fn clock(_: &EdgeConfig) -> Check {
    let clock = Clock::start();
    let mut latest = Micros(0);
    for i in 1..=SLEEPS {
        let due = Micros(i * 10_000);
        clock.wait_until(due);
        let late = Micros(clock.now().0.saturating_sub(due.0));
        latest = latest.max(late);
    }
    let found = format!("wakes at most {:.1} ms late", latest.0 as f64 / 1e3);
    match latest {
        late if late <= LATE_MAX => Check::ok(found),
        _ => Check::note(found, "This machine is busy: sound that is played from files in real time may come unevenly."),
    }
}

/// Says what this build can hear and see with.
pub fn sound_card_and_camera(_: &EdgeConfig) -> Check {
    Check::note(
        "this build has no microphone, speaker or camera",
        "Sound and pictures come from files and pipes: `media.sound`, `media.picture`.",
    )
}
