"""How tokens come out: from requests to responses.

Read in this order: `types` (what is asked and answered), `render` (a request as token ids),
`loop` (the one decode loop, on device), `combine` (how several members become one choice),
`sampling` (from logits to a token), `schedule` (rows of work over the loop's slots), `call` and
`engine` (requests through a program, with a store and a meter), `session` (texts that are extended,
forked and rewound), `scoring` (log-probabilities of given text).
"""
