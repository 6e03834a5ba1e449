use proptest::prelude::*;

use super::*;

#[test]
fn groups_take_turns_and_so_do_the_spaces_of_a_group() {
    let mut ready = Ready::new(2, 100, usize::MAX, 9);
    let lanes = [ready.join(0, 0), ready.join(0, 1), ready.join(1, 2)];
    for (lane, slot) in [(0, 1), (0, 2), (0, 3), (1, 4), (2, 5), (2, 6)] {
        ready.push(lanes[lane], slot);
    }
    let order: Vec<Slot> = std::iter::from_fn(|| ready.take()).collect();
    assert_eq!(order, [1, 5, 4, 6, 2, 3]);
}

#[test]
fn a_space_has_one_charm_polled_at_once_even_across_integrations() {
    let mut ready = Ready::new(2, 100, usize::MAX, 1);
    let (mine, other) = (ready.join(0, 0), ready.join(1, 0));
    ready.push(mine, 1);
    ready.push(mine, 2);
    ready.push(other, 3);
    assert_eq!(ready.take(), Some(1));
    assert_eq!(ready.take(), None);
    ready.release(mine);
    assert_eq!(ready.take(), Some(3));
    assert_eq!(ready.take(), None);
    ready.release(other);
    assert_eq!(ready.take(), Some(2));
    assert_eq!((ready.running(), ready.queued()), (1, 0));
}

#[test]
fn an_integration_cannot_take_every_place() {
    let mut ready = Ready::new(2, 4, usize::MAX, 1);
    for (slot, space) in (0..8).zip(0..) {
        let lane = ready.join(0, space);
        ready.push(lane, slot);
    }
    let other = ready.join(1, 8);
    assert_eq!(std::iter::from_fn(|| ready.take()).count(), 3);
    ready.push(other, 99);
    assert_eq!(ready.take(), Some(99));
    assert_eq!(ready.take(), None);
}

#[test]
fn integrations_without_charms_have_no_place_kept() {
    let mut ready = Ready::new(20, 4, usize::MAX, 1);
    for (slot, space) in (0..8).zip(0..) {
        let lane = ready.join(7, space);
        ready.push(lane, slot);
    }
    assert_eq!(std::iter::from_fn(|| ready.take()).count(), 4);
}

#[test]
fn what_is_withdrawn_is_not_taken_and_an_empty_lane_goes() {
    let mut ready = Ready::new(1, 4, usize::MAX, 4);
    let lane = ready.join(0, 0);
    assert_eq!(ready.join(0, 0), lane);
    ready.push(lane, 1);
    ready.push(lane, 2);
    ready.withdraw(lane, 1);
    ready.leave(lane);
    assert_eq!(ready.take(), Some(2));
    ready.release(lane);
    ready.leave(lane);
    assert_eq!((ready.take(), ready.running(), ready.queued()), (None, 0, 0));
    assert_eq!(ready.join(0, 0), lane, "its place is used again");
}

proptest! {
    /// Whatever is pushed, taken and given back, in any order: the limits hold, and everything pushed is taken in the
    /// end.
    #[test]
    fn limits_hold_and_nothing_is_lost(steps in proptest::collection::vec((0_usize..4, 0_u16..3, 0_u32..5), 1..300), max in 1_usize..6, per_group in 1_usize..6, per_space in 1_u32..3) {
        let mut ready = Ready::new(3, max, per_group, per_space);
        let mut lane_of = Vec::new();
        let mut running: Vec<(LaneId, SpaceId, GroupId)> = Vec::new();
        let mut taken = Vec::new();
        for (step, group, space) in steps {
            match step {
                0 | 1 => {
                    let lane = ready.join(group, space);
                    ready.push(lane, Slot::try_from(lane_of.len()).unwrap());
                    lane_of.push((lane, space, group));
                }
                2 => if let Some(slot) = ready.take() {
                    running.push(lane_of[slot as usize]);
                    taken.push(slot);
                },
                _ => if !running.is_empty() {
                    let (lane, ..) = running.remove(space as usize % running.len());
                    ready.release(lane);
                },
            }
            prop_assert!(ready.running() <= max);
            prop_assert_eq!(ready.running(), running.len());
            for space in 0..5 {
                prop_assert!(running.iter().filter(|(_, of, _)| *of == space).count() <= per_space as usize);
            }
            for group in 0..3 {
                prop_assert!(running.iter().filter(|(_, _, of)| *of == group).count() <= per_group);
            }
        }
        loop {
            match ready.take() {
                Some(slot) => { running.push(lane_of[slot as usize]); taken.push(slot); }
                None if running.is_empty() => break,
                None => { let (lane, ..) = running.remove(0); ready.release(lane); }
            }
        }
        taken.sort_unstable();
        prop_assert_eq!(taken, (0..Slot::try_from(lane_of.len()).unwrap()).collect::<Vec<_>>());
    }
}
