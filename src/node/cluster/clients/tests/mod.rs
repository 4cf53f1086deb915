mod answers;
mod fake;
mod image;
mod purgatory;
mod seeds;
mod together;
