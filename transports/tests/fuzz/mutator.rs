use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Bytes with a meaning to the parsers.
const TOKENS: [&[u8]; 26] = [
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
    b"-1",
    b"1e400",
    b"18446744073709551616",
    b"\r",
    b"\n",
    b"\r\n\r\n",
    b"data: ",
    b"id: ",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"%",
    b"%00",
    b"&",
    b"=",
];

/// Makes inputs that are almost valid.
pub(crate) struct Mutator<'a> {
    corpus: &'a [Vec<u8>],
    random: StdRng,
}

impl<'a> Mutator<'a> {
    pub(crate) fn new(corpus: &'a [Vec<u8>]) -> Self {
        Self { corpus, random: StdRng::from_os_rng() }
    }

    pub(crate) fn next(&mut self) -> Vec<u8> {
        let mut input = self.known();
        for _ in 0..self.random.random_range(1..6) {
            self.change(&mut input);
        }
        input
    }

    fn known(&mut self) -> Vec<u8> {
        self.corpus.choose(&mut self.random).cloned().unwrap_or_default()
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.random.random_range(0..=input.len());
        let to = self.random.random_range(at..=input.len().min(at + 16));
        match self.random.random_range(0..6) {
            0 => drop(input.drain(at..to)),
            1 => {
                let token = TOKENS.choose(&mut self.random).copied().unwrap_or_default();
                input.splice(at..at, token.iter().copied());
            }
            2 => {
                let part = input[at..to].to_vec();
                input.splice(at..at, part);
            }
            3 => {
                let other = self.known();
                let from = self.random.random_range(0..=other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            4 if at < input.len() => input[at] = self.random.random(),
            _ if at < input.len() => input[at] ^= 1 << self.random.random_range(0..8),
            _ => input.push(self.random.random()),
        }
    }
}
