//! The tests that need the whole house, one module for each subject.

// The repository keeps its own rules: floor plan, pages, tests, prose.
mod tidy;
