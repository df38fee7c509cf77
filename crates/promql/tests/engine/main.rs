//! The engine as its callers see it: errors, limits, memory that is given
//! back, and answers that do not depend on how they are asked for.

mod agree;
mod explain;
mod judged;
mod layout;
mod limits;
mod names;
mod store;
mod twins;
