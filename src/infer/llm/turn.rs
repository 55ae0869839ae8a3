//! Rotary positions (Su et al. 2021). Pure.

use candle_core::{Result, bail};

use super::family::Rope;

/// How fast each pair of dimensions turns from position to position.
pub(super) struct Turn {
    speeds: Vec<f64>,
    magnitude: f64,
    is_interleaved: bool,
}

/// Cosines and sines of some positions, `[positions, pairs]` each.
pub(super) struct Turns {
    cosines: Vec<f32>,
    sines: Vec<f32>,
    pairs: usize,
    is_interleaved: bool,
}

impl Turn {
    /// With what each pair's speed is divided by, if the file says so.
    pub(super) fn new(rope: &Rope, factors: Option<&[f32]>) -> Result<Turn> {
        let pairs = rope.size / 2;
        if factors.is_some_and(|factors| factors.len() != pairs) {
            bail!("there are not {pairs} factors of positions");
        }
        let speeds = (0..pairs).map(|pair| {
            let speed = f64::from(rope.base).powf(-2.0 * pair as f64 / rope.size as f64);
            let factor = factors.map_or(1.0, |factors| factors[pair]);
            speed / f64::from(factor) / f64::from(rope.factor)
        });
        Ok(Turn {
            speeds: speeds.collect(),
            magnitude: f64::from(rope.magnitude),
            is_interleaved: rope.is_interleaved,
        })
    }

    /// Those of `count` positions from `at` on.
    pub(super) fn rows(&self, at: usize, count: usize) -> Turns {
        let rows = |of: fn(f64) -> f64| {
            let angles = (at..at + count)
                .flat_map(|position| self.speeds.iter().map(move |speed| position as f64 * speed));
            angles.map(|angle| (of(angle) * self.magnitude) as f32).collect()
        };
        Turns {
            cosines: rows(f64::cos),
            sines: rows(f64::sin),
            pairs: self.speeds.len(),
            is_interleaved: self.is_interleaved,
        }
    }
}

impl Turns {
    /// Turns the first dimensions of a head at one of the positions; the rest stays.
    pub(super) fn apply(&self, position: usize, head: &mut [f32]) {
        let at = position * self.pairs;
        let (cosines, sines) = (&self.cosines[at..], &self.sines[at..]);
        let each = cosines.iter().zip(sines).take(self.pairs);
        let turn = |a: &mut f32, b: &mut f32, cos: f32, sin: f32| {
            (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
        };
        if self.is_interleaved {
            for (pair, (cos, sin)) in head.as_chunks_mut::<2>().0.iter_mut().zip(each) {
                let [a, b] = pair;
                turn(a, b, *cos, *sin);
            }
        } else {
            let (first, second) = head.split_at_mut(self.pairs);
            for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(each) {
                turn(a, b, *cos, *sin);
            }
        }
    }
}
