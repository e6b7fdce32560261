//! `wasi:keyvalue`: the two drafts that toolchains build against. They differ in cursors, numbers and compare-and-swap.

/// `wasi:keyvalue@0.2.0-draft`, as wasmtime and wasmCloud have it.
pub mod draft {
    pub use self::generated::wasi::keyvalue::{atomics, batch, store};

    #[expect(missing_docs, reason = "bindgen writes this module; the WIT carries the words")]
    mod generated {
        wasmtime::component::bindgen!({
            path: "wit/deps/wasi-keyvalue-0.2.0-draft",
            world: "imports",
            imports: { default: async | trappable },
            require_store_data_send: true,
        });
    }
}

/// `wasi:keyvalue@0.2.0-draft2`, as Spin has it.
pub mod draft2 {
    pub use self::generated::wasi::keyvalue::{atomics, batch, store};

    #[expect(missing_docs, reason = "bindgen writes this module; the WIT carries the words")]
    mod generated {
        wasmtime::component::bindgen!({
            path: "wit/deps/wasi-keyvalue-0.2.0-draft2",
            world: "imports",
            imports: { default: async | trappable },
            require_store_data_send: true,
        });
    }
}
