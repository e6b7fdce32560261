//! Inputs for fuzz targets, grown from examples.
//!
//! A target is a test in the `fuzz` module of a room, beside what it tries, and [`fuzz!`] runs it: under `cargo test` for a
//! second with random choices, under `cargo xtask fuzz` for as long as one likes, under `cargo bolero` with a fuzzer that
//! sees which branches were taken. The choices are bytes, and [`Grow`] makes of them what a target needs: mostly an example
//! with a few changes, since what is random from the first byte is refused by the first check.

pub use bolero;

/// Runs a target, which makes its input of the [`Grow`] that it gets.
///
/// ```
/// fn a_number_is_read_or_refused() {
///     flowgate_fuzz::fuzz!(|grow| {
///         let text = grow.text(&["1", "-5"]);
///         let _ = text.parse::<i32>();
///     });
/// }
/// a_number_is_read_or_refused();
/// ```
#[macro_export]
macro_rules! fuzz {
    (|$grow:ident| $target:expr) => {
        $crate::bolero::check!().for_each(|choices: &[u8]| {
            let $grow = &mut $crate::Grow::new(choices);
            $target
        })
    };
}

/// What stands between the parts of most formats, and values at which readers go wrong.
const WORDS: &[&str] = &[
    "",
    ",",
    ";",
    "=",
    ":",
    ".",
    " ",
    "\"",
    "\\",
    "/",
    "?",
    "&",
    "%",
    "%00",
    "%zz",
    "+",
    "-",
    "\t",
    "\r\n",
    "\0",
    "{",
    "}",
    "[",
    "]",
    "null",
    "0",
    "-1",
    "1e999",
    "4294967296",
    "9223372036854775807",
    "18446744073709551616",
    "é",
    "\u{1f600}",
    "\u{feff}",
    "\\ud800",
    "=:",
    ":=",
    "::",
    "==",
];

/// How many changes an example gets at most.
const CHANGES_MAX: usize = 6;
/// No input is longer, so that a second holds many.
const BYTES_MAX: usize = 1 << 14;

/// Makes values of the choices of an engine. When they run out, every choice is the first, and no more changes are made.
#[derive(Debug)]
pub struct Grow<'a> {
    choices: &'a [u8],
}

impl<'a> Grow<'a> {
    /// The values that lie in these bytes.
    pub fn new(choices: &'a [u8]) -> Self {
        Self { choices }
    }

    /// A number in `0..count`; 0 when that is empty.
    pub fn below(&mut self, count: usize) -> usize {
        let number = u32::from_le_bytes([self.byte(), self.byte(), 0, 0]);
        number as usize % count.max(1)
    }

    /// Any number.
    pub fn number(&mut self) -> i64 {
        let bits = i64::from_le_bytes(std::array::from_fn(|_| self.byte()));
        // Small ones are as likely as large ones.
        bits >> (self.byte() % 64)
    }

    /// True about once in `turns`, and false when the choices have run out.
    pub fn once_in(&mut self, turns: usize) -> bool {
        self.below(turns) + 1 == turns
    }

    /// One of these.
    ///
    /// # Panics
    /// When there is none.
    pub fn pick<'b, T>(&mut self, items: &'b [T]) -> &'b T {
        &items[self.below(items.len())]
    }

    /// One of these, with a few changes; now and then anything at all.
    pub fn bytes(&mut self, examples: &[impl AsRef<[u8]>]) -> Vec<u8> {
        if self.once_in(32) {
            let count = self.below(64);
            return (0..count).map(|_| self.byte()).collect();
        }
        let mut grown = self.pick(examples).as_ref().to_vec();
        // Half of the examples stay as they are, so that several grown parts can go together.
        for _ in 0..self.below(2 * CHANGES_MAX).saturating_sub(CHANGES_MAX) {
            self.change(&mut grown, examples);
        }
        grown.truncate(BYTES_MAX);
        grown
    }

    /// The same as text.
    pub fn text(&mut self, examples: &[impl AsRef<str>]) -> String {
        let examples = examples.iter().map(|example| example.as_ref().as_bytes()).collect::<Vec<_>>();
        String::from_utf8_lossy(&self.bytes(&examples)).into_owned()
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.choices.split_first() else { return 0 };
        self.choices = rest;
        *first
    }

    fn change(&mut self, grown: &mut Vec<u8>, examples: &[impl AsRef<[u8]>]) {
        let from = self.below(grown.len() + 1);
        let to = (from + self.below(24)).min(grown.len());
        match self.below(7) {
            0 => {
                if let Some(byte) = grown.get_mut(from) {
                    *byte ^= 1 << (self.byte() % 8);
                }
            }
            1 => drop(grown.drain(from..to)),
            2 => grown.truncate(from),
            3 => {
                let part = grown[from..to].to_vec();
                let times = 1 + self.below(40);
                grown.splice(from..from, part.repeat(times));
            }
            4 => {
                let word = *self.pick(WORDS);
                grown.splice(from..to, word.bytes());
            }
            5 => {
                let other = self.pick(examples).as_ref();
                let start = self.below(other.len() + 1);
                let end = (start + self.below(64)).min(other.len());
                grown.splice(from..to, other[start..end].iter().copied());
            }
            _ => grown.insert(from, self.byte()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_choices_the_first_example_stays_as_it_is() {
        assert_eq!(Grow::new(&[]).text(&["first", "second"]), "first");
        assert!(!Grow::new(&[]).once_in(2));
    }

    #[test]
    fn examples_are_changed_within_bounds() {
        let mut seen = std::collections::BTreeSet::new();
        fuzz!(|grow| {
            let grown = grow.bytes(&["an example", "another"]);
            assert!(grown.len() <= BYTES_MAX);
            assert!(grow.below(7) < 7);
        });
        for first in 0..=u8::MAX {
            seen.insert(Grow::new(&[&[first; 40][..], &[first ^ 0x5a; 40]].concat()).bytes(&["an example", "another"]));
        }
        assert!(seen.len() > 50, "{}", seen.len());
    }
}
