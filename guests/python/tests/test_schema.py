import enum
import unittest
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict

from flowgate import InvalidInput, schema


class Channel(enum.Enum):
    WEB = "web"
    PHONE = "phone"


class Line(TypedDict):
    quantity: int
    price: NotRequired[float]


@dataclass
class Customer:
    email: str


@dataclass
class Order:
    customer: Customer
    lines: list[Line] = field(default_factory=list)
    channel: Channel = Channel.WEB
    speed: Literal["slow", "fast", 3] = "slow"
    labels: dict[str, str] = field(default_factory=dict)
    limit: int | None = None
    extra: Any = None


CUSTOMER = {"email": "a@b.c"}


class SchemaTest(unittest.TestCase):
    def refusal(self, value):
        with self.assertRaises(InvalidInput) as refused:
            schema.parse(Order, value, "data")
        return refused.exception.field, refused.exception.expected, refused.exception.received

    def test_what_fits_becomes_the_type(self):
        value = {"customer": CUSTOMER, "lines": [{"quantity": 2, "price": 1}], "channel": "phone", "extra": [1], "further": 1}
        order = schema.parse(Order, value, "data")
        self.assertEqual(order, Order(Customer("a@b.c"), [{"quantity": 2, "price": 1.0}], Channel.PHONE, extra=[1]))

    def test_what_does_not_fit_names_its_path_what_was_expected_and_what_was_there(self):
        self.assertEqual(self.refusal({}), ("customer", "object", "null"))
        self.assertEqual(self.refusal([]), ("data", "object", "array"))
        self.assertEqual(self.refusal({"customer": {}}), ("customer.email", "string", "null"))
        self.assertEqual(self.refusal({"customer": {"email": None}}), ("customer.email", "string", "null"))

        def more(**members):
            return self.refusal({"customer": CUSTOMER, **members})

        self.assertEqual(more(lines=[{"quantity": 1}, {}]), ("lines.1.quantity", "integer", "null"))
        self.assertEqual(more(lines=[{"quantity": 1.5}]), ("lines.0.quantity", "integer", "1.5"))
        self.assertEqual(more(lines=[{"quantity": True}]), ("lines.0.quantity", "integer", "boolean"))
        self.assertEqual(more(channel="fax"), ("channel", "`web` or `phone`", '"fax"'))
        self.assertEqual(more(speed=True), ("speed", "one of `slow`, `fast`, `3`", "true"))
        self.assertEqual(more(labels={"a": 1}), ("labels.a", "string", "number"))
        self.assertEqual(more(limit="x"), ("limit", "integer", "string"))

    def test_schemas_say_the_same(self):
        self.assertEqual(schema.schema(Channel), {"enum": ["web", "phone"]})
        self.assertEqual(schema.schema(dict[str, int]), {"type": "object", "additionalProperties": {"type": "integer"}})
        self.assertEqual(schema.schema(list[Any] | None), {"anyOf": [{"type": "array", "items": {}}, {"type": "null"}]})
        self.assertEqual(schema.schema(Line)["required"], ["quantity"])
        with self.assertRaises(TypeError):
            schema.schema(object)
