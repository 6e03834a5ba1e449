//! What a pattern is made of, as far as a matcher has to know.

/// A pattern, or a part of it.
#[derive(Debug)]
pub(super) enum Node {
    Empty,
    /// One character: one of these atoms, by its number.
    One(usize),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    /// A group that is remembered.
    Group(usize, Box<Node>),
    Loop {
        body: Box<Node>,
        min: usize,
        max: Option<usize>,
        lazy: bool,
        groups: [usize; 2],
    },
    Start,
    End,
    Boundary {
        not: bool,
    },
    Look {
        body: Box<Node>,
        back: bool,
        not: bool,
        groups: [usize; 2],
    },
    /// What one of these groups matched.
    Again(Vec<usize>),
}

impl Node {
    /// Whether a group is repeated more often than that.
    pub(super) fn repeats(&self, few: usize) -> bool {
        match self {
            Self::Sequence(parts) | Self::Either(parts) => parts.iter().any(|part| part.repeats(few)),
            Self::Group(_, body) | Self::Look { body, .. } => body.repeats(few),
            Self::Loop { body, max, .. } => {
                let many = max.is_none_or(|max| max > few);
                many && !matches!(**body, Self::One(_)) || body.repeats(few)
            }
            _ => false,
        }
    }

    /// Whether it may match nothing.
    pub(super) fn may_be_empty(&self) -> bool {
        match self {
            Self::One(_) => false,
            Self::Sequence(parts) => parts.iter().all(Self::may_be_empty),
            Self::Either(parts) => parts.iter().any(Self::may_be_empty),
            Self::Group(_, body) => body.may_be_empty(),
            Self::Loop { body, min, .. } => *min == 0 || body.may_be_empty(),
            _ => true,
        }
    }
}

/// A pattern that was read.
pub(super) struct Syntax {
    pub(super) pattern: Node,
    /// The sources of what matches single characters.
    pub(super) atoms: Vec<Vec<u32>>,
    /// How many groups there are, the whole match among them.
    pub(super) groups: usize,
    /// Which groups have a name.
    pub(super) names: Vec<(String, Vec<usize>)>,
    /// Whether something matches what a group matched.
    pub(super) again: bool,
}

/// How deep a pattern nests that is read.
const MAX_DEPTH: usize = 100;

impl Syntax {
    /// None if something is not understood.
    pub(super) fn of(source: &[u32], flags: &str) -> Option<Self> {
        let (all_groups, names) = groups(source);
        let mut reader = Reader {
            source,
            at: 0,
            unicode: flags.contains(['u', 'v']),
            sets: flags.contains('v'),
            all_groups,
            group: 1,
            depth: 0,
            syntax: Self { pattern: Node::Empty, atoms: Vec::new(), groups: all_groups, names, again: false },
        };
        reader.syntax.pattern = reader.alternatives()?;
        (reader.at == source.len() && reader.group == all_groups).then_some(reader.syntax)
    }
}

/// How many groups a pattern has, and their names.
fn groups(source: &[u32]) -> (usize, Vec<(String, Vec<usize>)>) {
    let (mut count, mut names, mut at, mut class) = (1, Vec::<(String, Vec<usize>)>::new(), 0, 0);
    while let Some(char) = source.get(at).copied().and_then(char::from_u32) {
        match char {
            '\\' => at += 1,
            '[' => class += 1,
            ']' if class > 0 => class = 0,
            '(' if class == 0 && !is(source, at + 1, "?") => count += 1,
            '(' if class == 0 && is(source, at + 1, "?<") && !is(source, at + 3, "=") && !is(source, at + 3, "!") => {
                let name: String = source[at + 3..]
                    .iter()
                    .map_while(|unit| char::from_u32(*unit))
                    .take_while(|char| *char != '>')
                    .collect();
                match names.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, groups)) => groups.push(count),
                    None => names.push((name, vec![count])),
                }
                count += 1;
            }
            _ => {}
        }
        at += 1;
    }
    (count, names)
}

fn is(source: &[u32], at: usize, text: &str) -> bool {
    let mut units = source.iter().skip(at);
    text.chars().all(|char| units.next() == Some(&u32::from(char)))
}

struct Reader<'s> {
    source: &'s [u32],
    at: usize,
    unicode: bool,
    sets: bool,
    all_groups: usize,
    /// The number of the next group.
    group: usize,
    depth: usize,
    syntax: Syntax,
}

impl Reader<'_> {
    fn next(&self) -> Option<char> {
        // Half of a surrogate pair is not a character, but an atom like any other.
        self.source.get(self.at).map(|unit| char::from_u32(*unit).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn take(&mut self, text: &str) -> bool {
        let taken = is(self.source, self.at, text);
        if taken {
            self.at += text.chars().count();
        }
        taken
    }

    fn alternatives(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let mut all = vec![self.sequence()?];
        while self.take("|") {
            all.push(self.sequence()?);
        }
        self.depth -= 1;
        Some(if all.len() == 1 { all.remove(0) } else { Node::Either(all) })
    }

    fn sequence(&mut self) -> Option<Node> {
        let mut parts = Vec::new();
        while let Some(next) = self.next().filter(|next| !matches!(next, '|' | ')')) {
            let first = self.group;
            let part = self.term(next)?;
            parts.push(self.repeated(part, first)?);
        }
        Some(match parts.len() {
            0 => Node::Empty,
            1 => parts.remove(0),
            _ => Node::Sequence(parts),
        })
    }

    fn term(&mut self, next: char) -> Option<Node> {
        match next {
            '^' => Some(self.step(1, Node::Start)),
            '$' => Some(self.step(1, Node::End)),
            '(' => self.group(),
            '*' | '+' | '?' => None,
            '\\' => self.escape(),
            '[' => {
                let length = self.class()?;
                self.atom(length)
            }
            _ => self.atom(1),
        }
    }

    fn step(&mut self, length: usize, node: Node) -> Node {
        self.at += length;
        node
    }

    fn atom(&mut self, length: usize) -> Option<Node> {
        let atom = self.source.get(self.at..self.at + length)?.to_vec();
        self.at += length;
        let atoms = &mut self.syntax.atoms;
        let number = atoms.iter().position(|known| *known == atom).unwrap_or_else(|| {
            atoms.push(atom);
            atoms.len() - 1
        });
        Some(Node::One(number))
    }

    fn class(&self) -> Option<usize> {
        let mut open = 0;
        for (length, unit) in self.source[self.at..].iter().enumerate() {
            let escaped = length > 0 && self.is_escaped(self.at + length);
            match char::from_u32(*unit) {
                // With sets, these may be several characters.
                Some('q' | 'p' | 'P') if escaped && self.sets => return None,
                _ if escaped => {}
                Some('[') if open == 0 || self.sets => open += 1,
                Some(']') => {
                    open -= 1;
                    if open == 0 {
                        return Some(length + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn is_escaped(&self, at: usize) -> bool {
        let backslashes = self.source[self.at..at].iter().rev().take_while(|unit| **unit == u32::from('\\'));
        backslashes.count() % 2 == 1
    }

    fn escape(&mut self) -> Option<Node> {
        let hex = |from: usize, count: usize| {
            let digits = self.source.get(self.at + from..self.at + from + count)?;
            digits.iter().try_fold(0, |value, unit| Some(value * 16 + char::from_u32(*unit)?.to_digit(16)?))
        };
        let until = |close: char| {
            let length = self.source[self.at..].iter().position(|unit| *unit == u32::from(close))?;
            Some(length + 1)
        };
        let second = char::from_u32(*self.source.get(self.at + 1)?);
        match second {
            Some('b') => Some(self.step(2, Node::Boundary { not: false })),
            Some('B') => Some(self.step(2, Node::Boundary { not: true })),
            Some('k') if !self.syntax.names.is_empty() => {
                let length = until('>')?;
                let name: Option<String> =
                    self.source[self.at + 3..self.at + length - 1].iter().map(|unit| char::from_u32(*unit)).collect();
                let groups = self.syntax.names.iter().find(|(known, _)| Some(known) == name.as_ref())?.1.clone();
                self.syntax.again = true;
                Some(self.step(length, Node::Again(groups)))
            }
            Some('1'..='9') => {
                let digits = self.source[self.at + 1..].iter().map_while(|unit| char::from_u32(*unit)?.to_digit(10));
                let (length, number) =
                    digits.take(9).fold((1, 0), |(length, number), digit| (length + 1, number * 10 + digit as usize));
                if number < self.all_groups {
                    self.syntax.again = true;
                    return Some(self.step(length, Node::Again(vec![number])));
                }
                self.octal()
            }
            Some('0') => self.octal(),
            Some('u') if is(self.source, self.at + 2, "{") && self.unicode => {
                let length = until('}')?;
                self.atom(length)
            }
            Some('u') => match (hex(2, 4), hex(8, 4)) {
                (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) if self.unicode && is(self.source, self.at + 6, "\\u") => {
                    self.atom(12)
                }
                (Some(_), _) => self.atom(6),
                (None, _) => self.atom(2),
            },
            Some('x') => {
                let length = if hex(2, 2).is_some() { 4 } else { 2 };
                self.atom(length)
            }
            Some('p' | 'P') if self.sets => None,
            Some('p' | 'P') if self.unicode => {
                let length = until('}')?;
                self.atom(length)
            }
            Some('c') => {
                let is_letter = self
                    .source
                    .get(self.at + 2)
                    .copied()
                    .and_then(char::from_u32)
                    .is_some_and(|char| char.is_ascii_alphabetic());
                if is_letter { self.atom(3) } else { None }
            }
            _ => self.atom(2),
        }
    }

    /// A character by its number, as it was written long ago: `\12`, `\0`, and `\8`, which is an 8.
    fn octal(&mut self) -> Option<Node> {
        let digits: Vec<u32> =
            self.source[self.at + 1..].iter().map_while(|unit| char::from_u32(*unit)?.to_digit(8)).take(3).collect();
        let length = match digits.first() {
            None => 1,
            Some(0..=3) => digits.len(),
            Some(_) => digits.len().min(2),
        };
        self.atom(1 + length)
    }

    fn group(&mut self) -> Option<Node> {
        let first = self.group;
        for (start, look) in
            [("(?=", [false, false]), ("(?!", [false, true]), ("(?<=", [true, false]), ("(?<!", [true, true])]
        {
            if self.take(start) {
                let body = Box::new(self.alternatives()?);
                let [back, not] = look;
                return self.take(")").then_some(Node::Look { body, back, not, groups: [first, self.group] });
            }
        }
        if self.take("(?:") {
            let body = self.alternatives()?;
            return self.take(")").then_some(body).map(|body| match body {
                // A loop over it is one over a group, whatever is in it.
                one @ Node::One(_) => one,
                body => Node::Sequence(vec![body]),
            });
        }
        if self.take("(?<") {
            while self.next()? != '>' {
                self.at += 1;
            }
            self.at += 1;
        } else if is(self.source, self.at, "(?") {
            return None;
        } else {
            self.at += 1;
        }
        self.group += 1;
        let body = Box::new(self.alternatives()?);
        self.take(")").then_some(Node::Group(first, body))
    }

    fn repeated(&mut self, part: Node, first: usize) -> Option<Node> {
        let Some((min, max)) = self.quantifier()? else { return Some(part) };
        if matches!(part, Node::Start | Node::End | Node::Boundary { .. }) {
            return None;
        }
        let lazy = self.take("?");
        Some(Node::Loop { body: Box::new(part), min, max, lazy, groups: [first, self.group] })
    }

    /// The inner none if there is none.
    #[expect(clippy::option_option, reason = "the outer is what is not understood")]
    fn quantifier(&mut self) -> Option<Option<(usize, Option<usize>)>> {
        for (char, quantifier) in [("*", (0, None)), ("+", (1, None)), ("?", (0, Some(1)))] {
            if self.take(char) {
                return Some(Some(quantifier));
            }
        }
        if self.next() != Some('{') {
            return Some(None);
        }
        let inner: Vec<char> = self.source[self.at + 1..]
            .iter()
            .map_while(|unit| char::from_u32(*unit))
            .take_while(|char| char.is_ascii_digit() || *char == ',')
            .collect();
        let (text, close) = (inner.iter().collect::<String>(), self.at + 1 + inner.len());
        let is_one = is(self.source, close, "}")
            && inner.first().is_some_and(char::is_ascii_digit)
            && text.matches(',').count() < 2;
        if !is_one {
            // A brace like any other character.
            return if self.unicode { None } else { Some(None) };
        }
        self.at = close + 1;
        let (min, max) = text
            .split_once(',')
            .map_or((text.as_str(), Some(text.as_str())), |(min, max)| (min, Some(max).filter(|max| !max.is_empty())));
        let max = match max {
            Some(max) => Some(max.parse().ok()?),
            None => None,
        };
        Some(Some((min.parse().ok()?, max)))
    }
}
