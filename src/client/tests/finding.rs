//! How a program that is no node finds its cluster.

use super::fake::{leads, logs, metadata, World, ONE, TWO};
use crate::error::ErrorCode;
use crate::transport::BOOTSTRAP_ID_MIN;
use crate::types::NodeId;
use crate::wire::{Request, Response};

const FIRST: NodeId = BOOTSTRAP_ID_MIN;
const SECOND: NodeId = NodeId(BOOTSTRAP_ID_MIN.0 + 1);

fn peers(world: &World) -> Vec<NodeId> {
    world.network.peers.lock().keys().copied().collect()
}

fn ask(world: &World) -> super::fake::Sent {
    let sent = world.only_sent();
    assert!(matches!(&sent.request, Request::Metadata(all) if all.topics.is_none()));
    sent
}

#[test]
fn bootstrap_addresses_are_asked_in_turn_until_one_answers_and_then_the_nodes_are_peers() {
    let world = World::new(&["tcp://a:1", "tcp://b:1"]);
    assert_eq!(peers(&world), [FIRST, SECOND]);
    assert!(world.network.take_all().is_empty(), "nobody is connected yet");
    world.client.handle_peer_state(FIRST, true);
    world.client.handle_peer_state(SECOND, true);
    assert_eq!(ask(&world).to, FIRST);
    // No answer; the other one is asked after a while, one at a time.
    world.pass(1_999);
    assert!(world.network.take_all().is_empty());
    world.pass(1);
    world.pass(100);
    let second = ask(&world);
    assert_eq!(second.to, SECOND);
    world.answer(&second, Response::Metadata(metadata(10, Some(ONE), 1)));
    assert_eq!(world.client.view().leader(&logs()).unwrap().leader, leads(ONE, 1));
    assert_eq!(peers(&world), [ONE, TWO, FIRST, SECOND]);
    // Nothing is asked any more, and the first addresses are let go once a node is there.
    world.client.handle_peer_state(ONE, true);
    assert_eq!(peers(&world), [ONE, TWO]);
    world.pass(1_000);
    assert!(world.network.take_all().is_empty());
}

fn found() -> World {
    let world = World::new(&["tcp://a:1"]);
    world.client.handle_peer_state(FIRST, true);
    let sent = ask(&world);
    world.answer(&sent, Response::Metadata(metadata(10, Some(ONE), 1)));
    world.client.handle_peer_state(ONE, true);
    world.client.handle_peer_state(TWO, true);
    world.client.handle_peer_state(FIRST, false);
    assert!(world.network.take_all().is_empty(), "not more often than the back-off allows");
    world.pass(100);
    let sent = ask(&world);
    assert_eq!(sent.to, ONE, "who has lost a connection looks again");
    world.answer(&sent, Response::Metadata(metadata(10, Some(ONE), 1)));
    world
}

#[test]
fn whoever_has_lost_everybody_goes_back_to_the_bootstrap_addresses() {
    let world = found();
    world.pass(1_000);
    world.client.handle_peer_state(ONE, false);
    let sent = ask(&world);
    assert_eq!(sent.to, TWO);
    world.client.handle_peer_state(TWO, false);
    assert_eq!(peers(&world), [ONE, TWO, FIRST]);
    world.client.handle_peer_state(FIRST, true);
    world.pass(100);
    assert_eq!(ask(&world).to, FIRST, "as soon as one is there");
}

#[test]
fn metadata_grow_old_and_nodes_that_are_not_alive_any_more_are_no_peers() {
    let world = found();
    world.pass(59_000);
    assert!(world.network.take_all().is_empty());
    world.pass(1_000);
    let sent = ask(&world);
    let mut smaller = metadata(11, Some(ONE), 1);
    smaller.nodes.pop();
    world.answer(&sent, Response::Metadata(smaller));
    assert_eq!(peers(&world), [ONE]);
}

#[test]
fn an_answer_that_is_older_than_what_is_known_is_not_the_last_word() {
    let world = found();
    world.pass(1_000);
    world.client.request_refresh();
    let sent = ask(&world);
    world.answer(&sent, Response::Metadata(metadata(9, Some(TWO), 9)));
    assert_eq!(world.client.view().leader(&logs()).unwrap().leader, leads(ONE, 1));
    world.pass(100);
    assert_ne!(ask(&world).to, sent.to, "another one is asked");
}

#[test]
fn a_bootstrap_address_too_many_is_refused() {
    let world = World::new(&[]);
    let mut settings = world.client.settings().clone();
    settings.bootstrap = vec!["tcp://a:1".into(); crate::client::BOOTSTRAP_MAX + 1];
    let client = crate::client::Client::new(crate::client::ClientParts {
        transport: world.network.clone(),
        calls: world.client.calls().clone(),
        view: world.client.view().clone(),
        clock: world.clock.clone(),
        wake_by: std::sync::Arc::new(|_| {}),
        settings,
    });
    assert_eq!(client.start().unwrap_err().code(), ErrorCode::INVALID_ARG);
}
