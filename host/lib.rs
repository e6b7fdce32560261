//! Flowgate: webhooks in, WebAssembly flows run, replies out.
//!
//! The rooms, ground first. A room imports only rooms above it; `docs/ARCHITECTURE.md` has the floor plan and
//! `tests/tidy.rs` holds the code to it.

pub mod id;

pub mod cache;

pub mod share;

pub mod clock;

pub mod trigger;

pub mod filter;

pub mod signature;

pub mod secrets;

pub mod dialect;

pub mod event;

pub mod egress;

pub mod telemetry;

pub mod metrics;

pub mod store;

pub mod llm;

pub mod bindings;

pub mod capability;

pub mod engine;

pub mod hook;

pub mod subscription;

pub mod queue;

pub mod registry;

pub mod transform;

pub mod delivery;

pub mod dispatch;

pub mod notice;

pub mod execution;

pub mod problem;

pub mod sse;

pub mod ingress;

pub mod api;

pub mod server;

pub mod sweep;

pub mod config;

pub mod app;

pub mod project;

pub mod cli;
