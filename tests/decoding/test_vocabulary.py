"""A token without a row in the embedding is an error wherever it enters, and never noise."""

import dataclasses

import numpy as np
import pytest

from moco_jax.decoding.engine import Engine
from moco_jax.decoding.session import Session
from moco_jax.decoding.types import Request, Sampling
from moco_jax.pool import Pool
from moco_jax.testing import dummy_member, dummy_tokenizer

PLAIN = dummy_member("plain", 0)
GREEDY = Sampling(temperature=0, max_new_tokens=4)
QUESTION = "what is 3 + 4?"
EXTRA = "<extra>"


def extended(template=None):
    """The member with a tokenizer that knows one token more than its embedding has rows."""
    tokenizer = dummy_tokenizer()
    tokenizer.add_tokens([EXTRA], special_tokens=True)
    tokenizer.chat_template = template or tokenizer.chat_template
    info = dataclasses.replace(PLAIN.info, tokenizer=tokenizer)
    return dataclasses.replace(PLAIN, info=info)


MEMBER = extended()
ROWS = PLAIN.config.vocab_size
MESSAGE = rf"of plain holds the token '{EXTRA}' with id {ROWS}, and .* has {ROWS} rows"


def test_tokens_that_do_not_occur_do_no_harm():
    ours, theirs = Pool([MEMBER]), Pool([PLAIN])
    assert ours.score([QUESTION], ["seven"]) == theirs.score([QUESTION], ["seven"])
    assert ours.generate([QUESTION], GREEDY)[0][0].text == (
        theirs.generate([QUESTION], GREEDY)[0][0].text
    )


@pytest.mark.parametrize(
    "request_",
    [
        Request.user(f"{QUESTION} {EXTRA}"),
        dataclasses.replace(Request.user(QUESTION), prefix=EXTRA),
    ],
    ids=["question", "prefix"],
)
def test_prompts_that_hold_one_are_refused(request_):
    with pytest.raises(ValueError, match=f"a prompt {MESSAGE}"):
        Engine().ask([MEMBER], [request_], GREEDY)
    with pytest.raises(ValueError, match=f"a prompt {MESSAGE}"):
        Engine().score([MEMBER], [request_], ["seven"])


def test_continuations_and_templates_that_hold_one_are_refused():
    with pytest.raises(ValueError, match=MESSAGE):
        Pool([MEMBER]).score([QUESTION], [f"seven {EXTRA}"])
    template = f"{{% for m in messages %}}{{{{ m['content'] }}}}{{% endfor %}}{EXTRA}"
    with pytest.raises(ValueError, match=f"a prompt {MESSAGE}"):
        Pool([extended(template)]).generate([QUESTION], GREEDY)


def test_sessions_take_none_of_them():
    def session():
        return Session(MEMBER, [np.array([1, 2])], 16)

    with pytest.raises(ValueError, match=f"a text {MESSAGE}"):
        Session(MEMBER, [np.array([1, ROWS])], 16)
    for act in (
        lambda: session().append([[ROWS]]),
        lambda: session().rewrite(0, [1, ROWS]),
        lambda: session().score([[ROWS]]),
    ):
        with pytest.raises(ValueError, match=f"a text {MESSAGE}"):
            act()
