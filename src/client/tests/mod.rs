mod asking;
mod calls;
mod fake;
mod finding;
mod reading;
mod seeds;
mod view;
