use super::fake::{logs, metadata, Outcomes, World, ONE};
use crate::error::{Error, ErrorCode};
use crate::transport::BOOTSTRAP_ID_MIN;
use crate::wire::{MetadataRequest, MetadataTopic, Request, Response};

fn connected() -> World {
    let world = World::new(&["inproc://one"]);
    world.client.handle_peer_state(BOOTSTRAP_ID_MIN, true);
    world
}

#[test]
fn who_wants_to_know_how_it_is_now_waits_for_a_question_that_was_asked_afterwards() {
    let world = connected();
    let before = world.only_sent();
    let outcomes = Outcomes::new();
    world.client.when_latest(outcomes.done());
    world.answer(&before, Response::Metadata(metadata(10, Some(ONE), 1)));
    assert_eq!(outcomes.count(), 0);
    world.pass(1_000);
    let after = world.only_sent();
    world.answer(&after, Response::Metadata(metadata(10, Some(ONE), 1)));
    outcomes.only().unwrap();
    world.client.when_latest(outcomes.done());
    world.client.close(&Error::new(ErrorCode::CLOSED, "closed"));
    assert_eq!(outcomes.only().unwrap_err().code(), ErrorCode::CLOSED);
    world.client.when_latest(outcomes.done());
    assert_eq!(outcomes.only().unwrap_err().code(), ErrorCode::CLOSED);
}

#[test]
fn a_topic_that_is_wanted_is_there_or_comes_or_the_node_says_why_not() {
    let name = logs().topic;
    let answers = [
        (None, None),
        (Some(ErrorCode::LEADER_NOT_AVAILABLE), None),
        (Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
    ];
    for (says, expected) in answers {
        let world = connected();
        world.answer(&world.only_sent(), Response::Metadata(metadata(10, Some(ONE), 1)));
        let outcomes = Outcomes::new();
        world.client.want_topic(&name, world.in_ms(1_000), outcomes.done());
        let sent = world.only_sent();
        let Request::Metadata(MetadataRequest { topics: Some(asked) }) = &sent.request else { panic!("{sent:?}") };
        assert_eq!(asked, std::slice::from_ref(&name));
        let mut answer = metadata(10, Some(ONE), 1);
        if let Some(says) = says {
            answer.topics = vec![MetadataTopic { name: name.clone(), description: Err(Error::new(says, "no")) }];
        }
        world.answer(&sent, Response::Metadata(answer));
        assert_eq!(outcomes.only().err().map(|error| error.code()), expected);
    }
    let world = World::new(&["inproc://one"]);
    let outcomes = Outcomes::new();
    world.client.want_topic(&name, world.in_ms(1_000), outcomes.done());
    assert_eq!(outcomes.only().unwrap_err().code(), ErrorCode::LEADER_NOT_AVAILABLE);
}
