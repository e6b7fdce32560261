//! The tests that need the whole house, one module for each subject.

// Examples and templates.
mod authors;
// Outcomes delivered to a receiver.
mod callbacks;
// Power cuts and orderly stops.
mod crash;
// Targets that fail, hang, or want less, beside others that do not.
mod deliveries;
// The documented examples of the products, sent as they are.
mod dialects;
// Senders that ask whether they may send.
mod handshakes;
// Hostile guests.
mod limits;
// Bad requests.
mod refusals;
// A running house, and what is needed to talk to it.
mod support;
// The repository keeps its own rules: floor plan, pages, tests, prose.
mod tidy;
// A trigger's ways through the house.
mod triggers;
// Components in.
mod uploads;
