mod asking;
mod calls;
mod fake;
mod finding;
mod latest;
mod reading;
mod seeds;
mod view;
