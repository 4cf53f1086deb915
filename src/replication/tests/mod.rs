mod conversation;
mod follower;
mod isr;
mod leader;
mod list_log;
mod model;
mod reign;
