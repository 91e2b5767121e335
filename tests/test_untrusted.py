"""Values from strangers: what is expected comes through, anything else is a named error."""

import pytest

from intact.errors import ModelError
from intact.untrusted import integer, mapping, sequence, text


def test_what_is_expected_comes_through():
    assert mapping({"a": 1, "b": 2}, ("a", "b"), "it") == {"a": 1, "b": 2}
    assert sequence((1, 2), 2, "it") == [1, 2]
    assert integer(-(2**31) + 1, "it") == -(2**31) + 1
    assert text("", "it") == ""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mapping([], "a", "it"), "it: expected a mapping, got list"),
        (lambda: mapping({"a": 1}, ("a", "b"), "it"), r"it: missing or unknown keys \['b'\]"),
        (lambda: mapping({"a": 1, 3: 1}, ("a",), "it"), r"keys \['3'\]; legal: \['a'\]"),
        (lambda: sequence("ab", 5, "it"), "it: expected a list, got str"),
        (lambda: sequence([0] * 3, 2, "it"), "it: 3 entries, at most 2"),
        (lambda: integer(True, "it"), "it: expected an integer below"),
        (lambda: integer(2**31, "it"), "got 2147483648"),
        (lambda: integer(1.0, "it"), "got 1.0"),
        (lambda: text(b"a", "it"), "it: expected text, got bytes"),
    ],
)
def test_anything_else_is_named(call, message):
    with pytest.raises(ModelError, match=message):
        call()
