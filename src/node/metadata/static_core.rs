//! The core of a node whose host appoints leaders: the same calls, and no other node to agree with.

use super::appointments::Appointments;
use super::core::Call;
use super::reports::Report;
use super::runner::Standing;
use crate::controller::{
    Appointed, AppointedController, Appointment, ControllerConfig, ControllerResponse, Image, Membership,
    NodeRegistration, Reply,
};
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::types::NodeId;
use std::path::Path;
use std::sync::Arc;

/// What opening needs besides the file.
#[derive(Clone, Debug)]
pub(crate) struct StaticSettings {
    pub me: NodeId,
    pub incarnation: u64,
    /// A number of this life: higher than that of every life before, if the clock did not go back and the disk was not lost.
    pub life: u64,
    pub address: String,
    /// The nodes that the settings name, this one or not.
    pub nodes: Vec<(NodeId, String)>,
    pub controller: ControllerConfig,
}

pub(super) struct StaticCore {
    controller: AppointedController,
    file: Appointments,
    /// Failed, or closed: nothing is taken any more.
    over: Option<Error>,
    /// The file was there: what it does not have is gone.
    was_there: bool,
}

impl StaticCore {
    /// Reads what the host said before, notes this life and the nodes of the settings.
    pub fn open(disk: Arc<dyn Disk>, data_dir: &Path, settings: StaticSettings) -> Result<StaticCore> {
        let StaticSettings { me, incarnation, life, address, nodes, controller } = settings;
        let file = Appointments::at(disk, data_dir);
        let found = file.read()?;
        let was_there = found.is_some();
        let mut controller = AppointedController::restored(me, controller, found.unwrap_or_default())?;
        let known = controller.image().node(me).map_or(0, |known| known.registration.epoch);
        let own = NodeRegistration { incarnation, epoch: life.max(known + 1), ..other_node(me, address) };
        let others = nodes.into_iter().filter(|(node, _)| *node != me).map(|(node, at)| other_node(node, at));
        for registration in others.chain([own]) {
            controller.handle_appointment(&Appointment::Node(registration))?;
        }
        file.write(controller.image())?;
        Ok(StaticCore { controller, file, over: None, was_there })
    }

    pub fn was_there(&self) -> bool {
        self.was_there
    }

    pub fn image(&self) -> &Image {
        self.controller.image()
    }

    pub fn standing(&self, image: Arc<Image>) -> Standing {
        let membership = Membership::default();
        Standing { image, leader: None, term: 0, is_active: false, membership, timeout: None }
    }

    pub fn handle(&mut self, call: Call, now: Instant, reports: &mut Vec<Report>) {
        match call {
            Call::Message { .. } | Call::Link { .. } | Call::Tick { .. } => {}
            Call::Request { from: to, request_id, .. } => {
                let text = "controller.mode=static: this node obeys its own host alone";
                let response = self.response(Err(Error::new(ErrorCode::INVALID_REQUEST, text)));
                reports.push(Report::Reply { to, request_id, response });
            }
            Call::Ask { request, waiter } => {
                let result = self.change(reports, |controller| controller.handle_request(&request, now));
                reports.push(Report::Answer { waiter, response: self.response(result) });
            }
            Call::Appoint { appointment, waiter } => {
                let result = self.change(reports, |controller| controller.handle_appointment(&appointment));
                reports.push(Report::Answer { waiter, response: self.response(result) });
            }
        }
    }

    pub fn close(&mut self) {
        self.over = Some(Error::new(ErrorCode::CLOSED, "the engine is closed"));
    }

    /// Decides, writes it down, and only then believes it.
    fn change(
        &mut self,
        reports: &mut Vec<Report>,
        decide: impl FnOnce(&mut AppointedController) -> Result<Appointed>,
    ) -> Result<Reply> {
        if let Some(over) = &self.over {
            return Err(over.clone());
        }
        let mut next = self.controller.clone();
        let Appointed { reply, changes, events } = decide(&mut next)?;
        if !changes.is_empty() {
            if let Err(failed) = self.file.write(next.image()) {
                // What lies there now, opening tells; what was refused there may be seen by the next life, which asks for more.
                let is_final = failed.code() != ErrorCode::POLICY_VIOLATION;
                self.over = Some(failed.clone()).filter(|_| is_final);
                return Err(failed);
            }
            self.controller = next;
            let image = Arc::new(self.controller.image().clone());
            reports.push(Report::Image { image, changes });
        }
        reports.extend(events.into_iter().map(Report::Event));
        Ok(reply)
    }

    fn response(&self, result: Result<Reply>) -> ControllerResponse {
        ControllerResponse { result, leader: None, metadata_offset: self.controller.image().offset() }
    }
}

/// Nobody counts its lives.
pub(crate) fn other_node(node: NodeId, address: String) -> NodeRegistration {
    NodeRegistration { node, incarnation: 0, epoch: 0, address, rack: None, holds_data: true }
}
