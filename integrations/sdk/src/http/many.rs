//! Several concurrent requests.

use std::ops::ControlFlow;

use super::flight::{Flight, wait_for_any};
use super::{HttpError, Request, Response};
use crate::time::Instant;

/// Sends requests, `at_once` of them at a time (the host allows 8), and calls `answered` for each as it ends, with the
/// value that accompanied the request, and its outcome.
///
/// The first request is sent alone: if the gate refuses it, it would refuse the others, too, and `answered` can stop.
/// No request is started or waited for after `until`. Requests are taken from the iterator only when they are sent.
pub fn send_all<T>(
    requests: impl IntoIterator<Item = (T, Request)>,
    at_once: usize,
    until: Instant,
    mut answered: impl FnMut(T, Result<Response, HttpError>) -> ControlFlow<()>,
) {
    let mut requests = requests.into_iter();
    let mut under_way: Vec<(T, Flight)> = Vec::new();
    let mut window = 1;
    loop {
        while under_way.len() < window && !until.has_passed() {
            let Some((key, request)) = requests.next() else { break };
            match Flight::start(&request, until.min(Instant::now() + request.timeout)) {
                Ok(flight) => under_way.push((key, flight)),
                Err(error) => {
                    if answered(key, Err(error)).is_break() {
                        return;
                    }
                }
            }
        }
        if under_way.is_empty() {
            return;
        }
        let ready = wait_for_any(&under_way.iter().map(|(_, flight)| flight).collect::<Vec<_>>());
        // Backwards, so that removing one keeps the indices of the others.
        for place in (0..under_way.len()).rev() {
            if ready.contains(&place) || under_way[place].1.until.has_passed() {
                let (key, flight) = under_way.swap_remove(place);
                if answered(key, flight.finish()).is_break() {
                    return;
                }
            }
        }
        window = at_once.max(1);
    }
}
