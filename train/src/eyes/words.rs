//! How shapes and relations are said.

use super::scene::{Object, Place, Shape};

/// Where one shape is, seen from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Further to the left.
    LeftOf,
    /// Further to the right.
    RightOf,
    /// Further up.
    Above,
    /// Further down.
    Below,
}

impl Relation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::LeftOf, Self::RightOf, Self::Above, Self::Below];

    /// How it is said.
    pub fn word(self) -> &'static str {
        match self {
            Relation::LeftOf => "left of",
            Relation::RightOf => "right of",
            Relation::Above => "above",
            Relation::Below => "below",
        }
    }

    /// What holds the other way round.
    pub fn opposite(self) -> Self {
        match self {
            Relation::LeftOf => Relation::RightOf,
            Relation::RightOf => Relation::LeftOf,
            Relation::Above => Relation::Below,
            Relation::Below => Relation::Above,
        }
    }

    /// By how many pixels it holds of `a` seen from `b`; negative: the opposite does.
    pub fn distance(self, a: &Object, b: &Object) -> f32 {
        match self {
            Relation::LeftOf => b.x - a.x,
            Relation::RightOf => a.x - b.x,
            Relation::Above => b.y - a.y,
            Relation::Below => a.y - b.y,
        }
    }
}

/// "circles", "crosses".
pub fn plural(shape: Shape) -> String {
    format!("{}{}", shape.word(), if shape == Shape::Cross { "es" } else { "s" })
}

/// "a red circle", "an orange star".
pub fn with_article(name: &str) -> String {
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {name}")
}

/// "a red circle, a blue square and an orange star".
pub fn listed(objects: &[Object]) -> String {
    let names: Vec<String> = objects.iter().map(|object| with_article(&object.name())).collect();
    match names.as_slice() {
        [] => "nothing".to_string(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// The sentence with a capital at its start.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Whether two places lie in different columns, or in different rows.
pub fn differ(a: Place, b: Place, relation: Relation) -> bool {
    match relation {
        Relation::LeftOf | Relation::RightOf => a.column() != b.column(),
        Relation::Above | Relation::Below => a.row() != b.row(),
    }
}
