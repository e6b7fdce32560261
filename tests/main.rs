//! The tests that need the whole house, one module for each subject.

// Who may send to a hook, and what bodies.
mod admission;
// Flows of the asynchronous world, beside synchronous ones.
mod asynchronous;
// Examples and templates.
mod authors;
// Outcomes delivered to a receiver.
mod callbacks;
// Cases of a project: what a flow emits and what it is answered, played again.
mod cases;
// The command line.
mod commands;
// What must not be kept.
mod confidential;
// The API against its own document.
mod contract;
// What receivers ask for beside a signature: tokens, client certificates; and names that lead nowhere.
mod credentials;
// Power cuts and orderly stops.
mod crash;
// A project that changes: swapped under load, tested by cases.
mod development;
// Targets that fail, hang, or want less, beside others that do not.
mod deliveries;
// What subscribers hear of what happens.
mod events;
// Full disks, folders that cannot be written to, damaged files.
mod faults;
// Whatever happened is heard of, through power cuts and beside bad receivers.
mod lossless;
// The documented examples of the products, sent as they are.
mod dialects;
// What goes wrong, told in each product's envelope.
mod envelopes;
// Senders that ask whether they may send.
mod handshakes;
// From nothing to a first reply, in each language.
mod first_flow;
// Components of the first release, as they were uploaded then.
mod kept;
// Flows in other languages than Rust.
mod languages;
// Receivers that do not answer, and what waits for them.
mod late;
// What flows keep under keys.
mod keyvalue;
// Flows that call flows.
mod flows;
// Hostile guests.
mod limits;
// Language models.
mod models;
// The operator hears of what fails.
mod notices;
// Where requests of flows may go, and how long.
mod outgoing;
// Outputs delivered as they are said.
mod outputs;
// The ids of products in their own paths.
mod path_ids;
// Receivers that come and ask.
mod pulling;
// Deliveries verified by the programs and libraries that receivers use.
mod receivers;
// Components in registries.
mod registries;
// Bad requests.
mod refusals;
// What came to a hook and what became of it.
mod requests;
// Versions on their way to their users.
mod rollouts;
// Several messages of a session at one time.
mod sessions;
// Requests signed by the libraries that senders use.
mod senders;
// What an execution's time was spent on.
mod spans;
// Outgoing webhooks and their receivers.
mod subscriptions;
// A running house, and what is needed to talk to it.
mod support;
// A guest that wants to know its secret.
mod thief;
// The repository keeps its own rules: floor plan, pages, tests, prose.
mod tidy;
// Models, flows and hosts asked at one time, and budgets that are shared with who is called.
mod together;
// Deliveries reshaped by components, honest and hostile.
mod transforms;
// A trigger's ways through the house.
mod triggers;
// Components in.
mod uploads;
// Instances that run more than one execution.
mod warm;
