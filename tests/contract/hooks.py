"""What the document cannot say: the bytes of a component."""

import pathlib

import schemathesis
from hypothesis import strategies

component = pathlib.Path("component.wasm").read_bytes()
schemathesis.openapi.media_type("application/wasm", strategies.just(component))
