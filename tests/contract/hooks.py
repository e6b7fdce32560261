"""What the document cannot say: how a component is sent."""

import os
import pathlib

import schemathesis
from hypothesis import strategies

components = [pathlib.Path(path).read_bytes() for path in os.environ["FLOWGATE_COMPONENTS"].split(os.pathsep)]
schemathesis.openapi.media_type("application/wasm", strategies.sampled_from(components))
