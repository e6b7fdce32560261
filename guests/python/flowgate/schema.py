"""JSON Schemas from type hints, and values of these types from JSON.

Understood are `str int float bool None Any`, lists, dicts with string keys, unions, `Literal`, enums, dataclasses, typed
dicts, and `Annotated[T, "what it is"]`, whose text is the schema's description. Objects may have further members.
"""

import dataclasses
import enum
import json
import types
import typing
from typing import Annotated, Any, Literal, NotRequired, Required, TypeVar, Union, get_args, get_origin

from .failure import InvalidInput

T = TypeVar("T")

NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", types.NoneType: "null"}
MISSING: Any = object()


def schema(hint: Any) -> dict[str, Any]:
    """The JSON Schema of a type."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        texts = [text for text in args[1:] if isinstance(text, str)]
        return schema(args[0]) | ({"description": texts[0]} if texts else {})
    if origin in (Required, NotRequired):
        return schema(args[0])
    if hint is Any:
        return {}
    if hint in NAMES:
        return {"type": NAMES[hint]}
    if origin is Literal:
        return {"enum": list(args)}
    if origin in (Union, types.UnionType):
        parts = [schema(arg) for arg in args]
        simple = all(set(part) == {"type"} for part in parts)
        return {"type": [part["type"] for part in parts]} if simple else {"anyOf": parts}
    if (origin or hint) in (list, tuple, set) or origin in (typing.Sequence, typing.Iterable):
        return {"type": "array"} | ({"items": schema(args[0])} if args else {})
    if (origin or hint) is dict:
        return {"type": "object"} | ({"additionalProperties": schema(args[1])} if args else {})
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"enum": [member.value for member in hint]}
    if (members := fields(hint)) is not None:
        required = [name for name, (_, default) in members.items() if default is MISSING]
        properties = {name: schema(hint) for name, (hint, _) in members.items()}
        return {"type": "object", "properties": properties} | ({"required": required} if required else {})
    raise TypeError(f"no JSON Schema is known for {hint!r}")


def fields(hint: Any) -> dict[str, tuple[Any, Any]] | None:
    """The members of a dataclass or typed dict: hint and default, which is MISSING for what must be there."""
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        return {field.name: (hints[field.name], _default(field)) for field in dataclasses.fields(hint) if field.init}
    if typing.is_typeddict(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        return {name: (of, MISSING if name in hint.__required_keys__ else None) for name, of in hints.items()}
    return None


def _default(field: "dataclasses.Field[Any]") -> Any:
    given = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    return None if given else MISSING


def parse(hint: type[T], value: Any, root: str) -> T:
    """The value as one of this type; raises InvalidInput with the path of what does not fit, `root` for the whole."""
    return _parse(hint, value, (), root)


def _parse(hint: Any, value: Any, path: tuple[str, ...], root: str) -> Any:
    origin, args = get_origin(hint), get_args(hint)

    def refuse(received: str | None = None) -> InvalidInput:
        return InvalidInput(".".join(path) or root, expected(hint), received or type_name(value))

    if origin in (Annotated, Required, NotRequired):
        return _parse(args[0], value, path, root)
    if hint is Any:
        return value
    if hint in NAMES:
        if hint is float and type(value) in (int, float):
            return float(value)
        if type(value) is hint:
            return value
        raise refuse(brief(value) if hint is int and type(value) is float else None)
    if origin is Literal or isinstance(hint, type) and issubclass(hint, enum.Enum):
        known = {brief(one): one for one in (args if origin is Literal else [member.value for member in hint])}
        if brief(value) not in known:
            raise refuse(brief(value))
        return value if origin is Literal else hint(value)
    if origin in (Union, types.UnionType):
        return _one_of(args, value, path, root, refuse)
    if (origin or hint) in (list, tuple, set):
        if not isinstance(value, list):
            raise refuse()
        items = [_parse(args[0] if args else Any, item, (*path, str(at)), root) for at, item in enumerate(value)]
        return (origin or hint)(items)
    if not isinstance(value, dict):
        raise refuse()
    if (origin or hint) is dict:
        return {key: _parse(args[1] if args else Any, item, (*path, key), root) for key, item in value.items()}
    members = fields(hint)
    if members is None:
        raise TypeError(f"JSON cannot become {hint!r}")
    return hint(**arguments(members, value, path, root))


def arguments(members: dict[str, tuple[Any, Any]], value: Any, path: tuple[str, ...], root: str) -> dict[str, Any]:
    """The members of an object by their names, without further ones; what may be absent and is, is left out."""
    if not isinstance(value, dict):
        raise InvalidInput(".".join(path) or root, "object", type_name(value))
    for name, (hint, default) in members.items():
        if name not in value and default is MISSING:
            raise InvalidInput.missing(".".join((*path, name)), expected(hint))
    return {name: _parse(hint, value[name], (*path, name), root) for name, (hint, _) in members.items() if name in value}


def _one_of(args: tuple[Any, ...], value: Any, path: tuple[str, ...], root: str, refuse: Any) -> Any:
    refusals = []
    for arg in args:
        try:
            return _parse(arg, value, path, root)
        except InvalidInput as refusal:
            refusals.append(refusal)
    # With one type beside null, what does not fit that type says more than that it is not null.
    named = [refusal for arg, refusal in zip(args, refusals) if arg is not types.NoneType]
    raise named[0] if len(named) == 1 and value is not None else refuse()


def expected(hint: Any) -> str:
    """What would have been right, in JSON's words."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Annotated, Required, NotRequired):
        return expected(args[0])
    if hint in NAMES:
        return NAMES[hint]
    if origin in (Union, types.UnionType):
        return " or ".join(expected(arg) for arg in args)
    if origin is Literal:
        return choice(list(args))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return choice([member.value for member in hint])
    if hint is Any:
        return "a value"
    return "array" if (origin or hint) in (list, tuple, set) else "object"


def type_name(value: Any) -> str:
    if isinstance(value, (list, dict)):
        return "array" if isinstance(value, list) else "object"
    return "number" if type(value) in (int, float) else NAMES.get(type(value), "something else")


def brief(value: Any) -> str:
    if isinstance(value, (list, dict)):
        return type_name(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:80]}…"


def choice(values: list[Any]) -> str:
    quoted = [f"`{value if isinstance(value, str) else json.dumps(value)}`" for value in values]
    return " or ".join(quoted) if len(quoted) < 3 else f"one of {', '.join(quoted)}"
