//! What a key's value can be, and how it is written.

use std::path::PathBuf;

use caracal_shared::machine::Micros;
use toml::de::DeValue;

use super::quantity::{ByteSize, Hertz, Kind, RATE, SIZE, TIME};

/// A value that a configuration file can hold.
pub trait Setting: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// What was expected, for people.
    fn read(value: &DeValue) -> Result<Self, String>;

    /// As TOML.
    fn write(&self) -> String;
}

/// A setting that is one of a few words.
pub trait Choice: Copy + PartialEq + 'static {
    /// Every word with its meaning.
    const WORDS: &'static [(&'static str, Self)];
}

impl<C: Choice> Setting for C {
    fn read(value: &DeValue) -> Result<Self, String> {
        let known = || C::WORDS.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let DeValue::String(text) = value else { return Err(format!("expected one of {}", known())) };
        C::WORDS.iter().find(|(word, _)| word == text).map(|(_, choice)| *choice).ok_or_else(|| {
            match super::nearest(text, C::WORDS.iter().map(|(word, _)| *word)) {
                Some(word) => format!("did you mean `{word}`? Expected one of {}", known()),
                None => format!("expected one of {}", known()),
            }
        })
    }

    fn write(&self) -> String {
        let (word, _) = C::WORDS.iter().find(|(_, choice)| choice == self).expect("every choice has a word");
        quote(word)
    }
}

fn quote(text: &str) -> String {
    toml::Value::String(text.into()).to_string()
}

fn quantity(kind: &Kind, value: &DeValue) -> Result<u64, String> {
    match value {
        DeValue::String(text) => kind.parse(text),
        DeValue::Integer(number) => Err(format!("the unit is missing: write \"{number} …\", {} in quotes", kind.what)),
        _ => Err(format!("expected {} in quotes", kind.what)),
    }
}

impl Setting for Micros {
    fn read(value: &DeValue) -> Result<Self, String> {
        quantity(&TIME, value).map(Micros)
    }

    fn write(&self) -> String {
        quote(&TIME.show(self.0))
    }
}

impl Setting for ByteSize {
    fn read(value: &DeValue) -> Result<Self, String> {
        quantity(&SIZE, value).map(ByteSize)
    }

    fn write(&self) -> String {
        quote(&self.to_string())
    }
}

impl Setting for Hertz {
    fn read(value: &DeValue) -> Result<Self, String> {
        let hertz = quantity(&RATE, value)?;
        u32::try_from(hertz).map(Hertz).map_err(|_| format!("too large: expected {}", RATE.what))
    }

    fn write(&self) -> String {
        quote(&self.to_string())
    }
}

impl Setting for bool {
    fn read(value: &DeValue) -> Result<Self, String> {
        match value {
            DeValue::Boolean(value) => Ok(*value),
            _ => Err("expected true or false, without quotes".into()),
        }
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Setting for u32 {
    fn read(value: &DeValue) -> Result<Self, String> {
        let expected = || "expected a whole number without unit and quotes, at most 4294967295".to_string();
        match value {
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).map_err(|_| expected()),
            _ => Err(expected()),
        }
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Setting for f32 {
    fn read(value: &DeValue) -> Result<Self, String> {
        let text = match value {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            _ => "",
        };
        text.parse().ok().filter(|number: &f32| number.is_finite()).ok_or_else(|| "expected a number such as 0.5, without quotes".into())
    }

    fn write(&self) -> String {
        format!("{self:?}")
    }
}

impl Setting for String {
    fn read(value: &DeValue) -> Result<Self, String> {
        match value {
            DeValue::String(text) => Ok(text.to_string()),
            _ => Err("expected text in quotes".into()),
        }
    }

    fn write(&self) -> String {
        quote(self)
    }
}

/// A file or folder; empty text means that none is named.
impl Setting for Option<PathBuf> {
    fn read(value: &DeValue) -> Result<Self, String> {
        let text = String::read(value)?;
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    fn write(&self) -> String {
        quote(&self.as_ref().map_or(String::new(), |path| path.display().to_string()))
    }
}

/// A file or folder that must be named.
impl Setting for PathBuf {
    fn read(value: &DeValue) -> Result<Self, String> {
        Option::read(value)?.ok_or_else(|| "expected the name of a file or folder in quotes".into())
    }

    fn write(&self) -> String {
        quote(&self.display().to_string())
    }
}
