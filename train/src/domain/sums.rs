//! Sums and differences of numbers up to twenty, products up to a hundred.

use rand::Rng;
use rand::rngs::StdRng;

use super::numbers::number;
use super::phrasing::{one, question, sentence, wish};
use super::{Exchange, Mind, Skill};

/// Largest number that is added or taken away.
const LARGEST: i32 = 20;
/// Largest product.
const PRODUCT_MAX: i32 = 100;

/// One sum, difference or product.
pub fn exchange(rng: &mut StdRng, _mind: &mut Mind) -> Exchange {
    let (a, b) = (rng.random_range(0..=LARGEST), rng.random_range(0..=LARGEST));
    let (operation, result, orders) = match rng.random_range(0..3) {
        0 => ("plus", a + b, [format!("add {} and {}", number(a), number(b)), format!("add {} to {}", number(b), number(a))]),
        1 => ("minus", a - b, [format!("subtract {} from {}", number(b), number(a)), format!("take {} from {}", number(b), number(a))]),
        _ => {
            let (a, b) = factors(rng);
            return answer(
                rng,
                a,
                "times",
                b,
                a * b,
                &[format!("multiply {} by {}", number(a), number(b)), format!("multiply {} and {}", number(a), number(b))],
            );
        }
    };
    answer(rng, a, operation, b, result, &orders)
}

fn factors(rng: &mut StdRng) -> (i32, i32) {
    loop {
        let (a, b) = (rng.random_range(0..=LARGEST), rng.random_range(0..=LARGEST));
        if a * b <= PRODUCT_MAX {
            return (a, b);
        }
    }
}

fn answer(rng: &mut StdRng, a: i32, operation: &str, b: i32, result: i32, orders: &[String; 2]) -> Exchange {
    let formula = format!("{} {operation} {}", number(a), number(b));
    let user = match rng.random_range(0..6) {
        0 | 1 => question(rng, format!("what is {formula}")),
        2 => question(rng, format!("how much is {formula}")),
        3 => formula.clone(),
        4 => {
            let verb = one(rng, &["calculate", "compute", "work out"]);
            wish(rng, format!("{verb} {formula}"))
        }
        _ => {
            let order = orders[rng.random_range(0..2)].clone();
            wish(rng, order)
        }
    };
    Exchange { skill: Skill::Sums, user, reply: sentence(&format!("{formula} is {}", number(result)), '.') }
}
