//! Pictures of scenes and clips: anti-aliased, then lit, blurred and grainy as a camera would have them.

use caracal_edge::vision::Picture;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::clip::Clip;
use super::outline::Outline;
use super::scene::{Background, Colour, Look, Object, SIDE, Scene};

/// Side of a picture in pixels.
const PIXELS: usize = SIDE as usize;
/// By how many levels the colour of an object deviates.
const COLOUR_JITTER: f32 = 10.0;
/// Variance that one pass of the blur can add.
const PASS_VARIANCE: f32 = 0.5;

/// The picture of a scene.
pub fn draw_scene(scene: &Scene) -> Picture {
    draw(&scene.objects, &scene.look, 0.0, 0)
}

/// The picture of a clip at a time in seconds.
pub fn draw_clip(clip: &Clip, time: f32) -> Picture {
    let share = (time / clip.seconds as f32).clamp(0.0, 1.0);
    draw(&clip.objects_at(time), &clip.look, share, 1 + (time * 1000.0).round() as u64)
}

/// `share` of the recording has passed; `number` tells apart the grain of its pictures.
fn draw(objects: &[Object], look: &Look, share: f32, number: u64) -> Picture {
    let mut planes = background(&look.background, look.seed);
    for object in objects {
        paint(&mut planes, object, look.seed);
    }
    for plane in &mut planes {
        blur(plane, look.blur);
    }
    let light = look.light[0] + (look.light[1] - look.light[0]) * share;
    Picture::new("drawn picture", PIXELS as u32, PIXELS as u32, expose(&planes, look, light, number))
        .expect("the buffer has the picture's size")
}

/// Level of a colour in red, green and blue.
fn levels(colour: Colour) -> [f32; 3] {
    match colour {
        Colour::Red => [212.0, 38.0, 40.0],
        Colour::Orange => [240.0, 138.0, 30.0],
        Colour::Yellow => [242.0, 222.0, 50.0],
        Colour::Green => [44.0, 160.0, 60.0],
        Colour::Blue => [42.0, 84.0, 212.0],
        Colour::Purple => [142.0, 54.0, 172.0],
        Colour::Black => [26.0, 26.0, 28.0],
        Colour::White => [242.0, 242.0, 240.0],
    }
}

fn background(background: &Background, seed: u64) -> [Vec<f32>; 3] {
    let (from, to) = match background {
        Background::Plain(tone) => (*tone, *tone),
        Background::Gradient(from, to, _) => (*from, *to),
        Background::Texture(tone, height, ..) => (*tone, tone.map(|level| level + height)),
    };
    let shares: Vec<f32> = match background {
        Background::Plain(_) => return from.map(|level| vec![level; PIXELS * PIXELS]),
        Background::Gradient(_, _, angle) => {
            let [across, down] = slopes(*angle, 1.0 / SIDE, 0.5);
            pixels(|x, y| (across[x] + down[y]).clamp(0.0, 1.0))
        }
        Background::Texture(_, _, length, angle) => {
            // Two waves that cross, the second a little longer: never quite the same twice.
            let turn = std::f32::consts::TAU / length;
            let first = wave(slopes(*angle, turn, (seed % 1000) as f32));
            let second = wave(slopes(angle + 1.3, 0.8 * turn, 0.0));
            pixels(|x, y| first(x, y) * second(x, y))
        }
    };
    std::array::from_fn(|channel| {
        let span = to[channel] - from[channel];
        shares.iter().map(|share| from[channel] + span * share).collect()
    })
}

/// What a value that rises in a direction has of its columns and of its rows: `scale` a pixel, `middle` in the middle.
fn slopes(angle: f32, scale: f32, middle: f32) -> [[f32; PIXELS]; 2] {
    let (sin, cos) = angle.sin_cos();
    let part = |share: f32, start: f32| std::array::from_fn(|at| start + (at as f32 + 0.5 - SIDE / 2.0) * share * scale);
    [part(cos, middle), part(sin, 0.0)]
}

/// The sine of such a value, from the sines and cosines of columns and rows.
fn wave(slopes: [[f32; PIXELS]; 2]) -> impl Fn(usize, usize) -> f32 {
    let [across, down] = slopes.map(|part| part.map(f32::sin_cos));
    move |x, y| across[x].0 * down[y].1 + across[x].1 * down[y].0
}

fn pixels(value: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let mut values = Vec::with_capacity(PIXELS * PIXELS);
    for y in 0..PIXELS {
        values.extend((0..PIXELS).map(|x| value(x, y)));
    }
    values
}

/// Lays an object over the planes; its edge covers pixels by shares.
fn paint(planes: &mut [Vec<f32>; 3], object: &Object, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed ^ (object.shape.index() * 64 + object.colour.index()) as u64);
    let colour = levels(object.colour).map(|level| level + rng.random_range(-COLOUR_JITTER..=COLOUR_JITTER));
    let outline = Outline::of(object);
    let [left, top, right, bottom] = outline.bounds();
    let range = |low: f32, high: f32| (low - 1.0).max(0.0) as usize..((high + 2.0).max(0.0) as usize).min(PIXELS);
    for y in range(top, bottom) {
        for x in range(left, right) {
            let cover = (0.5 - outline.distance(x as f32 + 0.5, y as f32 + 0.5)).clamp(0.0, 1.0);
            if cover > 0.0 {
                for (plane, level) in planes.iter_mut().zip(colour) {
                    let pixel = &mut plane[y * PIXELS + x];
                    *pixel += (level - *pixel) * cover;
                }
            }
        }
    }
}

/// A Gaussian of this standard deviation, as passes of three weights along both axes.
fn blur(plane: &mut [f32], deviation: f32) {
    let variance = deviation * deviation;
    let passes = (variance / PASS_VARIANCE).ceil();
    let side = variance / passes.max(1.0) / 2.0;
    let mix = |before: f32, here: f32, after: f32| here + side * (before + after - 2.0 * here);
    for _ in 0..passes as usize {
        let mut old = [0.0; PIXELS];
        for row in plane.chunks_mut(PIXELS) {
            old.copy_from_slice(row);
            for x in 1..PIXELS - 1 {
                row[x] = mix(old[x - 1], old[x], old[x + 1]);
            }
        }
        let (mut above, mut here) = ([0.0; PIXELS], [0.0; PIXELS]);
        above.copy_from_slice(&plane[..PIXELS]);
        for y in 1..PIXELS - 1 {
            let (row, below) = plane[y * PIXELS..].split_at_mut(PIXELS);
            here.copy_from_slice(row);
            for x in 0..PIXELS {
                row[x] = mix(above[x], here[x], below[x]);
            }
            above = here;
        }
    }
}

/// Light, its colour and its slope, then grain, then bytes.
fn expose(planes: &[Vec<f32>; 3], look: &Look, light: f32, number: u64) -> Vec<u8> {
    let gains = look.tint.map(|tint| tint * light);
    let slope: [f32; PIXELS] = std::array::from_fn(|x| 1.0 + look.slope * (x as f32 / SIDE - 0.5));
    // A triangular distribution: the difference of two even ones of 16 bits each.
    let grain = look.grain * 6f32.sqrt() / 65_536.0;
    let mut state = look.seed.wrapping_add(number.wrapping_mul(0xD134_2543_DE82_EF95));
    let mut rgb = vec![0; 3 * PIXELS * PIXELS];
    for (channel, plane) in planes.iter().enumerate() {
        for (row, line) in plane.chunks(PIXELS).zip(rgb.chunks_mut(3 * PIXELS)) {
            for ((level, slope), byte) in row.iter().zip(&slope).zip(line[channel..].iter_mut().step_by(3)) {
                state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
                let (a, b) = ((state >> 48) as i32, (state >> 32 & 0xFFFF) as i32);
                // The conversion stops at 0 and 255.
                *byte = (level * gains[channel] * slope + (a - b) as f32 * grain + 0.5) as u8;
            }
        }
    }
    rgb
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eyes::scene::{Place, Shape, Size};

    fn look(grain: f32, blur: f32) -> Look {
        Look { light: [1.0, 1.0], tint: [1.0; 3], slope: 0.0, blur, grain, background: Background::Plain([128.0; 3]), seed: 3 }
    }

    fn scene(look: Look) -> Scene {
        let (shape, colour, size, place) = (Shape::Circle, Colour::Red, Size::Large, Place::Middle);
        Scene { objects: vec![Object { shape, colour, size, place, x: 112.0, y: 112.0, radius: 36.25, turn: 0.0 }], look }
    }

    fn pixel(picture: &Picture, x: usize, y: usize) -> [u8; 3] {
        let start = 3 * (y * PIXELS + x);
        picture.rgb()[start..start + 3].try_into().unwrap()
    }

    #[test]
    fn a_shape_has_its_colour_inside_and_the_background_outside() {
        let picture = draw_scene(&scene(look(0.0, 0.0)));
        let [red, green, blue] = pixel(&picture, 112, 112);
        assert!(red > 190 && green < 60 && blue < 60, "{red} {green} {blue}");
        assert_eq!(pixel(&picture, 112, 112 - 40), [128; 3]);
        let [edge, ..] = pixel(&picture, 112 - 37, 112);
        assert!(edge > 128 && edge < red, "no soft edge: {edge}");
    }

    #[test]
    fn blur_keeps_the_brightness_and_softens_the_edge() {
        let sharp = draw_scene(&scene(look(0.0, 0.0)));
        let soft = draw_scene(&scene(look(0.0, 1.4)));
        let sum = |picture: &Picture| picture.rgb().iter().map(|byte| u64::from(*byte)).sum::<u64>() as f64;
        assert!((sum(&sharp) / sum(&soft) - 1.0).abs() < 2e-3);
        assert!(pixel(&soft, 112, 112 - 38) != [128; 3]);
    }

    #[test]
    fn grain_has_its_deviation_and_differs_from_picture_to_picture() {
        let clip =
            Clip { objects: scene(look(8.0, 0.0)).objects, event: crate::eyes::clip::Event::Nothing, seconds: 3, look: look(8.0, 0.0) };
        let (first, second) = (draw_clip(&clip, 0.0), draw_clip(&clip, 0.5));
        assert!(first != second && first == draw_clip(&clip, 0.0));
        let border: Vec<f32> = first.rgb()[..3 * 60 * PIXELS].iter().map(|byte| f32::from(*byte) - 128.0).collect();
        let variance = border.iter().map(|level| level * level).sum::<f32>() / border.len() as f32;
        assert!((variance.sqrt() - 8.0).abs() < 0.3, "{}", variance.sqrt());
    }
}
