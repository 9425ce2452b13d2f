//! Video files: counts, rates, the right pictures, sound, and files that are no video.

use std::path::{Path, PathBuf};
use std::process::Command;

use caracal_cluster::io::{VideoError, VideoFile};
use caracal_edge::vision::Picture;

fn demo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/demo").join(name)
}

fn pictures(video: &VideoFile, indices: &[i64]) -> Vec<Picture> {
    video.pictures(indices).expect("legal indices").collect::<Result<_, _>>().expect("the clip decodes")
}

/// A clip made by ffmpeg itself.
fn make(folder: &Path, name: &str, arguments: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let made = Command::new("ffmpeg").args(["-v", "error", "-y"]).args(arguments).arg(&path).status().expect("ffmpeg is installed");
    assert!(made.success(), "ffmpeg could not make {name}");
    path
}

fn open_error(path: &Path) -> String {
    VideoFile::open(path).map(drop).expect_err("the file is unusable").to_string()
}

#[test]
fn the_demo_clip_has_its_counts() {
    let video = VideoFile::open(&demo("ball.mp4")).unwrap();
    assert_eq!(video.rate().unwrap(), (75, 25.0));
    let (samples, rate) = video.sound(60).unwrap();
    assert_eq!(rate, 24_000);
    assert!((samples.len() as i64 - 72_000).abs() < 2048, "3 s, an AAC packet more or less: {}", samples.len());
    assert!(samples.iter().any(|s| s.abs() > 0.01), "the clip is not silent");
    assert_eq!(video.sound(1).unwrap().0[..], samples[..24_000], "a limit cuts the end and nothing else");
}

/// Picture i of the clip is the grey level 3 i, so each picture says which it is.
#[test]
fn each_index_gives_its_own_picture() {
    let folder = tempfile::tempdir().unwrap();
    let grey = ["-f", "lavfi", "-i", "color=black:s=64x48:r=30:d=2,format=gray,geq=lum='3*N'", "-c:v", "ffv1"];
    let video = VideoFile::open(&make(folder.path(), "levels.mkv", &grey)).unwrap();
    assert_eq!(video.rate().unwrap(), (60, 30.0));
    for indices in [vec![0, 1, 2, 3], vec![0, 0, 7, 7, 7, 59], (0..60).collect(), vec![59], vec![]] {
        let found: Vec<i64> = pictures(&video, &indices).iter().map(|p| (f64::from(p.rgb()[0]) / 3.0).round() as i64).collect();
        assert_eq!(found, indices);
    }
    let one = &pictures(&video, &[5])[0];
    assert_eq!((one.width(), one.height(), one.rgb().len()), (64, 48, 64 * 48 * 3));
}

/// Uneven timestamps must neither repeat nor drop a picture.
#[test]
fn a_clip_of_uneven_rate_gives_every_picture_once() {
    let folder = tempfile::tempdir().unwrap();
    let uneven = "color=black:s=32x32:r=30:d=2,format=gray,geq=lum='3*N',setpts='(N+gte(N,10)*20)/30/TB'";
    let video =
        VideoFile::open(&make(folder.path(), "uneven.mkv", &["-f", "lavfi", "-i", uneven, "-vsync", "passthrough", "-c:v", "ffv1"]))
            .unwrap();
    let (count, _) = video.rate().unwrap();
    assert_eq!(count, 60);
    let found: Vec<u8> = pictures(&video, &(0..60).collect::<Vec<_>>()).iter().map(|p| p.rgb()[0] / 3).collect();
    assert_eq!(found, (0..60).collect::<Vec<u8>>());
}

#[test]
fn stereo_sound_is_the_mean_of_its_channels() {
    let folder = tempfile::tempdir().unwrap();
    let stereo = ["-f", "lavfi", "-i", "aevalsrc=0.5|-0.25:s=8000:d=0.5", "-c:a", "pcm_f32le"];
    let sound_only = VideoFile::open(&make(folder.path(), "stereo.mkv", &stereo)).unwrap();
    assert_eq!(sound_only.sound(5).unwrap(), (vec![0.125; 4000], 8000));
    assert!(matches!(sound_only.rate(), Err(VideoError::NoTrack { track: "pictures", .. })));
    assert!(sound_only.pictures(&[0]).is_err());
}

#[test]
fn indices_that_the_clip_does_not_have_are_refused() {
    let video = VideoFile::open(&demo("ball.mp4")).unwrap();
    for (indices, named) in [
        (vec![75], "picture 75 was asked for, the clip has 0 to 74"),
        (vec![-1, 3], "picture -1 was asked for"),
        (vec![3, 2], "rising order"),
        (vec![i64::MAX], "the clip has 0 to 74"),
    ] {
        let error = video.pictures(&indices).err().expect("illegal indices").to_string();
        assert!(error.contains(named) && error.contains("ball.mp4"), "{error}");
    }
}

#[test]
fn files_that_are_no_video_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(open_error(&folder.path().join("nothing.mp4")).contains("nothing.mp4: cannot be read"));
    assert!(open_error(folder.path()).contains("not a regular file"));
    let clip = std::fs::read(demo("ball.mp4")).unwrap();
    for (name, bytes) in [("empty.mp4", &[][..]), ("text.mp4", b"this is no video"), ("cut.mp4", &clip[..clip.len() / 2])] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = open_error(&path);
        assert!(error.contains(name) && error.contains("not a usable video file"), "{error}");
    }
    let mut noise = clip.clone();
    let data = noise.windows(4).position(|w| w == b"mdat").expect("an mp4 has data") + 4;
    let end = noise.windows(4).position(|w| w == b"moov").filter(|moov| *moov > data).unwrap_or(noise.len()) - 8;
    noise[data..end].iter_mut().enumerate().for_each(|(i, b)| *b = (i * 37 % 251) as u8);
    let path = folder.path().join("noise.mp4");
    std::fs::write(&path, noise).unwrap();
    assert!(open_error(&path).contains("noise.mp4"));
    let silent = make(folder.path(), "silent.mp4", &["-f", "lavfi", "-i", "testsrc=s=64x64:d=1"]);
    let error = VideoFile::open(&silent).unwrap().sound(5).map(drop).expect_err("there is no sound").to_string();
    assert!(error.contains("silent.mp4") && error.contains("no sound track") && error.contains("use_audio_track"), "{error}");
}
