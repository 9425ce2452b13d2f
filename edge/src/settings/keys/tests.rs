//! Reading and printing by one description.

use super::*;
use crate::settings::{ByteSize, Choice, Hertz};
use caracal_shared::machine::Micros;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Colour {
    Red,
    Green,
}

impl Choice for Colour {
    const WORDS: &'static [(&'static str, Self)] = &[("red", Self::Red), ("green", Self::Green)];
}

#[derive(Debug, PartialEq)]
struct Lamp {
    name: String,
    colour: Colour,
    fade: Micros,
    rate: Hertz,
    memory: ByteSize,
    share: f32,
    count: u32,
    on: bool,
    file: Option<std::path::PathBuf>,
}

impl Default for Lamp {
    fn default() -> Self {
        Self {
            name: "a \"lamp\"".into(),
            colour: Colour::Red,
            fade: Micros(300_000),
            rate: Hertz(16_000),
            memory: ByteSize(2_000_000),
            share: 0.5,
            count: 3,
            on: true,
            file: None,
        }
    }
}

impl Settings for Lamp {
    fn describe(&mut self, keys: &mut Keys) {
        keys.key("name", &mut self.name, "What it is called.");
        keys.section("light", "How it shines.", |keys| {
            keys.key("colour", &mut self.colour, "Red or green.");
            let range = Range { min: Micros(0), max: Micros(1_000_000), because: "nobody waits longer" };
            keys.ranged("fade", &mut self.fade, range, "Time from dark to light.");
            keys.key("rate", &mut self.rate, "Flicker.");
            keys.ranged("share", &mut self.share, Range { min: 0.0, max: 1.0, because: "it is a share" }, "Of the light.");
        });
        keys.section("body", "What it is made of.", |keys| {
            keys.key("memory", &mut self.memory, "Of its chip.");
            keys.key("count", &mut self.count, "Of bulbs.");
            keys.key("on", &mut self.on, "At start.");
            keys.key("file", &mut self.file, "Of its manual.");
        });
    }

    fn contradictions(&self) -> Vec<String> {
        if self.count == 0 && self.on { vec!["`body.on` needs a bulb".into()] } else { Vec::new() }
    }
}

fn problems(text: &str) -> Vec<(Option<usize>, String)> {
    match read::<Lamp>(Path::new("lamp.toml"), text) {
        Err(ConfigError::Problems { problems, .. }) => problems.into_iter().map(|p| (p.line, p.text)).collect(),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn what_is_printed_reads_as_the_same() {
    let text = print(&mut Lamp::default(), "The lamp.");
    assert_eq!(read::<Lamp>(Path::new("lamp.toml"), &text).expect("printed"), Lamp::default(), "{text}");
    assert!(text.contains("# Time from dark to light. From 0 ms to 1 s.\nfade = \"300 ms\"\n"), "{text}");
    assert!(text.starts_with("# The lamp.\n") && text.contains("\n# How it shines.\n[light]\n"), "{text}");
    assert_eq!(read::<Lamp>(Path::new("lamp.toml"), "").expect("nothing changes nothing"), Lamp::default());
}

#[test]
fn values_are_taken() {
    let text = "name = 'b'\n[light]\ncolour = \"green\"\nfade = \"0.2 s\"\nshare = 1\n[body]\nmemory = \"64 KiB\"\ncount = 0x10\non = false\nfile = \"a/b\"\n";
    let lamp = read::<Lamp>(Path::new("lamp.toml"), text).expect("all right");
    let want = Lamp {
        name: "b".into(),
        colour: Colour::Green,
        fade: Micros(200_000),
        memory: ByteSize(65_536),
        share: 1.0,
        count: 16,
        on: false,
        file: Some("a/b".into()),
        ..Lamp::default()
    };
    assert_eq!(lamp, want);
}

#[test]
fn unknown_keys_are_refused_with_the_nearest() {
    for (text, line, part) in [
        ("nmae = \"x\"", 1, "unknown key `nmae`: did you mean `name`?"),
        ("\n[ligth]\nfade = \"1 s\"", 2, "unknown key `ligth`: did you mean `light`?"),
        ("[light]\n\nfaed = \"1 s\"", 3, "unknown key `light.faed`: did you mean `light.fade`?"),
        ("[body]\nfade = \"1 s\"", 2, "unknown key `body.fade`: did you mean `light.fade`?"),
        ("fade = \"1 s\"", 1, "unknown key `fade`: did you mean `light.fade`?"),
        ("[light]\nxyzzy = 1", 2, "unknown key `light.xyzzy`: remove it, or see `config --print`"),
    ] {
        let found = problems(text);
        assert!(found.len() == 1 && found[0].0 == Some(line) && found[0].1.contains(part), "{text}: {found:?}");
    }
}

#[test]
fn wrong_values_are_refused_with_what_was_expected() {
    for (text, part) in [
        ("[light]\nfade = \"2 s\"", "light.fade = \"2 s\": at most 1 s, because nobody waits longer"),
        ("[light]\nfade = 300", "light.fade = 300: the unit is missing"),
        ("[light]\nfade = \"300\"", "the unit is missing"),
        ("[light]\nshare = -0.1", "at least 0.0, because it is a share"),
        ("[light]\nshare = nan", "expected a number"),
        ("[light]\nshare = inf", "expected a number"),
        ("[light]\ncolour = \"gren\"", "did you mean `green`? Expected one of `red`, `green`"),
        ("[light]\ncolour = 1", "expected one of `red`, `green`"),
        ("[body]\ncount = -1", "expected a whole number"),
        ("[body]\ncount = 1.5", "expected a whole number"),
        ("[body]\non = \"yes\"", "expected true or false"),
        ("[body]\nfile = 3", "expected text in quotes"),
        ("light = 3", "`light` is a integer, expected a table: write `[light]`"),
        ("[body]\ncount = 0", "`body.on` needs a bulb"),
        ("name = ", "no TOML"),
    ] {
        let found = problems(text);
        assert!(found.len() == 1 && found[0].1.contains(part), "{text}: {found:?}");
    }
}

#[test]
fn every_problem_is_told_at_once_with_its_line() {
    let error = read::<Lamp>(Path::new("lamp.toml"), "[body]\ncount = \"x\"\non = 1\n[light]\nfaed = 1\n").unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 3, "{error}");
    assert!(lines[0].starts_with("lamp.toml:2: body.count") && lines[1].starts_with("lamp.toml:3: body.on"), "{error}");
    assert!(lines[2].starts_with("lamp.toml:5: unknown key `light.faed`"), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = read_file::<Lamp>(Path::new("no/such/lamp.toml")).unwrap_err().to_string();
    assert!(error.starts_with("no/such/lamp.toml: cannot be read") && error.contains("Check the path"), "{error}");
}

#[test]
fn damaged_files_are_refused_and_never_panic() {
    let whole = print(&mut Lamp::default(), "The lamp.");
    let mut seed = 1u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % below
    };
    let mut refused = 0;
    for _ in 0..3000 {
        let mut text: Vec<char> = whole.chars().collect();
        for _ in 0..=random(3) {
            let at = random(text.len());
            match random(3) {
                0 => drop(text.remove(at)),
                1 => text[at] = ['0', '9', '"', '[', '.', '-', 'é', '\n', '=', '#'][random(10)],
                _ => {
                    let other = text[random(text.len())];
                    text.insert(at, other);
                }
            }
        }
        let text: String = text.into_iter().collect();
        match read::<Lamp>(Path::new("lamp.toml"), &text) {
            Err(error) => {
                refused += 1;
                assert!(error.to_string().starts_with("lamp.toml"), "{error}");
            }
            Ok(mut lamp) => {
                let again = read::<Lamp>(Path::new("lamp.toml"), &print(&mut lamp, "")).expect("what is printed can be read");
                assert_eq!(again, lamp);
            }
        }
    }
    assert!((100..2900).contains(&refused), "{refused} of 3000 were refused");
}
