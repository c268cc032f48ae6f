"""Sealed values in memory: the ones used last, within their bytes."""

from __future__ import annotations

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from services.secrets_manager.kinds import SECRET_VERSION, SecretVersion, SecretVersionSpec
from services.secrets_manager.sealed_values import SealedValues, ValueName

MOST = 100
STEPS = st.lists(
    st.tuples(st.sampled_from(["get", "put", "drop"]), st.integers(0, 7), st.integers(1, 60)), max_size=60
)


def version(size: int) -> SecretVersion:
    spec = SecretVersionSpec(secret_uid="u", version_id="v", key="k", key_id="", wrapped="", sealed="x" * size)
    return SECRET_VERSION.new("v", namespace="default", spec=spec)


@given(STEPS)
def test_it_holds_what_a_model_holds(steps: list[tuple[str, int, int]]) -> None:
    values, model = SealedValues(MOST), OrderedDict[ValueName, SecretVersion]()
    for step, number, size in steps:
        name = ValueName("u", str(number), "k")
        if step == "get":
            assert values.get(name) is model.get(name)
            if name in model:
                model.move_to_end(name)
        elif step == "drop":
            values.drop(name)
            model.pop(name, None)
        else:
            made = version(size)
            values.put(name, made)
            model.pop(name, None)
            model[name] = made
            while sum(len(each.spec.sealed) for each in model.values()) > MOST:
                model.popitem(last=False)


def test_sealed_under_another_key_it_is_another_one() -> None:
    values = SealedValues()
    values.put(ValueName("u", "v", "old"), version(1))
    assert values.get(ValueName("u", "v", "new")) is None
