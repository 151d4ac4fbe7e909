"""Leaf-wise merging: what a merge function sees, and what becomes of its result."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from moco_jax.trees import (
    TASK_VECTOR_MERGES,
    Karcher,
    Layerwise,
    Linear,
    ModelStock,
    Slerp,
    TaskVectorMerge,
    merge_trees,
)

KEY = jax.random.key(0)


def tree(value, dtype=jnp.float32):
    return {"x": {"kernel": jnp.full((2, 3), value, dtype)}, "y": jnp.full((4,), -value, dtype)}


def test_merge_sees_all_leaves_and_the_base():
    def task_vectors(leaf, base, key):
        del key
        return base + (leaf - base).sum(0)

    merged = merge_trees(task_vectors, [tree(2.0), tree(5.0)], tree(1.0), KEY)
    np.testing.assert_array_equal(merged["x"]["kernel"], np.full((2, 3), 1.0 + 1.0 + 4.0))
    np.testing.assert_array_equal(merged["y"], np.full(4, -6.0))


def test_merge_without_base_gets_none():
    def first(leaf, base, key):
        assert base is None
        return leaf[0]

    merged = merge_trees(first, [tree(2.0), tree(5.0)], None, KEY)
    np.testing.assert_array_equal(merged["y"], tree(2.0)["y"])


def test_narrow_leaves_are_float32_inside_and_bfloat16_outside():
    seen = []

    def record(leaf, base, key):
        seen.append((leaf.dtype, base.dtype))
        return leaf.mean(0)

    narrow = [tree(1.0, jnp.bfloat16), tree(1.0, jnp.bfloat16)]
    merged = merge_trees(record, narrow, tree(0.0, jnp.bfloat16), KEY)
    assert set(seen) == {(jnp.dtype("float32"), jnp.dtype("float32"))}
    assert merged["y"].dtype == jnp.bfloat16


def test_every_leaf_has_its_own_key_that_depends_on_its_name_only():
    def noise(leaf, base, key):
        return jax.random.normal(key, leaf.shape[1:])

    two = {"a": jnp.zeros(4), "b": jnp.zeros(4)}
    merged = merge_trees(noise, [two], None, KEY)
    alone = merge_trees(noise, [{"b": jnp.zeros(4)}], None, KEY)
    assert not np.allclose(merged["a"], merged["b"])
    np.testing.assert_array_equal(merged["b"], alone["b"])


def test_a_wrong_shape_names_the_leaf():
    with pytest.raises(ValueError, match="x/kernel gave shape"):
        merge_trees(lambda leaf, base, key: leaf.sum(), [tree(1.0)], None, KEY)
    with pytest.raises(ValueError, match="no trees"):
        merge_trees(lambda leaf, base, key: leaf[0], [], None, KEY)


RULES = {**TASK_VECTOR_MERGES, "linear": Linear(), "arc": Slerp(0.25), "sphere": Karcher()}
RULES |= {"stock": ModelStock(), "layers": Layerwise(Slerp(), "t", (0.0, 1.0), 0.5, 3)}


def test_recipes_stay_what_they_are():
    # A merged member's random draws follow from its recipe
    assert TASK_VECTOR_MERGES["ties"].recipe() == [
        "from base",
        ["magnitude", 0.2, 0.0, 0.0, "none"],
        True,
        True,
        None,
        1.0,
    ]
    assert Slerp(0.25).recipe() == ["arc", 0.25]
    assert Karcher().recipe() == ["mean on the sphere", None, 10, 1e-5]
    assert ModelStock().recipe() == ["model stock"]
    arcs = [["arc", 0.0], ["arc", 0.5], ["arc", 1.0]]
    assert RULES["layers"].recipe() == ["by layer", arcs, ["arc", 0.5]]


def test_every_rule_and_every_setting_has_a_recipe_of_its_own():
    found = [str(rule.recipe()) for rule in RULES.values()]
    assert len(set(found)) == len(RULES)
    others = {"trim": "rank", "density": 0.5, "gamma": 0.5, "epsilon": 0.1, "rescale": "l1"}
    others |= {"elect": True, "normalize": True, "weights": 1.0, "lambda_": 0.5}
    for field in dataclasses.fields(TaskVectorMerge):
        changed = TaskVectorMerge(**{field.name: others[field.name]})
        assert changed.recipe() != TaskVectorMerge().recipe(), field.name


def test_a_recipe_names_no_class_and_no_field():
    for rule in RULES.values():
        text, inner = str(rule.recipe()), getattr(rule, "merge", rule)
        names = [type(rule).__name__, type(inner).__name__, "gamma", "lambda_", "normalize"]
        assert not [name for name in names if name in text]
