mod conversation;
mod follower;
mod leader;
mod list_log;
mod model;
