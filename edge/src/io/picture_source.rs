//! Pictures from files, as a camera would take them: two a second, the newest counts.

use std::path::Path;
use std::sync::Arc;

use caracal_shared::machine::Micros;

use super::source::{Shot, Source, SourceError};
use super::video::{PICTURES_MAX, Pictures, VideoFile};
use crate::vision::{Alpha, Picture, read_picture};

/// Time between two pictures. The densest sampling takes two a second, so a camera need not deliver more.
pub const SHOT_INTERVAL: Micros = Micros(500_000);

/// A scene that changes at given moments: each picture is seen until the next one begins, the last for ever.
#[derive(Clone, Debug)]
pub struct Slides {
    /// Rising by moment.
    slides: Vec<(Micros, Arc<Picture>)>,
    shots: u64,
}

impl Slides {
    /// Pictures with the moments from which they are seen, in any order. Before the first there is nothing to see.
    pub fn new(mut slides: Vec<(Micros, Arc<Picture>)>) -> Self {
        slides.sort_by_key(|(at, _)| *at);
        Self { slides, shots: 0 }
    }

    /// One picture file from the start.
    ///
    /// # Errors
    /// [`SourceError::Picture`].
    pub fn still(file: &Path) -> Result<Self, SourceError> {
        Ok(Self::new(vec![(Micros(0), Arc::new(read_picture(file, Alpha::Drop)?))]))
    }
}

impl Source for Slides {
    type Item = Shot;

    fn next(&mut self) -> Result<Option<Shot>, SourceError> {
        let Some((first, _)) = self.slides.first() else { return Ok(None) };
        self.shots = self.shots.max(first.0.div_ceil(SHOT_INTERVAL.0));
        let at = Micros(self.shots * SHOT_INTERVAL.0);
        self.shots += 1;
        let seen = self.slides.iter().rev().find(|(from, _)| *from <= at).expect("the first picture is seen by now");
        Ok(Some(Shot { at, picture: Arc::clone(&seen.1) }))
    }
}

/// A video file, seen once from its start to its end.
pub struct VideoShots {
    video: VideoFile,
    count: usize,
    fps: f64,
    shots: u64,
    /// Pictures that are being decoded, with how many of them are left.
    running: Option<(Pictures, usize)>,
}

impl VideoShots {
    /// Opens `file`.
    ///
    /// # Errors
    /// [`SourceError::Video`].
    pub fn open(file: &Path) -> Result<Self, SourceError> {
        let video = VideoFile::open(file)?;
        let (count, fps) = video.rate()?;
        Ok(Self { video, count, fps, shots: 0, running: None })
    }

    /// Which picture of the file is on show at `shot`, if it has not ended.
    fn index(&self, shot: u64) -> Option<i64> {
        let second = (shot * SHOT_INTERVAL.0) as f64 / 1e6;
        let index = (second * self.fps + 0.001).floor();
        (index < self.count as f64).then_some(index as i64)
    }
}

impl Source for VideoShots {
    type Item = Shot;

    fn next(&mut self) -> Result<Option<Shot>, SourceError> {
        if self.running.as_ref().is_none_or(|(_, left)| *left == 0) {
            let indices: Vec<i64> = (self.shots..).map_while(|shot| self.index(shot)).take(PICTURES_MAX).collect();
            if indices.is_empty() {
                return Ok(None);
            }
            self.running = Some((self.video.pictures(&indices)?, indices.len()));
        }
        let Some((pictures, left)) = &mut self.running else { return Ok(None) };
        *left -= 1;
        match pictures.next() {
            Some(Ok(picture)) => {
                let at = Micros(self.shots * SHOT_INTERVAL.0);
                self.shots += 1;
                Ok(Some(Shot { at, picture: Arc::new(picture) }))
            }
            // An error is the end: nothing is on show any more.
            failed => {
                (self.count, self.running) = (0, None);
                failed.transpose().map(|_| None).map_err(SourceError::Video)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(shade: u8) -> Arc<Picture> {
        Arc::new(Picture::new("test", 1, 1, vec![shade; 3]).expect("one pixel"))
    }

    #[test]
    fn slides_are_seen_from_their_moment_on() {
        let mut slides = Slides::new(vec![(Micros(1_700_000), picture(2)), (Micros(600_000), picture(1))]);
        let seen: Vec<(u64, u8)> = (0..5)
            .map(|_| {
                let shot = slides.next().expect("memory").expect("never ends");
                (shot.at.0, shot.picture.rgb()[0])
            })
            .collect();
        assert_eq!(seen, [(1_000_000, 1), (1_500_000, 1), (2_000_000, 2), (2_500_000, 2), (3_000_000, 2)]);
        assert!(Slides::new(Vec::new()).next().expect("memory").is_none());
    }

    #[test]
    fn a_video_is_seen_twice_a_second_until_it_ends() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/demo/ball.mp4");
        let mut video = VideoShots::open(&file).expect("a clip of this repository");
        let mut shots = Vec::new();
        while let Some(shot) = video.next().expect("undamaged") {
            shots.push(shot);
        }
        assert_eq!(shots.iter().map(|s| s.at.0).collect::<Vec<_>>(), [0, 500_000, 1_000_000, 1_500_000, 2_000_000, 2_500_000]);
        let whole = VideoFile::open(&file).expect("the same clip");
        let want: Vec<Picture> = whole.pictures(&[0, 12, 25, 37, 50, 62]).expect("indices").map(|p| p.expect("undamaged")).collect();
        assert!(shots.iter().map(|s| &*s.picture).eq(&want), "3 s at 25 pictures a second");
        assert!(shots[0].picture != shots[5].picture, "the ball moves");
    }

    #[test]
    fn a_picture_file_that_is_none_is_named() {
        let error = Slides::still(Path::new("no-such.png")).expect_err("no such file").to_string();
        assert!(error.contains("no-such.png"), "{error}");
    }
}
