"""Models beside the pool: found by name, loaded once, refused with the hyperparameter's name."""

import pytest

from moco_jax.method import NeedsError
from moco_jax.methods.extra import find_model, same_model
from moco_jax.pool import Pool
from moco_jax.testing import dummy_member, dummy_pool


def test_a_name_is_a_member_or_a_checkpoint_that_is_read_once(tmp_path):
    pool = dummy_pool(2)
    assert find_model("m", "ranker", "dummy:1", pool) is pool[1]
    other = dummy_member("other", 7)
    other.save(tmp_path)
    found = find_model("m", "ranker", str(tmp_path), pool)
    assert found.identity == other.identity
    assert find_model("m", "ranker", str(tmp_path), pool) is found


def test_what_cannot_be_found_is_named():
    with pytest.raises(NeedsError, match=r"m: ranker is './nowhere', which is no member .*dummy:0"):
        find_model("m", "ranker", "./nowhere", dummy_pool(1))


def test_a_model_that_changed_is_refused():
    before, after = dummy_member("judge", 1), dummy_member("judge", 2)
    assert same_model("selector", "judge", before.identity, Pool([before])) is before
    with pytest.raises(ValueError, match="selector judge is not the model"):
        same_model("selector", "judge", before.identity, Pool([after]))
