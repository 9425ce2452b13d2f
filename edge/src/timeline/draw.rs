//! The whole picture: lanes over a common time axis, marks across them, and a table of what the user waited for.

use caracal_shared::machine::Micros;

use super::event::{Cargo, Timeline, Work};
use super::lanes::{Heard, Lanes, Mark, Phase, Span};
use super::svg::{Anchor, Svg};
use super::times::{TurnTimes, turn_times};

const WIDTH: f64 = 1280.0;
/// Room for the names of lanes.
const LEFT: f64 = 128.0;
const RIGHT: f64 = 28.0;
const TITLE_BASE: f64 = 30.0;
const LEGEND_BASE: f64 = 52.0;
const MARKS_TOP: f64 = 66.0;
/// Height of one row of mark names, and how many there are before names may overlap.
const MARK_ROW: f64 = 15.0;
const MARK_ROWS: usize = 6;
const GAP: f64 = 10.0;
/// Width of a letter of the small text, on average.
const LETTER: f64 = 6.3;
/// Columns of the table: a long conversation shows its first turns; each turn has its own picture.
const TABLE_TURNS: usize = 8;
/// Letters of an answer below the table.
const ANSWER_LETTERS: usize = 170;
/// Shown before and after one turn.
const MARGIN: Micros = Micros(300_000);
/// Most labelled steps of the axis.
const TICKS_MAX: u64 = 14;

const STYLE: &str = "\
text{font-family:'DejaVu Sans',Verdana,sans-serif;font-size:11px;fill:#333}\
.paper{fill:#fff}.title{font-size:17px;font-weight:bold;fill:#111}.small{font-size:10px;fill:#666}.name{font-size:12px;fill:#111}\
.head{font-weight:bold}.strong{font-weight:bold;fill:#006a4e}.lane{fill:#f6f7f9}.grid{stroke:#000;stroke-opacity:.08}.axis{stroke:#999}\
.level{fill:#c3cedb;stroke:none}.speech{fill:#0072b2;fill-opacity:.75}.idle{fill:#e9ebee}.listen{fill:#9fc9e5}.hold{fill:#ffe9a8}\
.speculate{fill:#f0b13c}.speak{fill:#7fcdb1}.sound{stroke:#0072b2;stroke-width:2}.picture{stroke:#b0527f;stroke-width:3}\
.control{stroke:#888}.codes{stroke:#cc79a7;stroke-width:2}.hears{fill:#56b4e9}.sees{fill:#b0527f}.speaks{fill:#cc79a7}.held{fill:url(#held)}.discarded{fill:url(#discarded)}\
.played{fill:#009e73}.depth{fill:none;stroke:#555;stroke-width:1.2}.mark{stroke:#444;stroke-dasharray:3 3}\
.wait{fill:#009e73;fill-opacity:.12}.rule{stroke:#ccc}";

const PATTERNS: &str = "\
<pattern id=\"held\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
<rect width=\"6\" height=\"6\" fill=\"#fdf1d8\"/><rect width=\"3\" height=\"6\" fill=\"#e69f00\"/></pattern>\
<pattern id=\"discarded\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(-45)\">\
<rect width=\"6\" height=\"6\" fill=\"#fbe4da\"/><rect width=\"2\" height=\"6\" fill=\"#d55e00\"/></pattern>";

/// What the colours mean.
const LEGEND: &[(&str, &str)] = &[
    ("speech", "speech"),
    ("hold", "silence"),
    ("speculate", "answer on a guess"),
    ("hears", "hears"),
    ("sees", "sees"),
    ("speaks", "speaks"),
    ("held", "held behind the gate"),
    ("discarded", "discarded"),
    ("played", "played"),
    ("wait", "what the user waits: t4 to first sound"),
];

/// Draws a whole session as SVG.
pub fn draw(timeline: &Timeline, title: &str) -> String {
    let times = turn_times(timeline);
    picture(timeline, &times, title, Micros(0), timeline.end())
}

/// Draws turn number `index` (counted from 0, without withdrawn ones) as SVG; `None` when there is no such turn.
pub fn draw_turn(timeline: &Timeline, index: usize, title: &str) -> Option<String> {
    let times = turn_times(timeline);
    let of = times.get(index)?;
    let from = Micros(of.t1.0.saturating_sub(MARGIN.0));
    let to = of.end().after(MARGIN).min(timeline.end().max(of.end()));
    Some(picture(timeline, &times[index..=index], title, from, to))
}

fn picture(timeline: &Timeline, times: &[TurnTimes], title: &str, from: Micros, to: Micros) -> String {
    let lanes = Lanes::new(timeline);
    let window = Window { from, to: to.max(from.after(Micros(1000))) };
    let mut svg = Svg::default();
    svg.text("title", 16.0, TITLE_BASE, Anchor::Start, title);
    let long = format!("{} shown", seconds(Micros(window.to.0 - from.0)));
    svg.text("small", WIDTH - RIGHT, TITLE_BASE, Anchor::End, &long);
    legend(&mut svg);

    let marks: Vec<&Mark> = lanes.marks.iter().filter(|mark| window.contains(mark.at)).collect();
    let rows = place_names(&window, &marks);
    let used = rows.iter().max().map_or(0, |row| row + 1);
    let top = MARKS_TOP + used as f64 * MARK_ROW + 4.0;

    let mut canvas = Canvas { svg, window, y: top };
    canvas.lanes(&lanes);
    let bottom = canvas.y - GAP;
    canvas.axis(top, bottom);
    for wait in times.iter().filter_map(|t| Some((t.t4?, t.first_sound?))) {
        if let Some((x, width)) = canvas.window.clip(wait.0, wait.1) {
            canvas.svg.rect("wait", x, top, width, bottom - top, "");
        }
    }
    let top_of = |row: usize| MARKS_TOP + row as f64 * MARK_ROW;
    for (mark, row) in marks.iter().zip(&rows) {
        let tip = format!("{}: {} at {}", mark.name, mark.meaning, seconds(mark.at));
        let x = canvas.window.x(mark.at);
        canvas.svg.line("mark", (x, top_of(*row) + 3.0), (x, bottom), &tip);
    }
    // Names after all lines and on paper of their own, so that no line crosses one.
    for (mark, row) in marks.iter().zip(&rows) {
        let (x, y) = (canvas.window.x(mark.at) + 3.0, top_of(*row));
        let width = (mark.name.len() as f64 * LETTER).min(WIDTH - x);
        canvas.svg.rect("paper", x - 1.0, y + 1.0, width, MARK_ROW - 3.0, "");
        canvas.svg.text("", x, y + 11.0, Anchor::Start, &mark.name);
    }
    canvas.y = bottom + 44.0;
    canvas.table(times);
    canvas.answers(times);
    if timeline.left_out() > 0 {
        let note = format!("{} later events found no room in the log", timeline.left_out());
        canvas.svg.text("small", 16.0, canvas.y, Anchor::Start, &note);
        canvas.y += 16.0;
    }
    let height = canvas.y + 8.0;
    canvas.svg.finish(WIDTH, height, title, STYLE, PATTERNS)
}

fn legend(svg: &mut Svg) {
    let mut x = 16.0;
    for (class, name) in LEGEND {
        svg.rect(class, x, LEGEND_BASE - 9.0, 14.0, 10.0, "");
        svg.text("small", x + 18.0, LEGEND_BASE, Anchor::Start, name);
        x += 18.0 + name.len() as f64 * LETTER + 14.0;
    }
}

/// The row of each mark's name: the first in which it does not touch its neighbour, so that names near each other step down.
fn place_names(window: &Window, marks: &[&Mark]) -> Vec<usize> {
    let mut free = [0.0; MARK_ROWS];
    marks
        .iter()
        .map(|mark| {
            let x = window.x(mark.at);
            let row = free.iter().position(|end| *end <= x).unwrap_or(MARK_ROWS - 1);
            free[row] = x + mark.name.len() as f64 * LETTER + 8.0;
            row
        })
        .collect()
}

/// The time that is shown.
#[derive(Clone, Copy)]
struct Window {
    from: Micros,
    to: Micros,
}

impl Window {
    fn contains(&self, at: Micros) -> bool {
        (self.from..=self.to).contains(&at)
    }

    fn x(&self, at: Micros) -> f64 {
        let share = (at.0 as f64 - self.from.0 as f64) / (self.to.0 - self.from.0) as f64;
        LEFT + share * (WIDTH - LEFT - RIGHT)
    }

    /// Left end and width of what is visible of a span; nothing is too short to be seen.
    fn clip(&self, from: Micros, to: Micros) -> Option<(f64, f64)> {
        if to < self.from || from > self.to {
            return None;
        }
        let (from, to) = (self.x(from.max(self.from)), self.x(to.min(self.to)));
        Some((from, (to - from).max(1.0)))
    }
}

/// The picture down to `y`.
struct Canvas {
    svg: Svg,
    window: Window,
    y: f64,
}

impl Canvas {
    /// Draws the background and name of a lane and returns its top.
    fn lane(&mut self, name: &str, note: &str, height: f64) -> f64 {
        let y = self.y;
        self.svg.rect("lane", LEFT, y, WIDTH - LEFT - RIGHT, height, "");
        let base = y + height / 2.0 + if note.is_empty() { 4.0 } else { -1.0 };
        self.svg.text("name", 16.0, base, Anchor::Start, name);
        if !note.is_empty() {
            self.svg.text("small", 16.0, base + 13.0, Anchor::Start, note);
        }
        self.y += height + GAP;
        y
    }

    fn span(&mut self, class: &str, span: (Micros, Micros), y: f64, height: f64, tip: &str) -> Option<(f64, f64)> {
        let (x, width) = self.window.clip(span.0, span.1)?;
        self.svg.rect(class, x, y, width, height, &format!("{tip}, {} from {}", seconds(Micros(span.1.0 - span.0.0)), seconds(span.0)));
        Some((x, width))
    }

    fn lanes(&mut self, lanes: &Lanes) {
        self.microphone(lanes);
        let y = self.lane("turn", "state", 30.0);
        for Span { from, to, what } in &lanes.phases {
            let name = what.name();
            if let Some((x, width)) = self.span(name, (*from, *to), y, 30.0, name)
                && width > name.len() as f64 * LETTER + 6.0
                && *what != Phase::Idle
            {
                self.svg.text("", x + width / 2.0, y + 19.0, Anchor::Middle, name);
            }
        }
        // What took no part is left out: listening alone has no accelerator.
        if !lanes.sent.is_empty() {
            self.uplink(lanes);
        }
        if !lanes.received.is_empty() {
            self.downlink(lanes);
        }
        if !lanes.work.is_empty() {
            self.accelerator(lanes);
        }
        if !lanes.heard.is_empty() {
            self.answer(lanes);
        }
        self.queues(lanes);
    }

    fn accelerator(&mut self, lanes: &Lanes) {
        let y = self.lane("accelerator", "perceives, speaks", 34.0);
        for Span { from, to, what } in &lanes.work {
            let (class, offset) = match what {
                Work::Hear => ("hears", 2.0),
                Work::See => ("sees", 2.0),
                Work::Speak => ("speaks", 18.0),
            };
            self.span(class, (*from, *to), y + offset, 14.0, class);
        }
    }

    fn answer(&mut self, lanes: &Lanes) {
        let y = self.lane("answer", "held, played", 34.0);
        for Span { from, to, what } in &lanes.heard {
            let (class, attempt, offset) = match what {
                Heard::Held(attempt) => ("held", attempt, 2.0),
                Heard::Discarded(attempt) => ("discarded", attempt, 2.0),
                Heard::Played(attempt) => ("played", attempt, 18.0),
            };
            self.span(class, (*from, *to), y + offset, 14.0, &format!("{class}, attempt {}", attempt.0));
        }
    }

    fn microphone(&mut self, lanes: &Lanes) {
        const HEIGHT: f64 = 48.0;
        let y = self.lane("microphone", "speech", HEIGHT);
        let shown: Vec<_> = lanes.levels.iter().filter(|(at, _)| self.window.contains(*at)).collect();
        if let (Some((first, _)), Some((last, _))) = (shown.first(), shown.last()) {
            // The root lets quiet speech be seen beside loud.
            let top = |level: f32| y + HEIGHT - f64::from(level.clamp(0.0, 1.0)).sqrt() * (HEIGHT - 4.0);
            let ends = ((self.window.x(*first), y + HEIGHT), (self.window.x(*last), y + HEIGHT));
            let curve = shown.iter().map(|(at, level)| (self.window.x(*at), top(*level)));
            let points: Vec<_> = std::iter::once(ends.0).chain(curve).chain(std::iter::once(ends.1)).collect();
            self.svg.polyline("level", points);
        }
        for Span { from, to, .. } in &lanes.speech {
            self.span("speech", (*from, *to), y + HEIGHT - 8.0, 8.0, "speech");
        }
    }

    fn uplink(&mut self, lanes: &Lanes) {
        let y = self.lane("uplink", "sound, pictures", 34.0);
        for (at, cargo, bytes) in lanes.sent.iter().filter(|(at, ..)| self.window.contains(*at)) {
            let (class, top, bottom) = match cargo {
                Cargo::Sound => ("sound", 4.0, 16.0),
                Cargo::Picture => ("picture", 18.0, 31.0),
                Cargo::Control => ("control", 12.0, 22.0),
            };
            let x = self.window.x(*at);
            self.svg.line(class, (x, y + top), (x, y + bottom), &format!("{class}, {bytes} bytes at {}", seconds(*at)));
        }
    }

    fn downlink(&mut self, lanes: &Lanes) {
        let y = self.lane("downlink", "codes", 24.0);
        for (at, frames, bytes) in lanes.received.iter().filter(|(at, ..)| self.window.contains(*at)) {
            let x = self.window.x(*at);
            self.svg.line("codes", (x, y + 4.0), (x, y + 20.0), &format!("{frames} frames, {bytes} bytes at {}", seconds(*at)));
        }
    }

    fn queues(&mut self, lanes: &Lanes) {
        const HEIGHT: f64 = 26.0;
        for queue in &lanes.queues {
            let most = queue.steps.iter().map(|(_, entries)| *entries).max().unwrap_or(0);
            let y = self.lane(queue.queue, &format!("queue, at most {most}"), HEIGHT);
            let height = |entries: u32| y + HEIGHT - 2.0 - f64::from(entries) / f64::from(most.max(1)) * (HEIGHT - 5.0);
            // What it was when the window begins, every change inside, and the same level to the end.
            let before = queue.steps.iter().rev().find(|(at, _)| *at < self.window.from).map_or(0, |(_, entries)| *entries);
            let mut points = vec![(LEFT, height(before))];
            let mut last = before;
            for (at, entries) in queue.steps.iter().filter(|(at, _)| self.window.contains(*at)) {
                let x = self.window.x(*at);
                points.extend([(x, height(last)), (x, height(*entries))]);
                last = *entries;
            }
            points.push((WIDTH - RIGHT, height(last)));
            self.svg.polyline("depth", points);
        }
    }

    fn axis(&mut self, top: f64, bottom: f64) {
        let step = tick(self.window.to.0 - self.window.from.0);
        let mut at = Micros(self.window.from.0.next_multiple_of(step));
        while at <= self.window.to {
            let x = self.window.x(at);
            self.svg.line("grid", (x, top), (x, bottom + 4.0), "");
            self.svg.text("small", x, bottom + 16.0, Anchor::Middle, &format!("{} s", at.0 as f64 / 1e6));
            at = at.after(Micros(step));
        }
        self.svg.line("axis", (LEFT, bottom + 2.0), (WIDTH - RIGHT, bottom + 2.0), "");
    }

    fn table(&mut self, times: &[TurnTimes]) {
        const NAMES: f64 = 250.0;
        const COLUMN: f64 = 105.0;
        const ROW: f64 = 17.0;
        let shown = &times[..times.len().min(TABLE_TURNS)];
        let Some(first) = shown.first() else {
            self.svg.text("", 16.0, self.y, Anchor::Start, "No turn in this picture.");
            self.y += ROW;
            return;
        };
        let column = |i: usize| 16.0 + NAMES + (i + 1) as f64 * COLUMN;
        self.svg.text("head", 16.0, self.y, Anchor::Start, "what the user waits for");
        for (i, of) in shown.iter().enumerate() {
            self.svg.text("head", column(i), self.y, Anchor::End, &format!("turn {}", of.turn.0));
        }
        self.svg.line("rule", (16.0, self.y + 5.0), (column(shown.len() - 1), self.y + 5.0), "");
        self.y += ROW + 3.0;
        for (row, (name, _)) in first.latencies().iter().enumerate() {
            let goal = name.starts_with("end of turn");
            self.svg.text(if goal { "strong" } else { "" }, 16.0, self.y, Anchor::Start, name);
            for (i, of) in shown.iter().enumerate() {
                let value = of.latencies()[row].1.map_or("–".into(), seconds);
                self.svg.text(if goal { "strong" } else { "" }, column(i), self.y, Anchor::End, &value);
            }
            self.y += ROW;
        }
        self.svg.text("", 16.0, self.y, Anchor::Start, "guesses taken back");
        for (i, of) in shown.iter().enumerate() {
            self.svg.text("", column(i), self.y, Anchor::End, &of.rollbacks.to_string());
        }
        self.y += ROW;
        if times.len() > shown.len() {
            let note = format!("and {} more turns", times.len() - shown.len());
            self.svg.text("small", 16.0, self.y, Anchor::Start, &note);
            self.y += ROW;
        }
        self.y += 6.0;
    }

    fn answers(&mut self, times: &[TurnTimes]) {
        for of in times.iter().take(TABLE_TURNS).filter(|of| !of.text.is_empty()) {
            let mut text: String = of.text.chars().take(ANSWER_LETTERS).collect();
            if text.len() < of.text.len() {
                text.push('…');
            }
            self.svg.text("", 16.0, self.y, Anchor::Start, &format!("turn {} answers: {text}", of.turn.0));
            self.y += 17.0;
        }
    }
}

/// The distance of labels on the axis: 1, 2 or 5 times a power of ten.
fn tick(length: u64) -> u64 {
    let mut step = 1_000;
    loop {
        for factor in [1, 2, 5] {
            if length / (step * factor) < TICKS_MAX {
                return step * factor;
            }
        }
        step *= 10;
    }
}

/// A time for people: milliseconds below a second.
fn seconds(time: Micros) -> String {
    match time.0 {
        micros @ 0..10_000 => format!("{:.1} ms", micros as f64 / 1e3),
        micros @ 10_000..1_000_000 => format!("{:.0} ms", micros as f64 / 1e3),
        micros => format!("{:.2} s", micros as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests;
