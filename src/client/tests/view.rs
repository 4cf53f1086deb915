use super::fake::{leads, logs, metadata, ID, ONE, TWO};
use crate::client::ClusterView;
use crate::error::ErrorCode;
use crate::transport::ClusterId;
use crate::types::{NodeId, TopicPartition};
use crate::wire::MetadataResponse;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

fn leader(view: &ClusterView) -> crate::wire::CurrentLeader {
    view.leader(&logs()).unwrap().leader
}

#[test]
fn nothing_is_known_at_first_and_then_what_the_metadata_say() {
    let view = ClusterView::new();
    assert_eq!(view.leader(&logs()).unwrap_err().code(), ErrorCode::LEADER_NOT_AVAILABLE);
    assert_eq!((view.metadata_offset(), view.controller()), (None, None));
    assert!(view.replace(metadata(10, Some(ONE), 1)));
    assert_eq!((view.metadata_offset(), view.controller(), leader(&view)), (Some(10), Some(ONE), leads(ONE, 1)));
    assert_eq!(view.topic("logs").unwrap().partition_count, 1);
    assert_eq!(view.topic_names(), ["logs".into()]);
    let unknown = [view.topic("none").unwrap_err(), view.leader(&TopicPartition::new("logs", 1)).unwrap_err()];
    assert!(unknown.iter().all(|error| error.code() == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    assert!(view.replace(metadata(11, None, 2)));
    assert_eq!(view.leader(&logs()).unwrap_err().code(), ErrorCode::LEADER_NOT_AVAILABLE);
}

#[test]
fn an_older_answer_and_one_of_another_cluster_change_nothing() {
    let view = ClusterView::new();
    view.replace(metadata(10, Some(TWO), 2));
    assert!(!view.replace(metadata(9, Some(ONE), 1)));
    assert!(!view.replace(MetadataResponse { cluster: ClusterId([1; 16]), ..metadata(99, Some(ONE), 9) }));
    assert_eq!(leader(&view), leads(TWO, 2));
}

#[test]
fn a_hint_counts_while_its_epoch_is_the_highest_and_until_whom_it_names_refuses() {
    let view = ClusterView::new();
    view.replace(metadata(10, Some(ONE), 3));
    assert!(!view.handle_hint(&logs(), ID, leads(TWO, 3)));
    assert!(!view.handle_hint(&logs(), [8; 16], leads(TWO, 4)), "of a topic that had the name before");
    assert!(view.handle_hint(&logs(), ID, leads(TWO, 4)));
    assert!(!view.handle_hint(&logs(), ID, leads(ONE, 4)));
    // Metadata from before the change do not take it back.
    view.replace(metadata(11, Some(ONE), 3));
    assert_eq!(leader(&view), leads(TWO, 4));
    assert_eq!(view.partition(&logs()).unwrap().leader, Some(TWO));
    // Nor does the refusal of somebody else.
    let rumour = view.leader(&logs()).unwrap();
    view.handle_refusal(&logs(), crate::client::Leading { leader: leads(ONE, 3), ..rumour });
    assert_eq!(leader(&view), leads(TWO, 4));
    view.handle_refusal(&logs(), rumour);
    assert_eq!(leader(&view), leads(ONE, 3));
    // Those after it know better.
    view.handle_hint(&logs(), ID, leads(TWO, 4));
    view.replace(metadata(12, Some(NodeId(3)), 5));
    assert_eq!(leader(&view), leads(NodeId(3), 5));
}

#[test]
fn a_topic_that_was_created_again_begins_again() {
    let view = ClusterView::new();
    view.replace(metadata(10, Some(ONE), 3));
    view.handle_hint(&logs(), ID, leads(TWO, 9));
    let mut again = metadata(11, Some(ONE), 0);
    again.topics[0].description.as_mut().unwrap().id = [8; 16];
    view.replace(again);
    assert_eq!(leader(&view), leads(ONE, 0));
}

#[test]
fn listeners_hear_of_changes_until_they_are_dropped() {
    let (view, heard) = (ClusterView::new(), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&heard);
    let told = view.subscribe(Arc::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
    }));
    view.replace(metadata(10, Some(ONE), 3));
    view.replace(metadata(9, Some(ONE), 3));
    view.replace(metadata(10, Some(ONE), 3));
    view.handle_hint(&logs(), ID, leads(TWO, 4));
    view.handle_hint(&logs(), ID, leads(TWO, 4));
    assert!(view.handle_controller_hint(ONE, Some(TWO)));
    assert!(!view.handle_controller_hint(ONE, Some(NodeId(3))), "nobody takes node one for the controller any more");
    drop(told);
    view.replace(metadata(11, Some(ONE), 3));
    assert_eq!(heard.load(Ordering::Relaxed), 3);
    assert_eq!(Arc::strong_count(&heard), 1);
}
