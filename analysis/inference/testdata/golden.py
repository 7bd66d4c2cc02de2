#!/usr/bin/env python3
"""Golden vectors of package inference, written to golden.json.

    cd analysis/inference/testdata && python3 golden.py

made with Python 3.11, numpy 1.24.2, scipy 1.10.1 and R 4.2.2 (base only, by golden.R). The output has the versions that made it.
Who computed what stands in "by". Where neither R nor scipy has a procedure (exact ties), it is enumerated or counted
here in integers, by other code than the package's.
"""
import itertools
import json
import platform
import subprocess
from fractions import Fraction

import numpy as np
import scipy
from scipy import stats

rng = np.random.default_rng(20261121)


def r(*calls):
    """Runs golden.R on calls "procedure;vector;vector;…" and returns its answers, a list of numbers each."""
    lines = "\n".join(";".join([c[0]] + [" ".join(map(repr, map(float, v))) for v in c[1:]]) for c in calls) + "\n"
    out = subprocess.run(["Rscript", "--vanilla", "golden.R"], input=lines, capture_output=True, text=True, check=True).stdout
    return [[float(w) for w in l.split()] for l in out.splitlines()]


def six(v):
    return [float("%.6g" % x) for x in v]


def scale_of(i):
    return [1, 1e-3, 0.05, 1e150, 1e-150, 1e9][i % 6]


def differences(n, i):
    kind = i % 3
    v = rng.normal(0.4, 1, n) if kind == 0 else rng.standard_t(2, n) + 0.5 if kind == 1 else rng.exponential(1, n) - 0.3
    return six(v * scale_of(i))


# Without ties: R's wilcox.test, exact; p also by scipy.stats.wilcoxon.
def signed_rank():
    cases = []
    for i, n in enumerate([2, 3, 4, 5, 6, 6, 7, 8, 8, 9, 10, 10, 11, 12, 13, 14, 15, 16, 18, 20, 20, 24, 25, 30, 35, 40, 40]):
        d = differences(n, i)
        assert len(set(map(abs, d))) == n and 0 not in d
        cases.append({"by": "R wilcox.test(exact, conf.int)", "d": d, "confidence": [0.95, 0.9, 0.99][i % 3]})
    cases.append({"by": "R wilcox.test(exact, conf.int)", "d": [1, 2, 3, 4, 5, 6.5], "confidence": 0.95})
    cases.append({"by": "R wilcox.test(exact, conf.int)", "d": six(0.01 * k * k for k in range(1, 11)), "confidence": 0.95})
    for c, got in zip(cases, r(*[("signedrank", c["d"], [c["confidence"]]) for c in cases])):
        c["value"], c["lo"], c["hi"], c["reached"], c["p"] = got
        other = stats.wilcoxon(c["d"], mode="exact").pvalue
        assert abs(other - c["p"]) < 1e-12, (other, c)
    return cases + [tied(d) for d in ties()]


def ties():
    yield [1.0] * 6
    yield [-2.0] * 10
    yield [0.0] * 8
    yield [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    yield [0.0, 1.0]
    yield [-1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    yield [1e-300, 1e-300, -1e-300, 3e-300, 0.0, 2e-300, 2e-300]
    for n in [3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 20, 24, 30, 40]:
        yield [float(v) for v in rng.integers(-2, 5, n)]
        yield six(rng.choice([-0.1, 0.0, 0.05, 0.1, 0.2, 0.3], n))


# With ties and zeros: Walsh averages by numpy at the ranks of R's qsignrank; p of Pratt's test from all sign patterns
# by scipy.stats.permutation_test up to 12 values, beyond by counting subsets of doubled midranks in integers.
def tied(d):
    n = len(d)
    a = np.array(d)
    walsh = np.sort([(a[i] + a[j]) / 2 for i in range(n) for j in range(i, n)])
    (below, reached), = r(("signedranklevel", [n], [0.95]))
    below = int(below)
    ranks = stats.rankdata(np.abs(a))

    def plus(x):
        return float(np.sum(stats.rankdata(np.abs(x)) * np.sign(x)))

    if not a.any():
        p, by = 1.0, "by definition"
    elif n <= 12:
        p, by = stats.permutation_test((a,), plus, permutation_type="samples", n_resamples=np.inf).pvalue, "scipy permutation_test"
    else:
        doubled = [int(2 * k) for k, v in zip(ranks, a) if v != 0]
        count = {0: 1}
        for k in doubled:
            grown = dict(count)
            for s, c in count.items():
                grown[s + k] = grown.get(s + k, 0) + c
            count = grown
        w = int(2 * sum(k for k, v in zip(ranks, a) if v > 0))
        lower, upper = (Fraction(sum(c for s, c in count.items() if f(s)), 2 ** len(doubled)) for f in (lambda s: s <= w, lambda s: s >= w))
        p, by = float(min(1, 2 * min(lower, upper))), "integers"
    return {"by": "numpy, R qsignrank, p: " + by, "d": d, "confidence": 0.95, "value": float(np.median(walsh)),
            "lo": float(walsh[below]), "hi": float(walsh[len(walsh) - 1 - below]), "reached": reached, "p": float(p)}


def paired_t():
    cases = [{"by": "R t.test", "d": differences(n, i), "confidence": [0.95, 0.9, 0.999][i % 3]}
             for i, n in enumerate([2, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 30, 40])]
    for c, (value, lo, hi, p) in zip(cases, r(*[("t", c["d"], [c["confidence"]]) for c in cases])):
        c.update(value=value, lo=lo, hi=hi, reached=c["confidence"], p=p)
    return cases


def sign_flip():
    cases = []
    for i, d in enumerate([differences(n, i) for i, n in enumerate([2, 3, 5, 6, 8, 10, 12, 14])] +
                          [[1.0, 2.0, 3.0, 6.0], [0.1, 0.2, -0.3, 0.3, 0.6], [0.0, 0.0, 1.0], [1.0] * 6]):
        s = max(map(abs, d))
        p = stats.permutation_test((np.array(d) / s,), lambda x: float(np.sum(x)), permutation_type="samples", n_resamples=np.inf).pvalue
        cases.append({"by": "scipy permutation_test", "d": d, "p": float(p)})
    for n in [15, 20, 24, 30]:  # integers: every pattern counted by its sum
        d = [float(v) for v in rng.integers(-30, 50, n)]
        count = {0: 1}
        for v in map(int, d):
            grown = {}
            for s, c in count.items():
                for t in (s - v, s + v):
                    grown[t] = grown.get(t, 0) + c
            count = grown
        far = sum(c for s, c in count.items() if abs(s) >= abs(sum(map(int, d))))
        cases.append({"by": "integers", "d": d, "p": float(Fraction(far, 2 ** n))})
    return cases


def shift():
    sizes = [(1, 2), (2, 3), (3, 3), (4, 4), (5, 3), (3, 7), (6, 6), (8, 8), (10, 7), (10, 10), (12, 20), (20, 20), (25, 30), (40, 40)]
    cases = [{"by": "R wilcox.test(exact, conf.int)", "x": differences(m, i), "y": differences(n, i),
              "confidence": [0.95, 0.9, 0.99][i % 3]} for i, (m, n) in enumerate(sizes)]
    for c, got in zip(cases, r(*[("shift", c["x"], c["y"], [c["confidence"]]) for c in cases])):
        c["value"], c["lo"], c["hi"], c["reached"], c["p"] = got
    for m, n in [(2, 2), (3, 4), (5, 5), (4, 8), (8, 4), (6, 7), (2, 6), (5, 9)]:
        x, y = rng.integers(0, 5, m).astype(float), rng.integers(1, 4, n).astype(float)
        apart = np.sort(np.subtract.outer(x, y).ravel())
        (below, reached), = r(("shiftlevel", [m], [n], [0.95]))
        both = np.concatenate([x, y])
        # Ranks of all values first: the statistic of a split is then the sum over its first sample.
        ranks = stats.rankdata(both)
        p = stats.permutation_test((ranks[:m], ranks[m:]), lambda a, b: float(np.sum(a)), n_resamples=np.inf).pvalue
        cases.append({"by": "numpy, R qwilcox, p: scipy permutation_test", "x": x.tolist(), "y": y.tolist(), "confidence": 0.95,
                      "value": float(np.median(apart)), "lo": float(apart[int(below)]), "hi": float(apart[len(apart) - 1 - int(below)]),
                      "reached": reached, "p": float(p)})
    return cases


def friedman():
    cases = []
    for i, (n, k) in enumerate([(2, 2), (3, 3), (2, 5), (6, 3), (8, 6), (10, 4), (10, 12), (20, 6), (20, 12), (40, 3)]):
        for kind in range(2):
            v = rng.normal(0, 1, (n, k)) + np.arange(k) * 0.15 * (i % 4)
            blocks = np.round(v * (1 if kind else 1000)).tolist()
            cases.append({"by": "R friedman.test, pf", "blocks": blocks})
    got = r(*[("friedman", [len(c["blocks"][0])], np.ravel(c["blocks"]).tolist()) for c in cases])
    kept = []
    for c, (f, df1, df2, p) in zip(cases, got):
        if np.isfinite(f):
            c.update(f=f, df1=df1, df2=df2, p=p)
            kept.append(c)
    return kept


def holm():
    cases = [{"by": "R p.adjust", "p": six(v)} for v in
             ([0.01, 0.04, 0.03, 0.005], [0.05], [1, 1, 0.2], [0.02, 0.02, 0.02], [0, 0.5, 1], rng.uniform(0, 1, 15) ** 3, rng.uniform(0, 0.05, 66))]
    for c, got in zip(cases, r(*[("holm", c["p"]) for c in cases])):
        c["adjusted"] = got
    return cases


def theil_sen():
    cases = []
    for i, n in enumerate([2, 3, 4, 5, 8, 12, 20, 40]):
        x = np.array(six(np.cumsum(rng.uniform(0.5, 2, n))))
        y = np.array(six((3 * x + rng.standard_t(2, n)) * scale_of(i)))
        fit = stats.theilslopes(y, x, method="joint")
        cases.append({"by": "scipy theilslopes(joint), slope and intercept alone", "x": x.tolist(), "y": y.tolist(),
                      "slope": float(fit[0]), "intercept": float(fit[1])})
    return cases


def clopper_pearson():
    cases = [{"by": "R binom.test", "k": k, "n": n, "confidence": c} for c in (0.95, 0.9, 0.99)
             for k, n in [(0, 1), (1, 1), (0, 59), (0, 60), (1, 60), (3, 60), (5, 10), (59, 60), (60, 60), (7, 1000), (998, 1000), (1, 100000)]]
    for c, (lo, hi, upper) in zip(cases, r(*[("binom", [c["k"]], [c["n"]], [c["confidence"]]) for c in cases])):
        c.update(lo=lo, hi=hi, upper=upper)
    return cases


def mde():
    cases = []
    for sd in (0.08, 0.02, 1.42):
        for n in (2, 3, 6, 8, 10, 20, 100):
            for alpha, power in ((0.05, 0.8), (0.01, 0.9), (0.00005, 0.8)):
                v = (stats.t.ppf(1 - alpha / 2, n - 1) + stats.t.ppf(power, n - 1)) * sd / np.sqrt(n)
                cases.append({"by": "scipy t.ppf", "sd": sd, "n": n, "alpha": alpha, "power": power, "mde": float(v)})
    rounds = []
    for sd, effect in itertools.product((0.08, 0.05, 0.3), (0.02, 0.05, 0.1, 2)):
        n = 2
        while (stats.t.ppf(0.975, n - 1) + stats.t.ppf(0.8, n - 1)) * sd / np.sqrt(n) > effect:
            n += 1
        rounds.append({"by": "scipy t.ppf, tried one by one", "sd": sd, "effect": effect, "alpha": 0.05, "power": 0.8, "n": n})
    return {"mde": cases, "rounds": rounds}


if __name__ == "__main__":
    made = {"versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__,
                         "R": subprocess.run(["Rscript", "-e", "cat(as.character(getRversion()))"], capture_output=True, text=True).stdout}}
    made["signed_rank"] = signed_rank()
    made["paired_t"] = paired_t()
    made["sign_flip"] = sign_flip()
    made["shift"] = shift()
    made["friedman"] = friedman()
    made["holm"] = holm()
    made["theil_sen"] = theil_sen()
    made["clopper_pearson"] = clopper_pearson()
    made["power"] = mde()
    with open("golden.json", "w") as f:
        f.write("{\n")
        for i, (name, cases) in enumerate(made.items()):
            f.write(",\n" if i else "")
            if isinstance(cases, list):
                f.write(json.dumps(name) + ": [\n" + ",\n".join(json.dumps(c, allow_nan=False) for c in cases) + "\n]")
            else:
                f.write(json.dumps(name) + ": " + json.dumps(cases, allow_nan=False))
        f.write("\n}\n")
