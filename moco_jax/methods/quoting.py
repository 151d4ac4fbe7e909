"""Prompts that quote what members said, kept within the context of the member that reads them.

A question is never cut, what is quoted beside it may be. A member that said nothing (an empty
answer, a prompt that did not fit, a thought cut by the limit) is quoted to nobody, and where nobody
said anything the question is put alone. A method describes each prompt as an `Inquiry` and hands a
whole step of its protocol to `ask`:

    inquiries = [quote(who, item, "summarise", write, texts) for ...]
    said = quoting.ask(context, inquiries, self.context_policy)
    quoting.conclude(final, said, notes)

What a policy did to a prompt is in the note "context" of the response to it, and what it did in all
is in that of the conclusion.
"""

import dataclasses
import typing
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal

from moco_jax.decoding.types import Message, Request, Response, Sampling, total_usage
from moco_jax.methods import prompts
from moco_jax.pool import Member
from moco_jax.system import Context, about
from moco_jax.tasks import Item

ContextPolicy = Literal["refuse", "oldest_first", "shorten", "summarise"]
"""What is done with quotes that do not fit.

"refuse" leaves the prompt as it is: one that fills the whole context is refused and counted.
"oldest_first" drops the first quotes and says how many; "shorten" cuts the middle of the longest,
visibly; "summarise" has the member that reads them sum up what "shorten" would cut. All three act
where a prompt leaves no room for an answer of `max_new_tokens`, or of half of the context if that
is less. Where the question alone takes that room, quotes go as far as they can.
"""

POLICIES: tuple[str, ...] = typing.get_args(ContextPolicy)

Write = Callable[[Sequence[str]], str]
Fits = Callable[[Sequence[str]], bool]


@dataclasses.dataclass(frozen=True)
class Inquiry:
    """A prompt that quotes texts, before it is known how much of them fits.

    Attributes:
        who: the member that reads it, by index in the pool or itself.
        item: the question it serves.
        purpose: of the request.
        write: the user's text, from the quotes. "oldest_first" hands it fewer of them, with a line
            in place of those that are missing; the last is always there.
        quotes: the oldest, or the least needed, first.
        sample: of the request.
    """

    who: int | Member
    item: Item
    purpose: str
    write: Write
    quotes: tuple[str, ...] = ()
    sample: int = 0

    def request(self, quotes: Sequence[str]) -> Request:
        """What is asked with these quotes."""
        text = self.write(quotes)
        return about(self.item, text, purpose=self.purpose, sample=self.sample)


def plain(who: int | Member, item: Item, purpose: str = "answer", sample: int = 0) -> Inquiry:
    """An inquiry of the item's own prompt, without quotes."""
    return Inquiry(who, item, purpose, lambda _: item.prompt, (), sample)


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A request that keeps to a policy, and what that took.

    Attributes:
        who: the member to be asked.
        request: what it is asked.
        heard: summaries that were asked for first.
        done: how many quotes were "dropped", "shortened" or "summarised"; empty if all are whole.
    """

    who: int | Member
    request: Request
    heard: tuple[Response, ...] = ()
    done: tuple[tuple[str, int], ...] = ()

    def credit(self, response: Response) -> Response:
        """The response to the request, with all that led to it and a note of what was done."""
        note = (("context", dict(self.done)),) if self.done else ()
        return response.replace(
            usage=total_usage([*self.heard, response]),
            transcript=tuple(turn for one in (*self.heard, response) for turn in one.transcript),
            notes=response.notes + note,
        )


def says_something(text: str) -> bool:
    """Whether there is anything in a text to quote."""
    return bool(text.strip())


def quote(
    who: int | Member,
    item: Item,
    purpose: str,
    write: Write,
    texts: Sequence[str],
    sample: int = 0,
) -> Inquiry:
    """An inquiry that quotes all texts with anything in them; the item's own prompt if none has."""
    quotes = tuple(filter(says_something, texts))
    if not quotes:
        return plain(who, item, purpose, sample)
    return Inquiry(who, item, purpose, write, quotes, sample)


def quote_about(
    who: int | Member,
    item: Item,
    purpose: str,
    write: Callable[[str, Sequence[str]], str],
    subject: str,
    others: Sequence[str],
) -> Inquiry:
    """An inquiry about one text beside others; that text is the last to be dropped.

    Args:
        who: the member that reads it.
        item: the question.
        purpose: of the request.
        write: the user's text, from the subject ("" where it is empty) and the others that say
            something.
        subject: an answer.
        others: what else is quoted.
    """
    if not says_something(subject):
        return quote(who, item, purpose, lambda texts: write("", texts), others)
    return quote(who, item, purpose, lambda texts: write(texts[-1], texts[:-1]), (*others, subject))


def ask(
    context: Context, inquiries: Sequence[Inquiry], policy: str, sampling: Sampling | None = None
) -> list[Response]:
    """Makes inquiries in one batch; under "summarise" one more batch may go before it."""
    fitted = fit(context, inquiries, policy, sampling)
    said = context.ask([(one.who, one.request) for one in fitted], sampling) if fitted else []
    return [one.credit(response) for one, response in zip(fitted, said, strict=True)]


def fit(
    context: Context, inquiries: Sequence[Inquiry], policy: str, sampling: Sampling | None = None
) -> list[Fitted]:
    """The inquiries as requests that keep to a policy, for what is not asked by `ask` but scored.

    Args:
        context: where summaries are asked for.
        inquiries: in any order; each is fitted on its own.
        policy: one of `POLICIES`.
        sampling: of the requests and summaries; the context's own by default.
    """
    sampling = sampling or context.sampling
    if policy == "summarise":
        return _summarise(context, inquiries, sampling)
    change = {"oldest_first": _drop, "shorten": _shorten}.get(policy)
    return [_changed(context, inquiry, sampling, change) for inquiry in inquiries]


def context_note(responses: Sequence[Response]) -> tuple[tuple[str, dict[str, int]], ...]:
    """A note of what was done to all prompts together and how many were refused; () if nothing."""
    counts: Counter[str] = Counter()
    for response in responses:
        counts.update(dict(response.notes).get("context", {}))
        counts.update(["refused"] if response.finish == "over_length" else [])
    return (("context", dict(sorted(counts.items()))),) if counts else ()


def latest(before: Sequence[Response | None], fresh: Sequence[Response]) -> list[Response]:
    """What members say by now: their new answers, or the earlier one of who says nothing new."""
    if not before:
        return list(fresh)
    return [
        old if old is not None and not says_something(new.text) else new
        for old, new in zip(before, fresh, strict=True)
    ]


def conclude(
    final: Response, said: Sequence[Response], notes: Sequence[tuple[str, Any]] = ()
) -> Response:
    """The response that a protocol ends with.

    Args:
        final: the answer.
        said: all that was asked for, in order; what `final` cost counts only if it is among them.
        notes: of the method; what became of quotes is added.
    """
    return final.replace(
        usage=total_usage(said),
        transcript=tuple(turn for response in said for turn in response.transcript),
        notes=(*notes, *context_note(said)),
    )


def _changed(
    context: Context,
    inquiry: Inquiry,
    sampling: Sampling,
    change: Callable[[Sequence[str], Fits], tuple[Sequence[str], Counter[str]]] | None,
) -> Fitted:
    quotes: Sequence[str] = inquiry.quotes
    done = Counter[str]()
    fits = _fits(context, inquiry, sampling)
    if change and quotes and not fits(quotes):
        quotes, done = change(quotes, fits)
    return Fitted(inquiry.who, inquiry.request(quotes), done=_done(done))


def _fits(context: Context, inquiry: Inquiry, sampling: Sampling) -> Fits:
    """Whether a text with given quotes leaves the inquiry's reader room to answer."""
    who = inquiry.who
    member = context.pool[who] if isinstance(who, int) else who
    most = member.config.max_positions
    room = max(most - sampling.max_new_tokens, (most - 1) // 2)

    def fits(quotes: Sequence[str]) -> bool:
        turns = (Message("user", inquiry.write(quotes)),)
        return len(member.template.render(turns, thinking=sampling.thinking)) <= room

    return fits


def _drop(quotes: Sequence[str], fits: Fits) -> tuple[Sequence[str], Counter[str]]:
    """Without as few of the first quotes as possible; the last one stays."""
    left, dropped = quotes, 0
    while dropped < len(quotes) - 1 and not fits(left):
        dropped += 1
        left = [prompts.left_out(dropped), *quotes[dropped:]]
    return left, Counter(dropped=dropped)


def _shorten(quotes: Sequence[str], fits: Fits) -> tuple[Sequence[str], Counter[str]]:
    """With as much of each as possible, the same length for all that are longer."""
    limit = _limit(quotes, fits)
    cut = [prompts.without_middle(quote, limit) for quote in quotes]
    return cut, Counter(shortened=sum(len(quote) > limit for quote in quotes))


def _limit(quotes: Sequence[str], fits: Fits) -> int:
    """Most characters of each quote with which a prompt fits; 0 if it never does."""
    low, high = 0, max(map(len, quotes))
    while low < high:
        middle = (low + high + 1) // 2
        fit_now = fits([prompts.without_middle(quote, middle) for quote in quotes])
        low, high = (middle, high) if fit_now else (low, middle - 1)
    return low


def _summarise(context: Context, inquiries: Sequence[Inquiry], sampling: Sampling) -> list[Fitted]:
    """Each reader first sums up the quotes that are too long for it, all in one batch."""
    checks = [_fits(context, inquiry, sampling) for inquiry in inquiries]
    long = [
        _too_long(inquiry.quotes, fits) for inquiry, fits in zip(inquiries, checks, strict=True)
    ]
    asks = [
        (inquiry.who, _summary(context, inquiry, inquiry.quotes[place], sampling))
        for inquiry, places in zip(inquiries, long, strict=True)
        for place in places
    ]
    said = iter(context.ask(asks, sampling) if asks else [])
    fitted = []
    for inquiry, fits, places in zip(inquiries, checks, long, strict=True):
        heard = {place: next(said) for place in places}
        quotes: Sequence[str] = [
            _shorter(quote, heard[place].text) if place in heard else quote
            for place, quote in enumerate(inquiry.quotes)
        ]
        done = Counter(summarised=len(heard))
        if heard and not fits(quotes):
            quotes, cut = _shorten(quotes, fits)
            done += cut
        fitted.append(
            Fitted(inquiry.who, inquiry.request(quotes), tuple(heard.values()), _done(done))
        )
    return fitted


def _too_long(quotes: Sequence[str], fits: Fits) -> list[int]:
    """Places of the quotes that "shorten" would cut."""
    if not quotes or fits(quotes):
        return []
    limit = _limit(quotes, fits)
    return [place for place, quote in enumerate(quotes) if len(quote) > limit]


def _summary(context: Context, inquiry: Inquiry, quote: str, sampling: Sampling) -> Request:
    """Asks the reader of an inquiry to sum up one quote, shortened if even that does not fit."""

    def write(quotes: Sequence[str]) -> str:
        return prompts.condense(inquiry.item.prompt, quotes[0])

    short = dataclasses.replace(inquiry, write=write, purpose=f"condense for {inquiry.purpose}")
    fits = _fits(context, short, sampling)
    return short.request([quote] if fits([quote]) else _shorten([quote], fits)[0])


def _shorter(quote: str, summary: str) -> str:
    return summary if 0 < len(summary.strip()) < len(quote) else quote


def _done(counts: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple((name, count) for name, count in counts.items() if count)
