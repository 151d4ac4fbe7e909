"""From the words of a config to a method."""

import pytest

from moco_jax.runs.naming import make_method


def test_the_references_names_reach_the_method():
    given = {"base_model_name": "any", "lambda": 0.3, "social_coefficient": 0.1}
    made = make_method("weight_dare_ties", given)
    assert (made.lambda_, made.social_coeff) == (0.3, 0.1)
    assert make_method("logit_logit_contrastive", {"k": 2, "lambda_": 0.5}).lambda_ == 0.5


def test_unknown_names_offer_those_of_method_and_run():
    with pytest.raises(ValueError, match=r"'lamda': did you mean .*lambda"):
        make_method("logit_logit_contrastive", {"lamda": 1})
    with pytest.raises(ValueError, match=r"'temprature': did you mean temperature"):
        make_method("logit_logit_contrastive", {"temprature": 1})
