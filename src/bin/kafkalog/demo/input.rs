//! The text of the demo: lines, and which record carries which.

use crate::failure::{Failure, Outcome};
use std::io::Read;
use std::path::Path;

/// The text that every copy of the program has.
const OWN_TEXT: &str = include_str!("../../../../LICENSE");
/// A larger input is refused: it is held in memory to be compared with.
const INPUT_BYTES_MAX: u64 = 1 << 30;
/// Records of one pass, when nobody said how many rounds.
const RECORDS_WANTED: u64 = 10_000;

pub struct Input {
    name: String,
    text: Vec<u8>,
    /// Begin and end of each line, without its end-of-line.
    lines: Vec<(usize, usize)>,
    rounds: u32,
}

impl Input {
    pub fn load(path: Option<&Path>, rounds: Option<u32>) -> Outcome<Input> {
        let (name, text) = match path {
            None => ("the license".to_owned(), OWN_TEXT.as_bytes().to_vec()),
            Some(path) if path == Path::new("-") => ("standard input".to_owned(), read(path, std::io::stdin().lock())?),
            Some(path) => {
                let file = std::fs::File::open(path).map_err(|error| Failure::file(path, &error))?;
                (path.display().to_string(), read(path, file)?)
            }
        };
        let mut lines = Vec::new();
        let mut begin = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let bare = line.strip_suffix(b"\n").unwrap_or(line);
            let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
            lines.push((begin, begin + bare.len()));
            begin += line.len();
        }
        if lines.is_empty() {
            return Err(Failure::usage(format!("{name}: there is no line in it")));
        }
        let enough = RECORDS_WANTED.div_ceil(lines.len() as u64);
        let rounds = rounds.unwrap_or_else(|| u32::try_from(enough).expect("at most the records wanted"));
        Ok(Input { name, text, lines, rounds })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn text(&self) -> &[u8] {
        &self.text
    }

    pub fn bytes(&self) -> u64 {
        self.text.len() as u64
    }

    pub fn line_count(&self) -> u64 {
        self.lines.len() as u64
    }

    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Records of one pass.
    pub fn record_count(&self) -> u64 {
        self.line_count() * u64::from(self.rounds)
    }

    /// The line that a record carries: its key, the first word, and the whole of it.
    pub fn record(&self, number: u64) -> (&[u8], &[u8]) {
        let at = usize::try_from(number % self.line_count()).expect("below the number of lines");
        let (begin, end) = self.lines[at];
        let line = &self.text[begin..end];
        let word = line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()).unwrap_or_default();
        (word, line)
    }
}

fn read(path: &Path, from: impl Read) -> Outcome<Vec<u8>> {
    let mut text = Vec::new();
    from.take(INPUT_BYTES_MAX + 1).read_to_end(&mut text).map_err(|error| Failure::file(path, &error))?;
    if text.len() as u64 > INPUT_BYTES_MAX {
        return Err(Failure::usage(format!("{}: larger than {INPUT_BYTES_MAX} bytes", path.display())));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_their_ends_and_are_keyed_by_their_first_word() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"  one two\r\n\nthree").unwrap();
        let input = Input::load(Some(file.path()), Some(2)).unwrap();
        assert_eq!((input.line_count(), input.record_count()), (3, 6));
        assert_eq!(input.record(0), (&b"one"[..], &b"  one two"[..]));
        assert_eq!(input.record(4), (&b""[..], &b""[..]));
        assert_eq!(input.record(5), (&b"three"[..], &b"three"[..]));
    }
}
