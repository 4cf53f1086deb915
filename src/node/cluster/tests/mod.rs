mod fetching;
mod isr_proposals;
mod membership;
mod sessions;
mod threads;
mod world;
