//! How loading a program changes a guest's memory, kept so that later calls need not load it again.
//!
//! A guest of world `preloaded-charm` shows its memory before and after it has loaded the program. The difference is
//! stored, and the fresh instance of each later call applies it to its own memory. The image depends on nothing but the
//! program, and is used for that program only.

use std::sync::Arc;

/// Memory is compared in pieces of this many bytes. A piece costs 8 more bytes, and a copy.
const GRAIN: usize = 64;

/// How a loaded program changes the memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// The length of the memory, in bytes, as far as the guest shows it.
    pub(crate) memory: u32,
    /// In the format of the contract.
    pub(crate) pieces: Arc<[u8]>,
}

/// A guest's memory during one call, for creating or applying an image.
#[derive(Debug, Default)]
pub(crate) enum Memory {
    /// An ordinary call.
    #[default]
    Plain,
    /// The program is to be loaded.
    Unloaded,
    /// The program is being loaded: the memory before.
    Loading(Vec<u8>),
    /// The program is loaded.
    Loaded(Image),
}

impl Memory {
    pub(crate) fn before(&mut self, memory: Vec<u8>) {
        if matches!(self, Self::Unloaded) {
            *self = Self::Loading(memory);
        }
    }

    pub(crate) fn after(&mut self, memory: &[u8]) {
        let Self::Loading(before) = self else { return };
        if let Ok(length) = u32::try_from(memory.len()) {
            *self = Self::Loaded(Image { memory: length, pieces: difference(before, memory).into() });
        }
    }

    pub(crate) fn pieces(&self) -> Option<Arc<[u8]>> {
        if let Self::Loaded(image) = self { Some(Arc::clone(&image.pieces)) } else { None }
    }

    /// The image, if one was made.
    pub(crate) fn into_image(self) -> Option<Image> {
        if let Self::Loaded(image) = self { Some(image) } else { None }
    }
}

/// The pieces that turn `before` into `after`. Memory that did not exist before counts as zeros.
fn difference(before: &[u8], after: &[u8]) -> Vec<u8> {
    const ZEROS: [u8; GRAIN] = [0; GRAIN];
    let mut pieces = Vec::new();
    // Where the last piece ends, and where the current one begins, if there is one.
    let (mut end, mut begin) = (0, None);
    for (index, grain) in after.chunks(GRAIN).enumerate() {
        let at = index * GRAIN;
        let was = before.get(at..).map_or(&ZEROS[..0], |rest| &rest[..rest.len().min(grain.len())]);
        let differs = grain[..was.len()] != *was || grain[was.len()..] != ZEROS[..grain.len() - was.len()];
        match (differs, begin) {
            (true, None) => begin = Some(at),
            (false, Some(from)) => {
                put(&mut pieces, from - end, &after[from..at]);
                (end, begin) = (at, None);
            }
            _ => {}
        }
    }
    if let Some(from) = begin {
        put(&mut pieces, from - end, &after[from..]);
    }
    pieces
}

fn put(pieces: &mut Vec<u8>, skip: usize, piece: &[u8]) {
    for number in [skip, piece.len()] {
        let number = u32::try_from(number).expect("the whole has a length of 32 bits");
        pieces.extend(number.to_le_bytes());
    }
    pieces.extend(piece);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As a guest does.
    fn put_over(memory: &mut [u8], mut pieces: &[u8]) {
        let mut at = 0;
        while let Some((head, rest)) = pieces.split_first_chunk::<8>() {
            let [skip, length] =
                [0, 4].map(|from| u32::from_le_bytes(head[from..from + 4].try_into().unwrap()) as usize);
            at += skip;
            let (piece, rest) = rest.split_at(length);
            memory[at..at + length].copy_from_slice(piece);
            at += length;
            pieces = rest;
        }
        assert!(pieces.is_empty());
    }

    fn check(before: &[u8], after: &[u8]) -> usize {
        let pieces = difference(before, after);
        let mut memory = before.to_vec();
        memory.resize(after.len(), 0);
        put_over(&mut memory, &pieces);
        assert_eq!(memory, after);
        pieces.len()
    }

    #[test]
    fn only_differences_are_kept() {
        let mut after = vec![1; 10 * GRAIN + 5];
        assert_eq!(check(&after.clone(), &after), 0);
        let before = after.clone();
        after[3 * GRAIN] = 2;
        assert_eq!(check(&before, &after), 8 + GRAIN);
        after[4 * GRAIN] = 2;
        assert_eq!(check(&before, &after), 8 + 2 * GRAIN);
        after[10 * GRAIN] = 2;
        assert_eq!(check(&before, &after), 8 + 2 * GRAIN + 8 + 5);
        assert_eq!(check(&[], &[0; 3 * GRAIN]), 0);
    }

    #[test]
    fn memory_is_shown_in_order_only() {
        let mut memory = Memory::Plain;
        memory.before(vec![0; 10]);
        memory.after(&[1; 10]);
        assert_eq!(memory.pieces(), None);
        let mut memory = Memory::Unloaded;
        memory.after(&[1; 10]);
        assert_eq!(memory.pieces(), None);
        memory.before(vec![0; 10]);
        memory.after(&[1; 10]);
        assert!(memory.pieces().is_some());
    }

    proptest! {
        #[test]
        fn an_image_turns_the_memory_before_into_the_memory_after(
            before in prop::collection::vec(any::<u8>(), 0..1_000),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..50),
            more in 0_usize..500,
        ) {
            let mut after = before.clone();
            after.resize(before.len() + more, 0);
            for (at, byte) in changes {
                if !after.is_empty() {
                    let at = at.index(after.len());
                    after[at] = byte;
                }
            }
            check(&before, &after);
        }
    }
}
