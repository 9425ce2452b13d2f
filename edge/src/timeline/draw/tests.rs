//! The picture by its structure.

use super::*;
use crate::timeline::TimelineEvent;
use caracal_shared::turn::{AttemptId, TurnId, TurnOutput};

/// Two turns: one with a pause and a rollback, one that breaks off an answer.
fn session() -> Timeline {
    let mut timeline = Timeline::default();
    let mut at = |ms: u64, event| timeline.record(Micros(ms * 1000), event);
    let turn = TimelineEvent::Turn;
    let work = |work, ms: u64| TimelineEvent::Worked { work, length: Micros(ms * 1000) };
    for i in 0..240 {
        let speaking = (5..28).contains(&(i / 2)) || (34..50).contains(&(i / 2)) || (86..110).contains(&(i / 2));
        let wave = ((i * 37) % 17) as f32 / 17.0;
        at(i * 50, TimelineEvent::Level(if speaking { 0.04 + 0.1 * wave } else { 0.001 }));
    }
    let speech = |from: u64, to: u64| [(from, TimelineEvent::SpeechStarted), (to, TimelineEvent::SpeechStopped)];
    for (ms, event) in speech(500, 2800).into_iter().chain(speech(3400, 5000)).chain(speech(8600, 11_000)) {
        at(ms, event);
    }
    at(500, turn(TurnOutput::TurnStart(TurnId(0))));
    at(3100, turn(TurnOutput::SpeculativeEndpoint(AttemptId(0))));
    at(3130, TimelineEvent::Token(AttemptId(0)));
    at(3150, TimelineEvent::Held { attempt: AttemptId(0), length: Micros(60_000) });
    at(3400, turn(TurnOutput::Resume(AttemptId(0))));
    at(5300, turn(TurnOutput::SpeculativeEndpoint(AttemptId(1))));
    at(5320, work(Work::Hear, 22));
    at(5350, TimelineEvent::Token(AttemptId(1)));
    at(5420, TimelineEvent::Held { attempt: AttemptId(1), length: Micros(60_000) });
    at(5650, turn(TurnOutput::Endpoint { attempt: AttemptId(1), speculated: true }));
    for i in 0..295 {
        at(5658 + 10 * i, TimelineEvent::Played { attempt: AttemptId(1), length: Micros(10_000) });
    }
    for i in 0..40 {
        at(5345 + 60 * i, work(Work::Speak, 7));
        at(5345 + 60 * i, TimelineEvent::Depth { queue: "downlink", entries: (i as u32 * 7) % 5 });
    }
    at(5400, TimelineEvent::Said { attempt: AttemptId(1), text: "A red ball & <nothing> else.".into() });
    at(8600, turn(TurnOutput::BargeIn(AttemptId(1))));
    at(8600, turn(TurnOutput::TurnStart(TurnId(1))));
    at(8606, TimelineEvent::Silenced);
    for second in [1, 2, 3, 4, 5, 9, 10] {
        at(second * 1000 + 10, TimelineEvent::Sent { cargo: Cargo::Picture, bytes: 18_000 });
        at(second * 1000 + 30, work(Work::Hear, 45));
        for i in 0..12 {
            at(second * 1000 + 80 * i, TimelineEvent::Sent { cargo: Cargo::Sound, bytes: 130 });
        }
    }
    timeline
}

fn count(svg: &str, part: &str) -> usize {
    svg.matches(part).count()
}

/// Every tag is closed, in order: what a reader of SVG insists on.
fn assert_well_formed(svg: &str) {
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap_or_else(|| panic!("a tag without end: {tag}"));
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        match tag.strip_prefix('/') {
            Some(_) => assert_eq!(open.pop(), Some(name)),
            None if tag.ends_with('/') => {}
            None => open.push(name),
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_session_shows_every_lane_mark_and_latency() {
    let svg = draw(&session(), "Kitten answers");
    assert_well_formed(&svg);
    for (part, times) in [
        ("class=\"speech\" x", 3 + 1),
        ("class=\"picture\"", 7),
        ("class=\"sound\"", 84),
        ("class=\"speaks\" x", 40 + 1),
        ("class=\"discarded\" x", 1 + 1),
        ("class=\"held\" x", 1 + 1),
        ("class=\"played\" x", 1 + 1),
        ("class=\"wait\"", 1 + 1),
        ("class=\"depth\"", 1),
        (">t1<", 2),
        (">t3<", 2),
        (">rollback<", 1),
        (">t4<", 1),
        (">t5<", 1),
        (">first sound<", 1),
        (">silent<", 1),
        (">microphone<", 1),
        (">650 ms<", 1),
        (">8.0 ms<", 1),
        (">6.0 ms<", 1),
        (">turn 0<", 1),
        (">turn 1<", 1),
        ("A red ball &amp; &lt;nothing&gt; else.", 1),
    ] {
        assert_eq!(count(&svg, part), times, "{part}");
    }
    assert_eq!(svg, draw(&session(), "Kitten answers"), "the same log gives the same bytes");
    if let Some(folder) = std::env::var_os("CARACAL_TIMELINE_OUT") {
        let folder = std::path::PathBuf::from(folder);
        std::fs::write(folder.join("session.svg"), &svg).expect("the folder that was asked for");
        let turn = draw_turn(&session(), 0, "Turn 0").expect("a turn");
        std::fs::write(folder.join("turn.svg"), turn).expect("the folder that was asked for");
    }
}

#[test]
fn nothing_is_drawn_outside_the_paper() {
    for svg in
        [draw(&session(), "all"), draw_turn(&session(), 0, "first").expect("a turn"), draw_turn(&session(), 1, "second").expect("a turn")]
    {
        assert_well_formed(&svg);
        let number = |text: &str| text.split('"').next().and_then(|n| n.parse::<f64>().ok()).expect("a number");
        let height = number(svg.split("height=\"").nth(1).expect("a height"));
        for x in [" x=\"", " x1=\"", " x2=\""].iter().flat_map(|key| svg.split(key).skip(1)) {
            assert!((0.0..=WIDTH).contains(&number(x)), "{}", &x[..20]);
        }
        for y in [" y=\"", " y1=\"", " y2=\""].iter().flat_map(|key| svg.split(key).skip(1)) {
            assert!((0.0..=height).contains(&number(y)), "{} of {height}", &y[..20]);
        }
    }
}

#[test]
fn one_turn_shows_only_its_time() {
    let svg = draw_turn(&session(), 0, "first").expect("a turn");
    assert!(count(&svg, ">t5<") == 1 && count(&svg, ">turn 0<") == 1 && count(&svg, ">turn 1<") == 0);
    assert_eq!(count(&svg, "class=\"speech\" x"), 3 + 1, "the interruption begins inside it");
    assert!(draw_turn(&session(), 2, "none").is_none());
}

#[test]
fn an_empty_log_is_a_picture_too() {
    let svg = draw(&Timeline::default(), "nothing happened");
    assert_well_formed(&svg);
    assert!(svg.contains("No turn in this picture."));
}

#[test]
fn labels_of_the_axis_are_few_and_round() {
    for (length, step) in
        [(1_000, 1_000), (13_999, 1_000), (14_000, 2_000), (650_000, 50_000), (12_000_000, 1_000_000), (3_600_000_000, 500_000_000)]
    {
        assert_eq!(tick(length), step, "{length}");
    }
}

#[test]
fn names_that_are_near_step_down() {
    let window = Window { from: Micros(0), to: Micros(10_000_000) };
    let mark = |at, name: &str| Mark { at: Micros(at), name: name.into(), meaning: "" };
    let marks = [mark(0, "first sound"), mark(10_000, "t4"), mark(20_000, "t5"), mark(5_000_000, "t1")];
    assert_eq!(place_names(&window, &marks.iter().collect::<Vec<_>>()), [0, 1, 2, 0]);
}
