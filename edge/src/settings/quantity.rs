//! Numbers with units. A bare number is refused: nobody can see from `650` whether milliseconds or seconds were meant.

use std::fmt;

use caracal_shared::machine::Micros;

/// A rate in events a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hertz(pub u32);

/// A size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// A kind of quantity: its units with their sizes, the one that values are shown in first by preference.
pub struct Kind {
    /// For people, with an example.
    pub what: &'static str,
    /// Names and factors to the base unit, which has factor 1; rising.
    pub units: &'static [(&'static str, u64)],
    /// The unit of nothing at all.
    pub zero: &'static str,
}

/// Times, in microseconds.
pub const TIME: Kind = Kind {
    what: "a time such as `650 ms`",
    units: &[("us", 1), ("ms", 1_000), ("s", 1_000_000), ("min", 60_000_000), ("h", 3_600_000_000)],
    zero: "ms",
};
/// Rates, in hertz.
pub const RATE: Kind = Kind { what: "a rate such as `16 kHz`", units: &[("Hz", 1), ("kHz", 1_000), ("MHz", 1_000_000)], zero: "Hz" };
/// Sizes, in bytes.
pub const SIZE: Kind = Kind {
    what: "a size such as `2 MB`",
    units: &[("B", 1), ("kB", 1_000), ("KiB", 1 << 10), ("MB", 1_000_000), ("MiB", 1 << 20), ("GB", 1_000_000_000), ("GiB", 1 << 30)],
    zero: "B",
};

impl Kind {
    /// Reads `text`, exactly: `1.5 ms` is 1500, and what is finer than the base unit is refused.
    ///
    /// # Errors
    /// What is wrong and what was expected.
    pub fn parse(&self, text: &str) -> Result<u64, String> {
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = (&text[..split], text[split..].trim());
        let names = || self.units.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        if number.is_empty() {
            return Err(format!("expected {}", self.what));
        }
        if unit.is_empty() {
            return Err(format!("the unit is missing: expected {}; units are {}", self.what, names()));
        }
        let Some((_, factor)) = self.units.iter().find(|(name, _)| *name == unit) else {
            let meant = self.units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
            let meant = meant.map_or(String::new(), |(name, _)| format!(" (did you mean `{name}`?)"));
            return Err(format!("unknown unit `{unit}`{meant}: units are {}", names()));
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| text.parse::<u64>().map_err(|_| format!("`{number}` is no usable number: expected {}", self.what));
        let scale = 10u128.checked_pow(fraction.len() as u32).filter(|_| fraction.len() <= 18);
        let scale = scale.ok_or_else(|| format!("`{number}` has too many digits: expected {}", self.what))?;
        // Below 2^64 * 10^18 + 2^64, which fits; the factor may take it beyond.
        let scaled = u128::from(digits(whole)?) * scale + u128::from(digits(fraction)?);
        let scaled = scaled.checked_mul(u128::from(*factor)).ok_or_else(|| format!("too large: expected {}", self.what))?;
        if !scaled.is_multiple_of(scale) {
            return Err(format!("finer than 1 {}, which is the finest step", self.units[0].0));
        }
        u64::try_from(scaled / scale).map_err(|_| format!("too large: expected {}", self.what))
    }

    /// Writes `value` in the largest unit that needs no fraction.
    pub fn show(&self, value: u64) -> String {
        if value == 0 {
            return format!("0 {}", self.zero);
        }
        let unit = self.units.iter().rev().find(|(_, factor)| value.is_multiple_of(*factor) && value >= *factor);
        let (name, factor) = unit.unwrap_or(&self.units[0]);
        format!("{} {name}", value / factor)
    }
}

/// `650 ms`.
pub fn show_time(time: Micros) -> String {
    TIME.show(time.0)
}

impl fmt::Display for Hertz {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&RATE.show(u64::from(self.0)))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&SIZE.show(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_exactly() {
        for (kind, text, want) in [
            (&TIME, "650 ms", 650_000),
            (&TIME, "650ms", 650_000),
            (&TIME, " 0.65 s ", 650_000),
            (&TIME, "1.5 ms", 1_500),
            (&TIME, "2 min", 120_000_000),
            (&TIME, "0 s", 0),
            (&RATE, "16 kHz", 16_000),
            (&RATE, "44.1 kHz", 44_100),
            (&SIZE, "2 MB", 2_000_000),
            (&SIZE, "64 KiB", 65_536),
        ] {
            assert_eq!(kind.parse(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_what_was_expected() {
        for (kind, text, part) in [
            (&TIME, "650", "unit is missing"),
            (&TIME, "650 msec", "unknown unit `msec`"),
            (&TIME, "650 MS", "did you mean `ms`?"),
            (&TIME, "-5 ms", "expected a time"),
            (&TIME, "ms", "expected a time"),
            (&TIME, "", "expected a time"),
            (&TIME, "1.2.3 s", "no usable number"),
            (&TIME, ". s", "no usable number"),
            (&TIME, "0.5 us", "finer than 1 us"),
            (&TIME, "1.0000000000000000000000000000001 s", "too many digits"),
            (&TIME, "99999999999999999999 s", "no usable number"),
            (&TIME, "9999999999999999999 h", "too large"),
            (&TIME, "18446744073709551615.000000000000000001 h", "too large"),
            (&SIZE, "2 kb", "did you mean `kB`?"),
            (&RATE, "16 ms", "unknown unit `ms`"),
        ] {
            let error = kind.parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for (value, want) in [(650_000, "650 ms"), (1_000_000, "1 s"), (0, "0 ms"), (90_000_000, "90 s"), (7, "7 us")] {
            assert_eq!((TIME.show(value), TIME.parse(&TIME.show(value))), (want.to_string(), Ok(value)));
        }
        assert_eq!((Hertz(16_000).to_string(), ByteSize(65_536).to_string(), ByteSize(2_000_000).to_string()).0, "16 kHz");
        assert_eq!((ByteSize(65_536).to_string(), ByteSize(2_000_000).to_string()), ("64 KiB".into(), "2 MB".into()));
    }
}
