//! The images of the programs in use.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use crate::config::Config;
use crate::image::Image;

/// The size of an entry without its image, in bytes.
const ENTRY: u64 = 200;
/// How many images to expect, for the cache's initial size.
const ESTIMATE: usize = 100;
/// When nine tenths of the bytes are in use, images are made in only one tenth of the time: if more programs are called
/// than fit, images are evicted before they are useful.
const TENTHS: (u64, u64) = (9, 10);
/// After an image was made, none is made for this many times the time it took.
const PAUSE: u32 = 9;

/// The digest of the `config` that an image is made with.
type Key = [u8; 32];

/// What is known of a program.
#[derive(Clone)]
enum Entry {
    /// It was called once, and may never be called again.
    Seen,
    /// A call is making its image.
    Making,
    Image(Image),
    /// It cannot have an image.
    Impossible,
}

/// The result of making an image.
pub(crate) enum Made {
    Image(Image),
    /// It may be made later.
    NotNow,
    /// The program cannot have an image.
    Impossible,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Entry> for Weight {
    fn weight(&self, _: &Key, entry: &Entry) -> u64 {
        ENTRY + if let Entry::Image(image) = entry { image.pieces.len() as u64 } else { 0 }
    }
}

/// Images by what they were made with: the most used ones, up to a number of bytes.
pub(crate) struct Images(Mutex<State>);

struct State {
    cache: Cache<Key, Entry, Weight>,
    /// Before this time, no image is made if space is short.
    pause: Instant,
}

impl Images {
    /// A cache of this many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let cache = Cache::with_weighter(ESTIMATE, bytes as u64, Weight);
        Self(Mutex::new(State { cache, pause: Instant::now() }))
    }

    /// The image of a program, if there is one; `Err` if the caller should make one.
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

/// An image is being made. If this is dropped without a result, another call may try.
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
            // It is larger than the whole cache.
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

    /// Calls a program, and makes its image if asked to. Returns whether there is one now.
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
    fn a_caller_that_gives_up_leaves_it_to_the_next() {
        let images = Images::new(1 << 20);
        assert!(!call(&images, 1, 10));
        drop(images.find(&program(1)).err().unwrap());
        assert!(call(&images, 1, 10));
    }

    #[test]
    fn a_program_that_cannot_have_an_image_is_not_tried_again() {
        let images = Images::new(1 << 20);
        assert!(!call(&images, 1, 10));
        images.find(&program(1)).err().unwrap().end(Made::Impossible);
        assert!(!call(&images, 1, 10));
    }

    #[test]
    fn the_cache_stays_within_its_bytes_and_used_images_stay() {
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
        assert!(call(&images, 0, 10_000), "the program that is called all the time");
    }

    #[test]
    fn an_image_that_does_not_fit_is_made_once() {
        let images = Images::new(100_000);
        assert!(!call(&images, 1, 200_000));
        assert!(call(&images, 1, 200_000), "it was made");
        assert!(!call(&images, 1, 200_000), "but not kept");
        assert_eq!(images.count(), 0);
    }

    #[test]
    fn programs_with_different_configs_have_different_images() {
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
