mod calls;
mod fake;
