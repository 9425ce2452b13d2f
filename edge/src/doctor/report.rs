//! The outcome of checks, for people and for programs.

use serde::Serialize;

use crate::command::paint::Paint;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It works.
    Ok,
    /// It is not there, and not needed for what is configured.
    Note,
    /// It does not work; a conversation would fail.
    Problem,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Check {
    /// It works.
    pub fn ok(found: impl Into<String>) -> Self {
        Self { name: "", verdict: Verdict::Ok, found: found.into(), advice: None }
    }

    /// It is not there, and not needed.
    pub fn note(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name: "", verdict: Verdict::Note, found: found.into(), advice: Some(advice.into()) }
    }

    /// It does not work.
    pub fn problem(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name: "", verdict: Verdict::Problem, found: found.into(), advice: Some(advice.into()) }
    }

    /// For an error whose text already says what to do.
    pub fn error(error: impl std::fmt::Display) -> Self {
        Self { name: "", verdict: Verdict::Problem, found: error.to_string(), advice: None }
    }
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In the order in which they ran.
    pub checks: Vec<Check>,
}

impl Report {
    fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }

    /// Whether a conversation can be held.
    pub fn healthy(&self) -> bool {
        self.count(Verdict::Problem) == 0
    }

    /// For people.
    pub fn text(&self, paint: Paint) -> String {
        let mut out = String::new();
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
        for check in &self.checks {
            let verdict = match check.verdict {
                Verdict::Ok => paint.green("works  "),
                Verdict::Note => paint.yellow("note   "),
                Verdict::Problem => paint.red("PROBLEM"),
            };
            out.push_str(&format!("  {verdict}  {:width$}  {}\n", check.name, check.found));
            if let Some(advice) = &check.advice {
                out.push_str(&format!("  {:7}  {:width$}  {}\n", "", "", paint.dim(&format!("→ {advice}"))));
            }
        }
        let (works, problems) = (self.count(Verdict::Ok), self.count(Verdict::Problem));
        out.push_str(&match problems {
            0 => format!("\n{works} checks passed: a conversation can be held.\n"),
            1 => format!("\n{works} checks passed, one thing must be mended first.\n"),
            _ => format!("\n{works} checks passed, {problems} things must be mended first.\n"),
        });
        out
    }

    /// For programs.
    pub fn json(&self) -> String {
        let report = serde_json::json!({ "ok": self.healthy(), "checks": self.checks });
        serde_json::to_string_pretty(&report).expect("text and booleans")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let checks =
            [("clock", Check::ok("fine")), ("devices", Check::note("none", "use files")), ("link", Check::problem("cut", "mend it"))];
        Report { checks: checks.map(|(name, check)| Check { name, ..check }).into() }
    }

    #[test]
    fn the_text_names_every_check_and_what_to_do() {
        let text = report().text(Paint::plain());
        for part in [
            "works    clock    fine",
            "note     devices  none",
            "→ use files",
            "PROBLEM  link     cut",
            "→ mend it",
            "one thing must be mended",
        ] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "colours only where they are asked for");
        assert!(report().text(Paint::coloured()).contains("\u{1b}[31mPROBLEM\u{1b}[0m"));
    }

    #[test]
    fn json_is_for_programs_and_a_note_is_no_problem() {
        let json: serde_json::Value = serde_json::from_str(&report().json()).expect("JSON");
        assert_eq!((&json["ok"], &json["checks"][2]["verdict"]), (&false.into(), &"problem".into()));
        let mut healthy = report();
        healthy.checks.pop();
        assert!(healthy.healthy() && healthy.json().contains("\"ok\": true"));
        assert!(healthy.text(Paint::plain()).contains("a conversation can be held"));
    }
}
