//! Which places are taken, as far as an observer can tell: a charm may have to wait for one, and then loses its time.

use tokio::time::Instant;

use crate::model::Model;
use crate::world::{INTEGRATIONS, Scene};

/// The polls under way, and when there was last no place for another one.
pub struct Load {
    /// At this number of polls under way, others wait: one place stays free for each integration that uses none.
    most: usize,
    per_space: usize,
    running: usize,
    full_at: Option<Instant>,
    /// By space: the polls under way, and when it was last at its limit.
    spaces: Vec<(usize, Option<Instant>)>,
}

impl Load {
    pub fn new(scene: &Scene) -> Self {
        let most = scene.max_concurrent.saturating_sub(INTEGRATIONS);
        let per_space = scene.per_space as usize;
        Self { most, per_space, running: 0, full_at: None, spaces: vec![(0, None); scene.spaces] }
    }

    /// A poll starts.
    pub fn starts(&mut self, space: usize) {
        self.running += 1;
        self.spaces[space].0 += 1;
        self.note(space);
    }

    /// A poll has ended.
    pub fn ends(&mut self, space: usize) {
        self.note(space);
        self.running = self.running.saturating_sub(1);
        self.spaces[space].0 = self.spaces[space].0.saturating_sub(1);
    }

    /// The process has ended, and all polls with it.
    pub fn clear(&mut self) {
        self.running = 0;
        for (running, _) in &mut self.spaces {
            *running = 0;
        }
    }

    fn note(&mut self, space: usize) {
        let now = Instant::now();
        if self.running >= self.most {
            self.full_at = Some(now);
        }
        if self.spaces[space].0 >= self.per_space {
            self.spaces[space].1 = Some(now);
        }
    }

    /// Whether there was no place for a charm at some moment since `due`, or its list may have come late. Slow charms may have to wait for each
    /// other, too.
    pub fn kept_waiting_since(&self, model: &Model, due: Instant) -> bool {
        let (running, busy_at) = self.spaces[model.space];
        let is_full = self.running >= self.most || self.full_at.is_some_and(|at| at >= due);
        let is_busy = running >= self.per_space || busy_at.is_some_and(|at| at >= due);
        model.integration != 0 || model.space == 0 || is_full || is_busy
    }
}
