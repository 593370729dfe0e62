//! What must not happen: loss after a kill or a disk failure, harm by hostile input, unbounded cost.

mod bounds;
mod crash;
mod fault_injection;
mod faults;
mod hostile;
mod older_store;
