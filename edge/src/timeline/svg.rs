//! Shapes and text as SVG.

use std::fmt::Write;

/// A picture that is being drawn. Coordinates are pixels from the top left; numbers are written with one decimal, so that
/// the same picture is the same bytes everywhere.
#[derive(Clone, Debug, Default)]
pub struct Svg {
    body: String,
}

/// Where a text stands relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// To its right.
    Start,
    /// Centred.
    Middle,
    /// To its left.
    End,
}

impl Svg {
    /// A rectangle with the class that gives its colour; `tip` is shown when the mouse rests on it.
    pub fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64, tip: &str) {
        let _ = write!(self.body, "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"");
        match tip {
            "" => self.body.push_str("/>\n"),
            tip => {
                let _ = writeln!(self.body, "><title>{}</title></rect>", escape(tip));
            }
        }
    }

    /// A straight line; `tip` as in [`Svg::rect`].
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64), tip: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = write!(self.body, "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"");
        match tip {
            "" => self.body.push_str("/>\n"),
            tip => {
                let _ = writeln!(self.body, "><title>{}</title></line>", escape(tip));
            }
        }
    }

    /// A line through points, or the area that it bounds, by its class.
    pub fn polyline(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let points: Vec<String> = points.into_iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        if !points.is_empty() {
            let _ = writeln!(self.body, "<polyline class=\"{class}\" points=\"{}\"/>", points.join(" "));
        }
    }

    /// One line of text.
    pub fn text(&mut self, class: &str, x: f64, y: f64, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = writeln!(self.body, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escape(text));
    }

    /// The whole file: `description` is for people who cannot see it, `style` and `patterns` are CSS and SVG definitions.
    pub fn finish(self, width: f64, height: f64, description: &str, style: &str, patterns: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             role=\"img\">\n<title>{}</title>\n<style>{style}</style>\n<defs>{patterns}</defs>\n\
             <rect class=\"paper\" x=\"0\" y=\"0\" width=\"{width:.0}\" height=\"{height:.0}\"/>\n{}</svg>\n",
            escape(description),
            self.body
        )
    }
}

/// Text that stands for itself in XML. Control characters, which XML does not allow, become a visible mark.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(escape("a<b>&\"c\"\n\u{7}"), "a&lt;b&gt;&amp;&quot;c&quot; \u{fffd}");
        let mut svg = Svg::default();
        svg.text("t", 1.0, 2.25, Anchor::Start, "</text><script>");
        svg.rect("r", 0.0, 0.0, 1.0, 1.0, "<tip>");
        svg.polyline("p", []);
        let file = svg.finish(10.0, 20.0, "d & e", "", "");
        assert!(!file.contains("<script>") && file.contains("&lt;tip&gt;") && file.contains("<title>d &amp; e</title>"), "{file}");
        assert!(!file.contains("polyline") && file.contains("y=\"2.2\""), "{file}");
    }
}
