//! `caracal-cluster local` as a program: where sound and text go, when, and how it is asked to stop.

#![allow(clippy::disallowed_methods, reason = "both ends of a program are read at once, and what comes is timed")]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use caracal_edge::audio::read::decode_audio;

/// Samples a second of kitten's voice.
const RATE: usize = 24_000;
/// Bytes of a WAV file before its samples.
const HEADER: usize = 44;

/// Asks kitten a question; its answer goes to `answer`.
fn ask(folder: &Path, answer: &str) -> Child {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    Command::new(env!("CARGO_BIN_EXE_caracal-cluster"))
        .args([Path::new("local"), Path::new("--model"), &root.join("models/kitten")])
        .args([Path::new("--sound"), &root.join("tests/data/demo/question_short.wav")])
        .args(["--answer", answer])
        // No configuration file of this machine counts.
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a scratch folder");
    folder
}

#[test]
fn sound_goes_to_the_pipe_as_time_passes_and_text_beside_it() {
    let mut child = ask(&scratch("pipe"), "-");
    let mut complaints = child.stderr.take().expect("it is piped");
    let text = std::thread::spawn(move || {
        let mut text = String::new();
        complaints.read_to_string(&mut text).map(|_| text)
    });
    let (mut sound, mut bytes, mut arrivals) = (child.stdout.take().expect("it is piped"), Vec::new(), Vec::new());
    let mut piece = [0; 4096];
    loop {
        match sound.read(&mut piece).expect("a pipe") {
            0 => break,
            count => bytes.extend(&piece[..count]),
        }
        arrivals.push((bytes.len(), Instant::now()));
    }
    let text = text.join().expect("no panic").expect("UTF-8");
    assert!(child.wait().expect("it ended").success(), "{text}");
    assert!(text.contains("hears you") && text.contains("caracal:"), "{text}");
    assert!(!bytes.windows(9).any(|window| window == b"hears you"), "text in the sound");
    let heard = decode_audio(Path::new("standard output"), bytes.clone(), 600).unwrap_or_else(|e| panic!("{e}")).waveform.into_samples();
    assert_eq!(bytes.len(), HEADER + 2 * heard.len());
    let first = heard.iter().position(|sample| *sample != 0.0).expect("an answer");
    // The clip is two and a half seconds long, and its last half may be quiet.
    assert!(first > 2 * RATE, "the silence before the answer is there: {first}");
    let arrived = |seconds: usize| arrivals.iter().find(|(bytes, _)| *bytes >= HEADER + seconds * 2 * RATE).expect("it is long enough").1;
    // Three seconds of sound take three seconds, but for what a busy machine held up; in one piece they would take none.
    assert!(arrived(4) - arrived(1) > Duration::from_secs(1), "the silence came in one piece");
}

#[cfg(unix)]
#[test]
fn who_asks_it_to_stop_gets_a_whole_file() {
    for signal in ["-INT", "-TERM"] {
        let answer = scratch("stop").join("answer.wav");
        let mut child = ask(&scratch("stop"), &answer.display().to_string());
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        assert!(lines.any(|line| line.expect("UTF-8").contains("hears you")), "it hears the question");
        let asked = Instant::now();
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill").success());
        assert!(child.wait().expect("it ended").success(), "{signal}: leaving is no failure");
        assert!(asked.elapsed() < Duration::from_secs(10), "{signal}: it leaves at once: {:?}", asked.elapsed());
        let bytes = std::fs::read(&answer).expect("the file");
        let stated = u32::from_le_bytes(bytes[40..44].try_into().expect("four bytes")) as usize;
        assert_eq!(stated, bytes.len() - HEADER, "{signal}: the header is complete");
    }
}
