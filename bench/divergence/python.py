"""PyTorch (stock, and by hand in chunks of rows that fit the cache), and NumPy with SciPy: whichever this Python has."""

import json
import sys
import time

import numpy as np

rows, vocabulary = map(int, sys.argv[1:3])


def normal(first, count):
    i = np.arange(first, first + 2 * count, 2, dtype=np.int64).astype(np.uint32)
    h = (i ^ (i >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    total = sum(((h >> np.uint32(s)) & np.uint32(255)).astype(np.int32) for s in (0, 8, 16, 24))
    return ((total - 510) / 147.8).astype(np.float64)


p = np.empty((rows, vocabulary), np.float32)
q = np.empty((rows, vocabulary), np.float32)
for r in range(rows):
    x = 2 * normal(2 * r * vocabulary, vocabulary)
    p[r] = x
    q[r] = x + normal(2 * r * vocabulary + 1, vocabulary)

contenders = []


def contender(name, version, **tasks):
    contenders.append({"name": name, "version": version, "tasks": tasks})


def check(value, gradient=None):
    return [float(value)] + ([] if gradient is None else [float(abs(gradient[0]).sum())])


def value_of(result):
    return lambda: result()[:1]


try:
    import torch

    torch.set_num_threads(1)
    F = torch.nn.functional
    X, Y = torch.from_numpy(p), torch.from_numpy(q)
    LX, LY = X.log_softmax(-1), Y.log_softmax(-1)
    G = torch.empty_like(X)

    def eager(x, logp, logq):
        x = x.detach().requires_grad_(True)
        kl = F.kl_div(logq(), logp(x), reduction="batchmean", log_target=True)
        kl.backward()
        return lambda: check(kl.detach(), x.grad)

    @torch.no_grad()
    def eager_value():
        kl = F.kl_div(Y.log_softmax(-1), X.log_softmax(-1), reduction="batchmean", log_target=True)
        return lambda: check(kl)

    contender(
        "PyTorch, eager",
        torch.__version__,
        logits=lambda: eager(X, lambda x: x.log_softmax(-1), lambda: Y.log_softmax(-1)),
        against=lambda: eager(X, lambda x: x.log_softmax(-1), lambda: LY),
        # Its gradient is another: with respect to log-probabilities that need not sum to 1.
        logprobs=lambda: value_of(eager(LX, lambda x: x, lambda: LY)),
        value=eager_value,
    )

    @torch.no_grad()
    def chunked(n, logp, logq, gradients):
        total = 0.0
        for i in range(0, rows, n):
            lp = logp(i, i + n)
            d = lp - logq(i, i + n)
            e = lp.exp()
            kl = (e * d).sum(-1, keepdim=True)
            total += float(kl.sum())
            if gradients:
                torch.mul(e, d.sub_(kl).div_(rows), out=G[i : i + n])
        return lambda: check(total / rows, G if gradients else None)

    x_softmax = lambda a, b: X[a:b].log_softmax(-1)
    y_softmax = lambda a, b: Y[a:b].log_softmax(-1)

    def timed(n):
        started = time.perf_counter()
        chunked(n, x_softmax, y_softmax, True)
        return time.perf_counter() - started

    sizes = [1, 2, 4, 8, 16]
    best = min(sizes, key=lambda n: min(timed(n) for _ in range(3)))
    contender(
        f"PyTorch, by hand, {best} rows at a time",
        torch.__version__,
        logits=lambda: chunked(best, x_softmax, y_softmax, True),
        against=lambda: chunked(best, x_softmax, lambda a, b: LY[a:b], True),
        logprobs=lambda: chunked(best, lambda a, b: LX[a:b], lambda a, b: LY[a:b], True),
        value=lambda: chunked(best, x_softmax, y_softmax, False),
    )

    def stream():
        torch.add(X, Y, out=G)
        return lambda: []

    contender("streaming, PyTorch", torch.__version__, stream=stream)
except ImportError:
    pass

try:
    import scipy
    from scipy.special import log_softmax

    log_p, log_q = log_softmax(p, -1), log_softmax(q, -1)

    def by_scipy(lp, lq, gradients):
        d = lp - lq
        e = np.exp(lp)
        kl = (e * d).sum(-1, keepdims=True)
        g = e * (d - kl) / rows if gradients else None
        return lambda: check(kl.mean(), g)

    contender(
        "NumPy and SciPy",
        f"{np.__version__}, {scipy.__version__}",
        logits=lambda: by_scipy(log_softmax(p, -1), log_softmax(q, -1), True),
        against=lambda: by_scipy(log_softmax(p, -1), log_q, True),
        logprobs=lambda: by_scipy(log_p, log_q, True),
        value=lambda: by_scipy(log_softmax(p, -1), log_softmax(q, -1), False),
    )
except ImportError:
    pass


def say(answer):
    print(json.dumps(answer), flush=True)


say([{**c, "tasks": list(c["tasks"])} for c in contenders])
for line in sys.stdin:
    asked = json.loads(line)
    work = next(c for c in contenders if c["name"] == asked["name"])["tasks"][asked["task"]]
    started = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - started
    say({"seconds": seconds, "check": result()})
