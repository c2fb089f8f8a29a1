use crate::{World, now};
use omnigate_core::consumer_group::Position;
use omnigate_core::protocol::consumer_group::{GroupError, Sent, acknowledge, delete, ensure, get, keep, list};
use omnigate_core::protocol::lease::{COMMON, LeaseError, Wish, acquire, join, leave};
use omnigate_core::shard::Partition;
use std::time::Duration;

const TTL: Duration = Duration::from_secs(10);
const LOG: Partition = Partition(2);

fn wish<'a>(name: &'a str, owner: &'a str) -> Wish<'a> {
    Wish {
        shard: COMMON,
        name,
        owner,
        address: "",
    }
}

fn at(offset: u64) -> Position {
    Position { offset, index: 0 }
}

#[test]
fn a_group_is_made_once_whatever_answers_get_lost() {
    for loses in [false, true] {
        let world = World::new(loses);
        let (group, made) = now(ensure(&world.context(), "t", "crm", true)).unwrap();
        assert!(made && group.from_oldest);
        world.pass(5);
        let (same, made) = now(ensure(&world.context(), "t", "crm", false)).unwrap();
        assert_eq!((same, made), (group.clone(), false));
        let (other, _) = now(ensure(&world.context(), "t", "billing", false)).unwrap();
        assert_ne!(other.birth, group.birth);
        assert_eq!(now(list(&world.context(), "t")).unwrap(), [other, group]);
        assert_eq!(now(get(&world.context(), "other", "crm")).unwrap(), None);
    }
}

#[test]
fn places_go_from_member_to_member_and_former_ones_move_nothing() {
    for loses in [false, true] {
        let world = World::new(loses);
        let (group, _) = now(ensure(&world.context(), "t", "crm", true)).unwrap();
        let lease = group.lease(LOG);
        let sent = |epoch| Sent {
            birth: group.birth,
            log: LOG,
            epoch,
        };
        let tell = |epoch, position| now(acknowledge(&world.context(), ("t", "crm"), sent(epoch), position)).unwrap();
        assert!(!tell(1, at(3)), "nobody was sent anything");
        let first = now(acquire(&world.context(), wish(&lease, "a"), TTL)).unwrap();
        assert!(tell(first.epoch, at(3)));
        assert!(tell(first.epoch, at(2)), "it is there already");
        let kept = now(keep(&world.context(), wish(&lease, "a"), first.epoch, Some(at(5)), TTL)).unwrap();
        assert_eq!(kept, Some(at(5)));
        world.pass(11_000);
        assert!(tell(first.epoch, at(6)), "nobody else has it yet");
        let second = now(acquire(&world.context(), wish(&lease, "b"), TTL)).unwrap();
        assert_eq!(Position::from_cursor(&second.cursor), Some(at(6)));
        assert!(!tell(first.epoch, at(9)));
        let late = now(keep(&world.context(), wish(&lease, "a"), first.epoch, Some(at(9)), TTL));
        assert!(matches!(late, Err(LeaseError::Lost(_))));
    }
}

#[test]
fn a_group_is_forgotten_with_its_places_when_nobody_is_in_it() {
    for loses in [false, true] {
        let world = World::new(loses);
        let logs = || [LOG].into_iter();
        let missing = now(delete(&world.context(), "t", "crm", logs()));
        assert!(matches!(missing, Err(GroupError::Missing)));
        let (group, _) = now(ensure(&world.context(), "t", "crm", true)).unwrap();
        now(join(&world.context(), &group.membership(), "a", TTL)).unwrap();
        let held = now(acquire(&world.context(), wish(&group.lease(LOG), "a"), TTL)).unwrap();
        let used = now(delete(&world.context(), "t", "crm", logs()));
        assert!(matches!(used, Err(GroupError::InUse)));
        now(leave(&world.context(), &group.membership(), "a")).unwrap();
        now(delete(&world.context(), "t", "crm", logs())).unwrap();
        assert_eq!(now(get(&world.context(), "t", "crm")).unwrap(), None);
        let (anew, made) = now(ensure(&world.context(), "t", "crm", true)).unwrap();
        assert!(made && anew.birth != group.birth);
        let former = Sent {
            birth: group.birth,
            log: LOG,
            epoch: held.epoch,
        };
        assert!(!now(acknowledge(&world.context(), ("t", "crm"), former, at(9))).unwrap());
    }
}
