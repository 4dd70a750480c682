//! Who may connect, and how many.

mod admission;
mod lists;
mod users;
