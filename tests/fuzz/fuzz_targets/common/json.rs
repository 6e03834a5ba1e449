//! The grammar of JSON (RFC 8259), parsed by hand: whether a text is valid, not its value.

/// Arrays and objects must be nested less deeply than this.
pub const DEPTH: usize = 128;

/// Properties of a valid JSON text.
#[derive(Debug, Default)]
pub struct Read {
    /// The deepest nesting of arrays and objects.
    pub depth: usize,
    /// Whether all numbers fit into a double.
    pub is_finite: bool,
    /// Whether an escape is a lone surrogate.
    pub has_half_surrogate: bool,
}

/// Parses a whole text; an error is the position of the first invalid byte. No recursion: it accepts any depth.
pub fn read(text: &str) -> Result<Read, usize> {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0, read: Read { is_finite: true, ..Read::default() } };
    reader.document().ok_or(reader.at)?;
    Ok(reader.read)
}

struct Reader<'t> {
    bytes: &'t [u8],
    at: usize,
    read: Read,
}

impl Reader<'_> {
    fn document(&mut self) -> Option<()> {
        let mut open: Vec<u8> = Vec::new();
        'value: loop {
            self.space();
            match self.peek()? {
                bracket @ (b'[' | b'{') => {
                    self.at += 1;
                    open.push(bracket);
                    self.read.depth = self.read.depth.max(open.len());
                    self.space();
                    if self.peek()? != closing(bracket) {
                        self.key(bracket)?;
                        continue 'value;
                    }
                }
                b'"' => self.string()?,
                b'-' | b'0'..=b'9' => self.number()?,
                _ => ["true", "false", "null"].iter().find_map(|word| self.word(word))?,
            }
            // A value has ended, or is about to begin.
            loop {
                self.space();
                let Some(&bracket) = open.last() else { return (self.at == self.bytes.len()).then_some(()) };
                let next = self.peek()?;
                self.at += 1;
                if next == closing(bracket) {
                    open.pop();
                } else if next == b',' {
                    self.space();
                    self.key(bracket)?;
                    continue 'value;
                } else {
                    return None;
                }
            }
        }
    }

    /// The key of an object's member.
    fn key(&mut self, bracket: u8) -> Option<()> {
        if bracket == b'{' {
            self.string()?;
            self.space();
            self.take(b':')?;
        }
        Some(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.bytes[self.at..].starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn number(&mut self) -> Option<()> {
        let start = self.at;
        let _ = self.take(b'-');
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if self.take(b'e').or_else(|| self.take(b'E')).is_some() {
            let _ = self.take(b'+').or_else(|| self.take(b'-'));
            self.digits()?;
        }
        let text = str::from_utf8(&self.bytes[start..self.at]).ok()?;
        self.read.is_finite &= text.parse::<f64>().is_ok_and(f64::is_finite);
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            match self.peek()? {
                b'"' => return self.take(b'"'),
                b'\\' => self.escape()?,
                0..0x20 => return None,
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        self.at += 1;
        match self.peek()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                self.at += 1;
                Some(())
            }
            b'u' => {
                let first = self.unit()?;
                let is_high = (0xd800..0xdc00).contains(&first);
                let is_low = (0xdc00..0xe000).contains(&first);
                let paired = is_high && self.bytes[self.at..].starts_with(b"\\u") && {
                    self.at += 1;
                    (0xdc00..0xe000).contains(&self.unit()?)
                };
                self.read.has_half_surrogate |= is_low || (is_high && !paired);
                Some(())
            }
            _ => None,
        }
    }

    /// Four hexadecimal digits, after a `u`.
    fn unit(&mut self) -> Option<u16> {
        let digits = self.bytes.get(self.at + 1..self.at + 5)?;
        self.at += 5;
        let all_hex = digits.iter().all(u8::is_ascii_hexdigit);
        all_hex.then(|| u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok())?
    }
}

fn closing(bracket: u8) -> u8 {
    if bracket == b'[' { b']' } else { b'}' }
}
