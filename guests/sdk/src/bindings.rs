//! The generated bindings. Nothing of them shows to an author.

wit_bindgen::generate!({
    path: ["wit/deps/wasi-logging-0.1.0-draft", "wit/deps/wasi-config-0.2.0-rc.1", "wit/flow-0.1.0"],
    world: "flowgate:flow/flow",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_handler",
});

/// The optional export apart, so that only a flow that describes itself has it.
pub mod describing {
    wit_bindgen::generate!({
        path: ["wit/deps/wasi-logging-0.1.0-draft", "wit/deps/wasi-config-0.2.0-rc.1", "wit/flow-0.1.0"],
        inline: "package flowgate:sdk; world describing { export flowgate:flow/describe@0.1.0; }",
        world: "flowgate:sdk/describing",
        with: { "flowgate:flow/flow-types@0.1.0": super::flowgate::flow::flow_types },
        pub_export_macro: true,
        export_macro_name: "export_describe",
    });
}

/// `wasi:keyvalue` apart, as it is in no world of ours.
pub mod keeping {
    wit_bindgen::generate!({
        path: "wit/deps/wasi-keyvalue-0.2.0-draft2",
        world: "wasi:keyvalue/imports",
        generate_all,
    });
}
