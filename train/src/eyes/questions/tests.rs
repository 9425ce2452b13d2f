//! What questions and answers must hold.

use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng;

use super::*;

const CASES: usize = 20_000;

fn pictures(seed: u64, split: Split) -> Vec<(String, u64, String, String)> {
    let mut rng = StdRng::seed_from_u64(seed);
    let case = |_| {
        let (scene, question, answer) = picture_case(&mut rng, split);
        (scene.description(), scene.look.seed, question, answer)
    };
    (0..CASES).map(case).collect()
}

fn clips(seed: u64, split: Split) -> Vec<(String, u64, String, String)> {
    let mut rng = StdRng::seed_from_u64(seed);
    let case = |_| {
        let (clip, question, answer) = clip_case(&mut rng, split);
        (clip.description(), clip.look.seed, question, answer)
    };
    (0..CASES).map(case).collect()
}

#[test]
fn evaluation_shares_neither_scenes_nor_questions_about_them_nor_grain_with_training() {
    for draw in [pictures, clips] {
        let (train, held_out) = (draw(1, Split::Train), draw(1, Split::HeldOut));
        let scenes = |cases: &[(String, u64, String, String)]| cases.iter().map(|c| c.0.clone()).collect::<BTreeSet<_>>();
        let asked = |cases: &[(String, u64, String, String)]| cases.iter().map(|c| (c.0.clone(), c.2.clone())).collect::<BTreeSet<_>>();
        let grain = |cases: &[(String, u64, String, String)]| cases.iter().map(|c| c.1).collect::<BTreeSet<_>>();
        assert!(scenes(&held_out).len() > 1000, "{} scenes held out", scenes(&held_out).len());
        assert!(scenes(&train).is_disjoint(&scenes(&held_out)));
        assert!(asked(&train).is_disjoint(&asked(&held_out)));
        assert!(grain(&train).is_disjoint(&grain(&held_out)));
        // Not by luck: the description alone decides.
        assert!(train.iter().all(|case| Split::of(&case.0) == Split::Train));
        assert!(held_out.iter().all(|case| Split::of(&case.0) == Split::HeldOut));
    }
}

#[test]
fn a_seed_draws_the_same_again() {
    assert!(pictures(7, Split::Train)[..50] == pictures(7, Split::Train)[..50]);
    assert!(clips(7, Split::HeldOut)[..50] == clips(7, Split::HeldOut)[..50]);
}

#[test]
fn everything_can_be_asked_in_six_ways() {
    for ways in [
        WHAT,
        HOW_MANY,
        WHERE,
        WHAT_IS_THERE,
        WHICH_COLOUR,
        WHICH_SHAPE,
        BIGGER,
        BIGGER_OF,
        IS_BIGGER,
        IS_RELATED,
        WHAT_IS_RELATED,
        WHICH_WAY,
        WHAT_HAPPENED,
        WHAT_CHANGED,
        WHEN,
    ] {
        assert!(ways.iter().collect::<BTreeSet<_>>().len() >= 6, "{ways:?}");
    }
}

#[test]
fn questions_are_written_as_speech_and_answers_as_sentences() {
    for (_, _, question, answer) in [pictures(3, Split::Train), clips(3, Split::Train)].concat() {
        let words = question.strip_suffix('?').unwrap_or(&question);
        assert!(words.chars().all(|c| c.is_ascii_lowercase() || " ,".contains(c)), "{question}");
        assert!(answer.starts_with(|c: char| c.is_ascii_uppercase()) && answer.ends_with('.'), "{answer}");
        assert!(answer.chars().all(|c| c.is_ascii_alphabetic() || " ,.".contains(c)), "{answer}");
    }
}

/// One picture and one question have one answer: a question that leaves open what is meant would show here.
#[test]
fn the_same_question_about_the_same_scene_has_one_answer() {
    for cases in [pictures(5, Split::Train), clips(5, Split::Train)] {
        let mut answers = BTreeMap::new();
        for (scene, _, question, answer) in cases {
            // Relations depend on where inside their places the shapes stand.
            if question.contains("left of") || question.contains("right of") || question.contains("above") || question.contains("below") {
                continue;
            }
            assert_eq!(answers.entry((scene.clone(), question.clone())).or_insert(answer.clone()), &answer, "{scene}: {question}");
        }
    }
}

#[test]
fn answers_are_right() {
    let object = |shape, colour, size, place| Object { shape, colour, size, place, x: 0.0, y: 0.0, radius: 1.0, turn: 0.0 };
    let scene = [
        Object { x: 40.0, y: 30.0, ..object(Shape::Circle, Colour::Red, Size::Small, Place::TopLeft) },
        Object { x: 180.0, y: 190.0, ..object(Shape::Cross, Colour::Orange, Size::Large, Place::BottomRight) },
    ];
    let mut rng = StdRng::seed_from_u64(1);
    let mut seen = BTreeSet::new();
    for kind in PictureKind::ALL {
        for _ in 0..500 {
            let (question, answer) = kind.ask(&mut rng, &scene);
            seen.insert(format!("{question} {answer}"));
        }
    }
    for wanted in [
        "what do you see? I see a red circle and an orange cross.",
        "how many shapes are there? The number of shapes is two.",
        "count the circles The number of circles is one.",
        "where is the orange cross? The orange cross is at the bottom right.",
        "what is at the top left? At the top left is a red circle.",
        "what is in the middle? In the middle is nothing.",
        "what colour is the cross? The cross is orange.",
        "which shape is red? The red shape is a circle.",
        "which is bigger? The orange cross is bigger.",
        "which is smaller? The red circle is smaller.",
        "is the red circle bigger than the orange cross? The orange cross is bigger.",
        "is the red circle left of the orange cross? The red circle is left of the orange cross.",
        "is the red circle below the orange cross? The red circle is above the orange cross.",
        "what is right of the red circle? Right of the red circle is an orange cross.",
        "what is above the red circle? Above the red circle is nothing.",
    ] {
        assert!(seen.contains(wanted), "{wanted}");
    }
}

#[test]
fn what_happens_in_a_clip_is_told_and_shown_by_the_unit_of_its_second() {
    let mut rng = StdRng::seed_from_u64(2);
    let mut told_of = BTreeSet::new();
    for _ in 0..2000 {
        let (clip, _, _) = clip_case(&mut rng, Split::Train);
        let words = told(&clip);
        told_of.insert(words.split(' ').nth(2).unwrap_or("").to_string());
        if let Some(unit) = clip.second_shown() {
            let states: Vec<_> = clip.live_times().iter().map(|times| times.map(|time| clip.objects_at(time))).collect();
            assert!(states.iter().enumerate().all(|(index, [first, second])| index == unit || first == second));
            assert!(states[unit][1] != states[unit - 1][1], "{words}");
            assert_eq!(states[unit][0] != states[unit][1], clip.happening(clip.live_times()[unit]).is_some(), "{words}");
            assert!(words.ends_with(&format!("at second {}.", number(unit as i32))), "{words}");
        }
    }
    assert!(["moved", "turned", "disappeared"].iter().all(|verb| told_of.contains(*verb)), "{told_of:?}");
}

#[test]
fn shapes_stand_inside_the_picture_and_clear_of_each_other() {
    let mut rng = StdRng::seed_from_u64(4);
    for _ in 0..3000 {
        let (scene, _, _) = picture_case(&mut rng, Split::Train);
        let objects = &scene.objects;
        for (index, object) in objects.iter().enumerate() {
            let inside = |at: f32| at >= object.radius && at <= super::super::scene::SIDE - object.radius;
            assert!(inside(object.x) && inside(object.y), "{object:?}");
            assert!(objects[..index].iter().all(|other| object.clear_of(other)), "{objects:?}");
        }
    }
}
