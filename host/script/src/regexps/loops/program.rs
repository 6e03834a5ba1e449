//! A pattern as instructions.

use super::atoms::{Alike, Test};
use super::syntax::{Node, Syntax};

/// How many instructions a pattern may become.
const MAX_LENGTH: usize = 100_000;
/// How many loops that may match nothing may be around a fork of which it is remembered where it failed.
const MAX_AROUND: usize = 3;
/// How many characters' tests are tried before a way is tried.
const MAX_FIRST: usize = 8;

/// An instruction, by its number in the program.
pub(super) type At = u32;

/// Goes on at one place, and at another where that fails.
pub(super) struct Fork {
    pub(super) first: At,
    pub(super) second: At,
    /// What the next character must match for either to go on; none if it need not.
    pub(super) tests: [Option<Vec<usize>>; 2],
    /// Whether the second, if it is tried, ends the match.
    pub(super) sure: bool,
    /// Whether the part of the pattern around it goes backwards.
    pub(super) back: bool,
    /// Where it is remembered that it failed: a number, and the slots of the loops around it that have to move on yet,
    /// each of which has to be at another place, or makes another number.
    pub(super) memory: Option<(usize, Vec<usize>)>,
}

pub(super) enum Step {
    One {
        test: usize,
        back: bool,
    },
    /// One character several times.
    Run {
        test: usize,
        min: usize,
        max: usize,
        lazy: bool,
        back: bool,
    },
    Fork(Fork),
    Jump(At),
    /// Notes the place.
    Save(usize),
    /// Forgets the groups from the first up to the second.
    Forget([usize; 2]),
    /// Goes on if the place is another than was noted.
    Moved(usize),
    Start,
    End,
    Boundary {
        not: bool,
    },
    /// Goes on at `exit` if what follows ends in a match, or in none.
    Look {
        exit: At,
        not: bool,
        groups: [usize; 2],
    },
    Again {
        groups: Vec<usize>,
        back: bool,
    },
    Accept,
}

pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    pub(super) tests: Vec<Test>,
    pub(super) words: Test,
    pub(super) alike: Alike,
    pub(super) multiline: bool,
    /// Two for each group, and one for each loop that may match nothing.
    pub(super) slots: usize,
    pub(super) groups: usize,
    /// How many numbers there are of what is remembered.
    pub(super) memories: usize,
    /// What the first character must match.
    pub(super) first: Option<Vec<usize>>,
}

impl Program {
    /// None if it would be too long.
    pub(super) fn of(syntax: &Syntax, flags: &str) -> Option<Self> {
        let mut writer =
            Writer { steps: Vec::new(), slots: 2 * syntax.groups, looks: 0, forks: Vec::new(), around: Vec::new() };
        writer.push(Step::Save(0))?;
        writer.node(&syntax.pattern, false)?;
        writer.push(Step::Save(1))?;
        writer.push(Step::Accept)?;
        let Writer { mut steps, slots, forks, .. } = writer;
        let mut memories = 0;
        for Place { at, outside, around } in forks {
            let Step::Fork(Fork { first, second, back, .. }) = steps[at as usize] else { continue };
            let tests = [first, second].map(|at| first_of(&steps, at));
            let sure = outside && accepts(&steps, second);
            // Whether a fork fails must not depend on more than that.
            let memory = (!syntax.again && outside && around.len() <= MAX_AROUND).then(|| {
                memories += 1 << around.len();
                (memories - (1 << around.len()), around)
            });
            steps[at as usize] = Step::Fork(Fork { first, second, tests, sure, back, memory });
        }
        Some(Self {
            first: first_of(&steps, 0),
            steps,
            tests: syntax.atoms.iter().map(|atom| Test::new(atom, flags)).collect::<Option<Vec<_>>>()?,
            words: Test::words(flags)?,
            alike: Alike::new(flags)?,
            multiline: flags.contains('m'),
            slots,
            groups: syntax.groups,
            memories,
        })
    }
}

/// What the next character must match for the program to go on from there; none if it need not match anything.
fn first_of(steps: &[Step], at: At) -> Option<Vec<usize>> {
    let (mut open, mut seen, mut tests) = (vec![at], Vec::new(), Vec::new());
    while let Some(at) = open.pop() {
        if seen.contains(&at) {
            continue;
        }
        seen.push(at);
        if seen.len() > 10 * MAX_FIRST {
            return None;
        }
        match &steps[at as usize] {
            Step::One { test, .. } => tests.push(*test),
            Step::Run { test, min, .. } => {
                tests.push(*test);
                if *min == 0 {
                    open.push(at + 1);
                }
            }
            Step::Fork(Fork { first, second, .. }) => open.extend([first, second]),
            Step::Jump(to) => open.push(*to),
            Step::Look { exit, .. } => open.push(*exit),
            Step::Save(_) | Step::Forget(_) | Step::Moved(_) | Step::Start | Step::End | Step::Boundary { .. } => {
                open.push(at + 1);
            }
            Step::Again { .. } | Step::Accept => return None,
        }
    }
    tests.sort_unstable();
    tests.dedup();
    (tests.len() <= MAX_FIRST).then_some(tests)
}

/// Whether nothing is left but to accept.
fn accepts(steps: &[Step], at: At) -> bool {
    let mut at = at;
    for _ in 0..MAX_FIRST {
        match steps[at as usize] {
            Step::Accept => return true,
            Step::Save(_) => at += 1,
            Step::Jump(to) => at = to,
            _ => return false,
        }
    }
    false
}

struct Writer {
    steps: Vec<Step>,
    slots: usize,
    /// How many looks are around.
    looks: usize,
    /// The slots of the loops around that may match nothing.
    around: Vec<usize>,
    forks: Vec<Place>,
}

/// Where a fork is.
struct Place {
    at: At,
    /// Whether no look is around it.
    outside: bool,
    /// The slots of the loops around it that may match nothing.
    around: Vec<usize>,
}

impl Writer {
    fn at(&self) -> At {
        At::try_from(self.steps.len()).expect("at most MAX_LENGTH")
    }

    fn push(&mut self, step: Step) -> Option<At> {
        if self.steps.len() >= MAX_LENGTH {
            return None;
        }
        let at = self.at();
        self.steps.push(step);
        Some(at)
    }

    /// A fork whose ways are set later.
    fn fork(&mut self, back: bool) -> Option<At> {
        let fork = Fork { first: 0, second: 0, tests: [None, None], sure: false, back, memory: None };
        let at = self.push(Step::Fork(fork))?;
        self.forks.push(Place { at, outside: self.looks == 0, around: self.around.clone() });
        Some(at)
    }

    fn ways(&mut self, at: At, [go, out]: [At; 2], lazy: bool) {
        if let Step::Fork(fork) = &mut self.steps[at as usize] {
            [fork.first, fork.second] = if lazy { [out, go] } else { [go, out] };
        }
    }

    fn land(&mut self, jump: At) {
        self.steps[jump as usize] = Step::Jump(self.at());
    }

    fn node(&mut self, node: &Node, back: bool) -> Option<()> {
        match node {
            Node::Empty => {}
            Node::One(test) => {
                self.push(Step::One { test: *test, back })?;
            }
            Node::Sequence(parts) if back => parts.iter().rev().try_for_each(|part| self.node(part, back))?,
            Node::Sequence(parts) => parts.iter().try_for_each(|part| self.node(part, back))?,
            Node::Either(parts) => self.either(parts, back)?,
            Node::Group(number, body) => {
                let [before, after] = if back { [2 * number + 1, 2 * number] } else { [2 * number, 2 * number + 1] };
                self.push(Step::Save(before))?;
                self.node(body, back)?;
                self.push(Step::Save(after))?;
            }
            Node::Loop { body, min, max, lazy, groups } => match **body {
                Node::One(test) => {
                    let max = max.unwrap_or(usize::MAX);
                    self.push(Step::Run { test, min: *min, max, lazy: *lazy, back })?;
                }
                _ => self.repeat(body, [Some(*min), *max], *lazy, *groups, back)?,
            },
            Node::Start => {
                self.push(Step::Start)?;
            }
            Node::End => {
                self.push(Step::End)?;
            }
            Node::Boundary { not } => {
                self.push(Step::Boundary { not: *not })?;
            }
            Node::Look { body, back, not, groups } => {
                let look = self.push(Step::Look { exit: 0, not: *not, groups: *groups })?;
                self.looks += 1;
                self.node(body, *back)?;
                self.looks -= 1;
                self.push(Step::Accept)?;
                self.steps[look as usize] = Step::Look { exit: self.at(), not: *not, groups: *groups };
            }
            Node::Again(groups) => {
                self.push(Step::Again { groups: groups.clone(), back })?;
            }
        }
        Some(())
    }

    fn either(&mut self, parts: &[Node], back: bool) -> Option<()> {
        let mut ends = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let is_last = index + 1 == parts.len();
            let fork = if is_last { None } else { Some(self.fork(back)?) };
            let first = self.at();
            self.node(part, back)?;
            if !is_last {
                ends.push(self.push(Step::Jump(0))?);
            }
            if let Some(fork) = fork {
                self.ways(fork, [first, self.at()], false);
            }
        }
        for end in ends {
            self.land(end);
        }
        Some(())
    }

    fn repeat(
        &mut self,
        body: &Node,
        [min, max]: [Option<usize>; 2],
        lazy: bool,
        groups: [usize; 2],
        back: bool,
    ) -> Option<()> {
        let min = min.unwrap_or(0);
        for _ in 0..min {
            self.turn(body, groups, false, back)?;
        }
        let empty = body.may_be_empty();
        match max {
            None => {
                let fork = self.fork(back)?;
                let go = self.at();
                self.turn(body, groups, empty, back)?;
                self.push(Step::Jump(fork))?;
                self.ways(fork, [go, self.at()], lazy);
            }
            Some(max) => {
                let mut forks = Vec::new();
                for _ in min..max {
                    let fork = self.fork(back)?;
                    forks.push((fork, self.at()));
                    self.turn(body, groups, empty, back)?;
                }
                let out = self.at();
                for (fork, go) in forks {
                    self.ways(fork, [go, out], lazy);
                }
            }
        }
        Some(())
    }

    /// One turn of a loop.
    fn turn(&mut self, body: &Node, groups: [usize; 2], must_move: bool, back: bool) -> Option<()> {
        if groups[0] < groups[1] {
            self.push(Step::Forget(groups))?;
        }
        if !must_move {
            return self.node(body, back);
        }
        let slot = self.slots;
        self.slots += 1;
        self.push(Step::Save(slot))?;
        self.around.push(slot);
        self.node(body, back)?;
        self.around.pop();
        self.push(Step::Moved(slot)).map(drop)
    }
}
