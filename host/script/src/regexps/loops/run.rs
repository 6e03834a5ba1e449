//! Runs a program over a text.

use super::TooMuch;
use super::program::{At, Fork, Program, Step};

/// The place of what has none.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Words in a piece of the stack.
const PIECE: usize = 1 << 16;
/// How many steps are done before failures are remembered, beside one for each 64 bits that it takes.
const STEPS: usize = 1 << 12;
/// The most bits that remembering takes.
const MAX_MEMORY: usize = 1 << 28;

/// What an entry of the stack is, in the lowest bits of its last word.
const WAY: u32 = 0;
const SLOT: u32 = 1;
const RUN: u32 = 2;
const BITS: u32 = 2;

/// The slots of the first match that begins at `from`, or behind it unless it has to be `here`. `pairs` says that two
/// units may be one character.
pub(super) fn find(
    program: &Program,
    units: &[u16],
    pairs: bool,
    from: usize,
    here: bool,
) -> Result<Option<Vec<u32>>, TooMuch> {
    // Places have 32 bits; no text is that long.
    if u32::try_from(units.len()).is_err() {
        return Err(TooMuch);
    }
    let mut run = Run {
        program,
        units,
        pairs,
        slots: vec![NOWHERE; program.slots],
        saved: vec![0; program.slots],
        ways: 1,
        stack: Stack::default(),
        steps: 0,
        memory: Vec::new(),
    };
    let mut at = from;
    loop {
        if run.may_begin(at) {
            run.slots.fill(NOWHERE);
            run.saved.fill(0);
            if run.attempt(0, at)?.is_some() {
                run.slots.truncate(2 * program.groups);
                return Ok(Some(run.slots));
            }
        }
        if here || at >= units.len() {
            return Ok(None);
        }
        at = run.after(at).map_or(at + 1, |(_, next)| next);
    }
}

struct Run<'r> {
    program: &'r Program,
    units: &'r [u16],
    pairs: bool,
    slots: Vec<u32>,
    /// After which way on the stack a slot was put there last: what it was then need not be put there again.
    saved: Vec<u32>,
    /// How many ways were put on the stack.
    ways: u32,
    stack: Stack,
    steps: usize,
    /// Where forks failed, or are tried.
    memory: Vec<u64>,
}

impl Run<'_> {
    /// The character at a place, and the place behind it.
    fn after(&self, at: usize) -> Option<(u32, usize)> {
        let unit = *self.units.get(at)?;
        if self.pairs
            && (0xd800..0xdc00).contains(&unit)
            && let Some(second) = self.units.get(at + 1).filter(|second| (0xdc00..0xe000).contains(*second))
        {
            return Some((0x10000 + ((u32::from(unit) - 0xd800) << 10) + (u32::from(*second) - 0xdc00), at + 2));
        }
        Some((unit.into(), at + 1))
    }

    /// The same before it.
    fn before(&self, at: usize) -> Option<(u32, usize)> {
        let last = at.checked_sub(1)?;
        if self.pairs
            && last > 0
            && (0xdc00..0xe000).contains(&self.units[last])
            && let Some((char, next)) = self.after(last - 1)
            && next == at
        {
            return Some((char, last - 1));
        }
        Some((self.units[last].into(), last))
    }

    fn next(&self, at: usize, back: bool) -> Option<(u32, usize)> {
        if back { self.before(at) } else { self.after(at) }
    }

    fn step(&self, test: usize, at: usize, back: bool) -> Option<usize> {
        let (char, next) = self.next(at, back)?;
        self.program.tests[test].matches(char).then_some(next)
    }

    fn may_begin(&self, at: usize) -> bool {
        self.program.first.as_ref().is_none_or(|tests| self.may_go(tests, at, false))
    }

    fn may_go(&self, tests: &[usize], at: usize, back: bool) -> bool {
        self.next(at, back).is_some_and(|(char, _)| tests.iter().any(|test| self.program.tests[*test].matches(char)))
    }

    fn is_word(&self, char: Option<(u32, usize)>) -> bool {
        char.is_some_and(|(char, _)| self.program.words.matches(char))
    }

    fn is_end_of_line(char: Option<(u32, usize)>) -> bool {
        matches!(char, Some((0x0a | 0x0d | 0x2028 | 0x2029, _)))
    }

    fn push(&mut self, words: &[u32]) -> Result<(), TooMuch> {
        self.stack.push(words)
    }

    fn set(&mut self, slot: usize, value: u32) -> Result<(), TooMuch> {
        let old = std::mem::replace(&mut self.slots[slot], value);
        if old != value && self.saved[slot] != self.ways {
            self.saved[slot] = self.ways;
            self.push(&[old, (small(slot) << BITS) | SLOT])?;
        }
        Ok(())
    }

    fn way(&mut self, to: At, at: usize) -> Result<(), TooMuch> {
        self.ways = self.ways.wrapping_add(1).max(1);
        self.push(&[small(at), (to << BITS) | WAY])
    }

    /// Whether a fork was tried at that place before.
    fn remembers(&mut self, (number, around): &(usize, Vec<usize>), at: usize) -> bool {
        self.steps += 1;
        if self.memory.is_empty() {
            // The guest's `usize` has 32 bits. What is below the limit is so for each place in it, too.
            let bits = self.program.memories.checked_mul(self.units.len() + 1).filter(|bits| *bits <= MAX_MEMORY);
            let Some(bits) = bits.filter(|bits| self.steps >= STEPS + bits / 64) else { return false };
            let words = bits / 64 + 1;
            // It goes on without where there is no room.
            if self.memory.try_reserve_exact(words).is_err() {
                self.steps = 0;
                return false;
            }
            self.memory.resize(words, 0);
        }
        let unmoved = around.iter().rev().fold(0, |bits, slot| 2 * bits + usize::from(self.slots[*slot] == small(at)));
        let bit = (number + unmoved) * (self.units.len() + 1) + at;
        let (word, mask) = (&mut self.memory[bit / 64], 1 << (bit % 64));
        let known = *word & mask != 0;
        *word |= mask;
        known
    }

    /// Where a match ends that begins there, at that step of the program.
    fn attempt(&mut self, step: At, from: usize) -> Result<Option<usize>, TooMuch> {
        let program = self.program;
        let base = self.stack.length;
        let (mut step, mut at) = (step, from);
        loop {
            let goes_on = match &program.steps[step as usize] {
                Step::Accept => {
                    return Ok(Some(at));
                }
                Step::One { test, back } => match self.step(*test, at, *back) {
                    Some(next) => {
                        (step, at) = (step + 1, next);
                        true
                    }
                    None => false,
                },
                Step::Run { test, min, max, lazy, back } => {
                    self.run(&mut step, &mut at, [*test, *min, *max], [*lazy, *back])?
                }
                Step::Fork(fork) => self.fork(fork, &mut step, at, base)?,
                Step::Jump(to) => {
                    step = *to;
                    true
                }
                Step::Save(slot) => {
                    self.set(*slot, small(at))?;
                    step += 1;
                    true
                }
                Step::Forget([first, end]) => {
                    for slot in 2 * first..2 * end {
                        self.set(slot, NOWHERE)?;
                    }
                    step += 1;
                    true
                }
                Step::Moved(slot) => {
                    step += 1;
                    self.slots[*slot] != small(at)
                }
                Step::Start => {
                    step += 1;
                    at == 0 || program.multiline && Self::is_end_of_line(self.units_before(at))
                }
                Step::End => {
                    step += 1;
                    at == self.units.len() || program.multiline && Self::is_end_of_line(self.after(at))
                }
                Step::Boundary { not } => {
                    step += 1;
                    (self.is_word(self.before(at)) != self.is_word(self.after(at))) != *not
                }
                Step::Look { exit, not, groups } => self.look(&mut step, at, *exit, *not, *groups)?,
                Step::Again { groups, back } => match self.again(groups, at, *back) {
                    Some(next) => {
                        (step, at) = (step + 1, next);
                        true
                    }
                    None => false,
                },
            };
            if !goes_on && !self.go_back(&mut step, &mut at, base)? {
                return Ok(None);
            }
        }
    }

    fn units_before(&self, at: usize) -> Option<(u32, usize)> {
        Some((u32::from(*self.units.get(at.checked_sub(1)?)?), at - 1))
    }

    fn fork(&mut self, fork: &Fork, step: &mut At, at: usize, base: usize) -> Result<bool, TooMuch> {
        if let Some(memory) = &fork.memory
            && self.remembers(memory, at)
        {
            return Ok(false);
        }
        let may = |way: usize| fork.tests[way].as_ref().is_none_or(|tests| self.may_go(tests, at, fork.back));
        let [first, second] = [may(0), may(1)];
        match (first, second) {
            (true, true) => {
                if fork.sure {
                    // Nothing that is further down is gone back to before this ends the match.
                    self.stack.cut(base);
                }
                self.way(fork.second, at)?;
                *step = fork.first;
            }
            (true, false) => *step = fork.first,
            (false, true) => *step = fork.second,
            (false, false) => return Ok(false),
        }
        Ok(true)
    }

    fn run(
        &mut self,
        step: &mut At,
        at: &mut usize,
        [test, min, max]: [usize; 3],
        [lazy, back]: [bool; 2],
    ) -> Result<bool, TooMuch> {
        let mut count = 0;
        while count < min {
            match self.step(test, *at, back) {
                Some(next) => *at = next,
                None => return Ok(false),
            }
            count += 1;
        }
        let least = *at;
        if lazy {
            if max > min {
                // How often it may still go on, from there.
                self.way_of_run(*step, least, small(max - min))?;
            }
        } else {
            while count < max
                && let Some(next) = self.step(test, *at, back)
            {
                *at = next;
                count += 1;
            }
            if *at != least {
                self.way_of_run(*step, *at, small(least))?;
            }
        }
        *step += 1;
        Ok(true)
    }

    /// Of a loop over single characters: where it is, and how far it may go back; or, if it is lazy, how often it may
    /// go on.
    fn way_of_run(&mut self, step: At, at: usize, limit: u32) -> Result<(), TooMuch> {
        self.ways = self.ways.wrapping_add(1).max(1);
        self.push(&[limit, small(at), (step << BITS) | RUN])
    }

    fn look(&mut self, step: &mut At, at: usize, exit: At, not: bool, groups: [usize; 2]) -> Result<bool, TooMuch> {
        let (base, slots) = (self.stack.length, self.slots.clone());
        let inner = *step + 1;
        // What is noted within is put on the stack for those around, whatever was put there before.
        self.ways = self.ways.wrapping_add(1).max(1);
        let matched = self.attempt(inner, at)?.is_some();
        self.stack.cut(base);
        let kept: Vec<u32> = self.slots[2 * groups[0]..2 * groups[1]].to_vec();
        self.slots = slots;
        self.ways = self.ways.wrapping_add(1).max(1);
        if matched == not {
            return Ok(false);
        }
        if matched {
            for (slot, value) in (2 * groups[0]..).zip(kept) {
                self.set(slot, value)?;
            }
        }
        *step = exit;
        Ok(true)
    }

    fn again(&self, groups: &[usize], at: usize, back: bool) -> Option<usize> {
        let range = |group: &usize| {
            let [start, end] = [self.slots[2 * group], self.slots[2 * group + 1]];
            (start != NOWHERE && end != NOWHERE).then_some([start as usize, end as usize])
        };
        // A group that has matched nothing matches nothing again.
        let Some([start, end]) = groups.iter().find_map(range) else { return Some(at) };
        let (mut here, mut there) = (at, if back { end } else { start });
        while there != if back { start } else { end } {
            let ((one, next), (other, next_there)) = (self.next(here, back)?, self.next(there, back)?);
            if !self.program.alike.are(other, one) {
                return None;
            }
            (here, there) = (next, next_there);
        }
        Some(here)
    }

    /// Goes back to the last way that is left; false if none is.
    fn go_back(&mut self, step: &mut At, at: &mut usize, base: usize) -> Result<bool, TooMuch> {
        while self.stack.length > base {
            let last = self.stack.pop();
            let (kind, number) = (last & ((1 << BITS) - 1), last >> BITS);
            match kind {
                SLOT => self.slots[number as usize] = self.stack.pop(),
                WAY => {
                    *step = number;
                    *at = self.stack.pop() as usize;
                    self.ways = self.ways.wrapping_add(1).max(1);
                    return Ok(true);
                }
                _ => {
                    let (place, limit) = (self.stack.pop() as usize, self.stack.pop());
                    if self.run_on(number, place, limit, at)? {
                        *step = number + 1;
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    /// Another number of characters of a loop over single ones.
    fn run_on(&mut self, step: At, place: usize, limit: u32, at: &mut usize) -> Result<bool, TooMuch> {
        let Step::Run { test, lazy, back, .. } = self.program.steps[step as usize] else { return Ok(false) };
        self.ways = self.ways.wrapping_add(1).max(1);
        if lazy {
            let Some(next) = self.step(test, place, back) else { return Ok(false) };
            if limit > 1 {
                let left = if limit == NOWHERE { limit } else { limit - 1 };
                self.way_of_run(step, next, left)?;
            }
            *at = next;
            return Ok(true);
        }
        let Some((_, next)) = self.next(place, !back) else { return Ok(false) };
        if next != limit as usize {
            self.way_of_run(step, next, limit)?;
        }
        *at = next;
        Ok(true)
    }
}

/// A number that is below 2³², or else as good as endless.
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NOWHERE)
}

/// Words, in pieces: one that doubles would have to be there twice for a moment.
#[derive(Default)]
struct Stack {
    full: Vec<Vec<u32>>,
    top: Vec<u32>,
    /// A piece that is not used at present.
    spare: Vec<u32>,
    length: usize,
}

impl Stack {
    fn push(&mut self, words: &[u32]) -> Result<(), TooMuch> {
        for word in words {
            if self.top.len() == self.top.capacity() {
                self.grow()?;
            }
            self.top.push(*word);
        }
        self.length += words.len();
        Ok(())
    }

    fn grow(&mut self) -> Result<(), TooMuch> {
        if self.top.len() < PIECE {
            let more = (self.top.len() * 2).clamp(64, PIECE) - self.top.len();
            return self.top.try_reserve_exact(more).map_err(|_| TooMuch);
        }
        let mut piece = std::mem::take(&mut self.spare);
        piece.try_reserve_exact(PIECE).map_err(|_| TooMuch)?;
        self.full.try_reserve(1).map_err(|_| TooMuch)?;
        self.full.push(std::mem::replace(&mut self.top, piece));
        Ok(())
    }

    fn pop(&mut self) -> u32 {
        if self.top.is_empty()
            && let Some(piece) = self.full.pop()
        {
            self.spare = std::mem::replace(&mut self.top, piece);
        }
        self.length -= 1;
        self.top.pop().expect("as many words as were put there")
    }

    fn cut(&mut self, length: usize) {
        while self.length > length {
            let gone = (self.length - length).min(self.top.len());
            self.top.truncate(self.top.len() - gone);
            self.length -= gone;
            if self.top.is_empty()
                && let Some(piece) = self.full.pop()
            {
                self.top = piece;
            }
        }
    }
}
