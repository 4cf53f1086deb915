//! `controller.mode=static`: this node obeys its own host, who says which nodes there are and who leads.

use super::super::metadata::other_node;
use super::Member;
use crate::config::ControllerMode;
use crate::controller::{appointed_topic_id, Appointment, ControllerRequest, ControllerResponse, Reply, TopicId};
use crate::error::{Error, ErrorCode, Result};
use crate::types::{LeaderEpoch, NodeId};

/// Hears what came of a request.
pub(crate) type Answered = Box<dyn FnOnce(Result<Reply>) + Send>;

impl Member {
    /// Nobody votes: the host of each node appoints.
    pub(crate) fn is_static(&self) -> bool {
        self.config.mode == ControllerMode::Static
    }

    /// Behind the first image.
    pub(super) fn begin_static(&self) {
        // Nobody has to count this life for its leaders to be heard.
        let life = self.node_epoch().map_or(1, |epoch| epoch.0);
        self.proposals.lock().handle_node_epoch(life);
        if let Some(node) = self.node.upgrade() {
            self.adopt(&node, &self.image(), None);
        }
    }

    /// The same on every node of this cluster.
    pub(crate) fn appointed_topic_id(&self, name: &str) -> TopicId {
        appointed_topic_id(self.cluster, name)
    }

    /// A request that the host of this node decides by asking it.
    pub(crate) fn ask_host(&self, request: ControllerRequest, done: Answered) {
        self.runner().ask(request, Box::new(move |response: ControllerResponse| done(response.result)), self.now());
    }

    /// The host appoints a leader.
    pub(crate) fn set_leader(
        &self,
        topic: &str,
        partition: u32,
        leader: Option<NodeId>,
        epoch: LeaderEpoch,
        done: Answered,
    ) {
        self.appoint(Appointment::Leader { topic: topic.into(), partition, leader, epoch }, done);
    }

    /// The host makes a node known, or says that it has moved; or forgets it, which it cannot while it has replicas.
    pub(crate) fn set_appointed_peer(&self, node: NodeId, address: Option<&str>, done: Answered) {
        if node == self.me {
            return done(Err(Error::new(ErrorCode::INVALID_ARG, format!("{node} is this node's own number"))));
        }
        match address {
            Some(address) => match self.transport.set_peer(node, Some(address)) {
                Ok(()) => self.appoint(Appointment::Node(other_node(node, address.to_owned())), done),
                Err(refused) => done(Err(refused)),
            },
            None => self.ask_host(ControllerRequest::UnregisterNode { node }, done),
        }
    }

    fn appoint(&self, appointment: Appointment, done: Answered) {
        let waiter = Box::new(move |response: ControllerResponse| done(response.result));
        self.runner().appoint(appointment, waiter, self.now());
    }
}
