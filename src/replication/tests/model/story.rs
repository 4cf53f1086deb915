//! A sequence of events that chance alone would rarely put together.

use super::world::{Message, World};
use std::time::Duration;

impl World {
    /// A leader stands still while somebody else reigns and one follower follows him, and comes back as if nothing had been.
    /// What that follower said in the old reign arrives in the new one.
    pub fn depose_for_a_while(&mut self) -> Result<(), String> {
        let Some(leader) = self.elector.metadata.leader.map(|leader| leader.0 as usize - 1) else { return Ok(()) };
        let (next, follower) = (self.rng.usize(..self.nodes.len()), self.rng.usize(..self.nodes.len()));
        self.tell(leader)?;
        self.tell(follower)?;
        self.append(leader);
        self.exchange(follower, leader)?;
        self.nodes[follower].flush(self.now);
        self.nodes[follower].tick(self.now);
        let said = std::mem::take(&mut self.nodes[follower].outbox);
        for (reigns, follows) in [(next, follower), (leader, next)] {
            self.elector.elect_preferring(self.nodes[reigns].id);
            self.tell(reigns)?;
            self.tell(follows)?;
            self.exchange(follows, reigns)?;
        }
        self.nodes[leader].flush(self.now);
        said.into_iter().try_for_each(|message| self.deliver(message))
    }

    fn tell(&mut self, at: usize) -> Result<(), String> {
        self.deliver(Message::Metadata { to: self.nodes[at].id, metadata: self.elector.metadata.clone() })
    }

    /// Some rounds of fetching without anybody else.
    fn exchange(&mut self, follower: usize, leader: usize) -> Result<(), String> {
        for _ in 0..self.rng.u32(1..6) {
            self.now = self.now + Duration::from_millis(self.rng.u64(0..60));
            for at in [follower, leader] {
                self.nodes[at].flush(self.now);
                self.nodes[at].tick(self.now);
                for message in std::mem::take(&mut self.nodes[at].outbox) {
                    self.deliver_directly(message)?;
                }
                self.after(at)?;
            }
        }
        Ok(())
    }

    fn deliver_directly(&mut self, message: Message) -> Result<(), String> {
        let (Message::Fetch { to, .. } | Message::Response { to, .. }) = &message else {
            self.send(message);
            return Ok(());
        };
        let to = to.0 as usize - 1;
        let waiting = self.network.len();
        self.deliver(message)?;
        // The answer is the newest message under way, if it was not lost.
        match self.network.len() > waiting && !self.nodes[to].is_paused {
            true => self.network.pop().map_or(Ok(()), |answer| self.deliver(answer)),
            false => Ok(()),
        }
    }
}
