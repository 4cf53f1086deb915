mod fetching;
mod isr_proposals;
mod membership;
mod replicas;
mod sessions;
mod threads;
mod world;
