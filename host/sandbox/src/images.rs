//! The images of the programs that are in use.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use crate::config::Config;
use crate::image::Image;

/// What an entry takes beside its image, bytes.
const ENTRY: u64 = 200;
/// How many images there may well be, for the cache to begin with.
const ESTIMATE: usize = 100;
/// When nine tenths of the bytes are in use, images are made in one tenth of the time only: where more programs are called than there is
/// room for, those that are made are gone before they are of use.
const TENTHS: (u64, u64) = (9, 10);
/// After an image was made, none is made then for so many times as long as that took.
const PAUSE: u32 = 9;

/// The digest of the `config` that an image is made with.
type Key = [u8; 32];

/// What is known of a program.
#[derive(Clone)]
enum Entry {
    /// It was called once, and may never be called again.
    Seen,
    /// Somebody makes its image.
    Making,
    Image(Image),
    /// It has none.
    Impossible,
}

/// What came of making an image.
pub(crate) enum Made {
    Image(Image),
    /// It may be made later.
    NotNow,
    /// The program can't be kept.
    Impossible,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Entry> for Weight {
    fn weight(&self, _: &Key, entry: &Entry) -> u64 {
        ENTRY + if let Entry::Image(image) = entry { image.pieces.len() as u64 } else { 0 }
    }
}

/// Images by what they were made with: those that are used most, up to a number of bytes.
pub(crate) struct Images(Mutex<State>);

struct State {
    cache: Cache<Key, Entry, Weight>,
    /// Before this, no image is made if there is hardly room for one.
    pause: Instant,
}

impl Images {
    /// Room for that many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let cache = Cache::with_weighter(ESTIMATE, bytes as u64, Weight);
        Self(Mutex::new(State { cache, pause: Instant::now() }))
    }

    /// The image of a program, if it has one; an error if one should be made.
    pub(crate) fn find(&self, config: &Config) -> Result<Option<Image>, Making<'_>> {
        let key = config.digest();
        let mut state = self.lock();
        match state.cache.get(&key) {
            Some(Entry::Image(image)) => Ok(Some(image.clone())),
            Some(Entry::Seen) if state.may_make() => {
                state.cache.insert(key, Entry::Making);
                Err(Making { images: self, key, begun: Instant::now(), made: Made::NotNow })
            }
            Some(_) => Ok(None),
            None => {
                state.cache.insert(key, Entry::Seen);
                Ok(None)
            }
        }
    }

    /// How many images there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().cache.iter().filter(|(_, entry)| matches!(entry, Entry::Image(_))).count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn may_make(&self) -> bool {
        let (part, of) = TENTHS;
        self.cache.weight() / part < self.cache.capacity() / of || Instant::now() >= self.pause
    }
}

/// An image is being made. If that comes to nothing, another call may try it.
pub(crate) struct Making<'i> {
    images: &'i Images,
    key: Key,
    begun: Instant,
    made: Made,
}

impl Making<'_> {
    pub(crate) fn end(mut self, made: Made) {
        self.made = made;
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let entry = match std::mem::replace(&mut self.made, Made::NotNow) {
            Made::Image(image) => Entry::Image(image),
            Made::NotNow => Entry::Seen,
            Made::Impossible => Entry::Impossible,
        };
        let mut state = self.images.lock();
        state.cache.insert(self.key, entry);
        if state.cache.get(&self.key).is_none() {
            // It is more than there is room for.
            state.cache.insert(self.key, Entry::Impossible);
        }
        let now = Instant::now();
        state.pause = now + (now - self.begun) * PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;

    fn program(number: usize) -> Config {
        Config::plain(Arc::new(BTreeMap::from([("charm.module".to_owned(), number.to_string())])))
    }

    fn image(bytes: usize) -> Image {
        Image { memory: 0, pieces: vec![0; bytes].into() }
    }

    /// Calls a program, and makes its image if that is wanted. Whether there is one now.
    fn call(images: &Images, number: usize, bytes: usize) -> bool {
        match images.find(&program(number)) {
            Ok(found) => found.is_some(),
            Err(making) => {
                making.end(Made::Image(image(bytes)));
                true
            }
        }
    }

    #[test]
    fn an_image_is_made_at_the_second_call_and_by_one_caller() {
        let images = Images::new(1 << 20);
        assert!(matches!(images.find(&program(1)), Ok(None)));
        let making = images.find(&program(1)).err().unwrap();
        assert!(matches!(images.find(&program(1)), Ok(None)));
        making.end(Made::Image(image(10)));
        assert_eq!(images.find(&program(1)).ok().unwrap(), Some(image(10)));
        assert!(matches!(images.find(&program(2)), Ok(None)));
    }

    #[test]
    fn whoever_gives_up_leaves_it_to_the_next() {
        let images = Images::new(1 << 20);
        assert!(!call(&images, 1, 10));
        drop(images.find(&program(1)).err().unwrap());
        assert!(call(&images, 1, 10));
    }

    #[test]
    fn what_has_no_image_is_not_tried_again() {
        let images = Images::new(1 << 20);
        assert!(!call(&images, 1, 10));
        images.find(&program(1)).err().unwrap().end(Made::Impossible);
        assert!(!call(&images, 1, 10));
    }

    #[test]
    fn there_are_no_more_bytes_than_there_may_be_and_what_is_used_stays() {
        let images = Images::new(100_000);
        for round in 0..3 {
            for number in 0..1_000 {
                call(&images, number, 10_000);
                if round > 0 {
                    call(&images, 0, 10_000);
                }
            }
        }
        let weight = images.lock().cache.weight();
        assert!(weight <= 100_000, "{weight}");
        assert!((1..10).contains(&images.count()), "{}", images.count());
        assert!(call(&images, 0, 10_000), "the one that is called all the time");
    }

    #[test]
    fn an_image_that_there_is_no_room_for_is_made_once() {
        let images = Images::new(100_000);
        assert!(!call(&images, 1, 200_000));
        assert!(call(&images, 1, 200_000), "it was made");
        assert!(!call(&images, 1, 200_000), "and is not kept");
        assert_eq!(images.count(), 0);
    }

    #[test]
    fn programs_are_told_apart_by_all_that_they_are_given() {
        let keys = [
            BTreeMap::new(),
            BTreeMap::from([("a".to_owned(), "bc".to_owned())]),
            BTreeMap::from([("ab".to_owned(), "c".to_owned())]),
            BTreeMap::from([("a".to_owned(), "b".to_owned()), ("c".to_owned(), String::new())]),
        ]
        .map(|config| Config::plain(Arc::new(config)).digest());
        for (at, one) in keys.iter().enumerate() {
            assert!(!keys[at + 1..].contains(one));
        }
    }
}
