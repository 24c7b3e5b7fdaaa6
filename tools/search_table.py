"""A table of all networks of a small space, trained, and how fast each search strategy finds the best of them in it.

    python tools/search_table.py record [--seeds 3] [--minutes 60]    # results/search/table.csv; goes on where it ended
    python tools/search_table.py curves [--seeds 50] [--again NAME]   # results/search/regret.csv, .png and README.md

The space is that of cells of one and of two sums of two of three operations: all networks of it that differ, 735 of
which have two sums. A network is trained for about 0.3 seconds of one core, on half of the digits that are no test
images. `curves` searches only what regret.csv does not have, and goes on where it ended; `--again` searches anew by a
strategy that has changed. Most take a tenth of a second a search, those with an LSTM and NAO several seconds.
"""

import argparse
import csv
import os
import sys
import time
from pathlib import Path

import numpy as np

from kerascnn import _figures
from kerascnn._files import replace_with
from kerascnn.search import Result, Space
from kerascnn.search import strategies as st
from kerascnn.search.comparison import draw_lines
from kerascnn.search.evaluators import OneGraph
from kerascnn.search.spaces import Growing
from kerascnn.search.strategies.controller import LSTMPPO, LSTMReinforce

OUT = Path(__file__).resolve().parents[1] / "results" / "search"
SPACE = Growing(("identity", "conv_3x3", "max_3x3"), 2)
EVALUATIONS, POINTS = 200, (50, 100, 200)
KINDS = ("one training", "the mean of all trainings")
COLUMNS = ("network", "cell", "seed", "accuracy", "loss", "parameters", "seconds")
FOUND = ("told", "strategy", "seed", "regret")  # columns of regret.csv; a regret is written where it changes


def networks() -> dict[str, tuple[int, ...]]:
    """The tokens of each network that differs from the others, by its hash, in ascending order of the tokens."""
    found: dict[str, tuple[int, ...]] = {}
    for tokens in SPACE.enumerate():
        found.setdefault(SPACE.canonical(tokens), tokens)
    return found


def read(path: Path) -> list[dict[str, str]]:
    """The rows of the table."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def _mend(path: Path) -> None:
    """Cuts off half a line that a kill may have left."""
    if path.exists():
        whole = path.read_bytes().rpartition(b"\n")
        os.truncate(path, len(whole[0]) + len(whole[1]))


def record(seeds: int, minutes: float) -> None:
    """Trains what is not in the table, one seed after the other."""
    began, path, evaluator = time.monotonic(), OUT / "table.csv", OneGraph()
    OUT.mkdir(parents=True, exist_ok=True)
    _mend(path)
    done = {(row["network"], int(row["seed"])) for row in read(path)}
    with open(path, "a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not file.tell():
            file.write(f"# python tools/search_table.py record --seeds {seeds}; {evaluator.settings()}\n")
            writer.writeheader()
        for seed in range(seeds):
            for number, tokens in enumerate(networks().values()):
                network = "-".join(map(str, tokens))
                if (network, seed) in done:
                    continue
                if time.monotonic() - began > 60 * minutes:
                    sys.exit(f"The time is over in seed {seed} at network {number}; the same line goes on.")
                genotype, first = SPACE.decode(tokens), time.perf_counter()
                own = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
                result = evaluator(genotype, None, own)
                writer.writerow({
                    "network": network, "cell": "; ".join(str(genotype.normal).splitlines()), "seed": seed,
                    "accuracy": f"{result.value:.6f}", "loss": f"{result.metrics['loss']:.6f}",
                    "parameters": int(result.cost["parameters"]), "seconds": f"{time.perf_counter() - first:.3f}",
                })  # fmt: skip
                file.flush()


def strategies() -> dict[str, tuple[st.Searcher, Space]]:
    """What is compared, and the space that each searches: PNAS grows cells, the others draw those of two sums."""
    cells = SPACE.levels[1]
    plain = {
        "random": st.RandomSearch(), "local": st.LocalSearch(), "evolution": st.Evolution(20, 5),
        "tournament": st.Tournament(initial=20, share=0.25), "reinforce": st.Reinforce(), "ppo": st.PPO(),
        "lstm_reinforce": LSTMReinforce(), "lstm_ppo": LSTMPPO(), "nao": st.NAO(),
    }  # fmt: skip
    return {**{name: (made, cells) for name, made in plain.items()}, "pnas": (st.PNAS(kept=180), SPACE)}


def regrets(
    searcher: st.Searcher, space: Space, shown: dict[str, float], kept: dict[str, float], seed: int
) -> np.ndarray:
    """The regret [EVALUATIONS] of a strategy that is told `shown` and judged by `kept`, both of each network by hash:
    the best of `kept`, less that of the network which is best by what was told so far."""
    searcher.begin(space, seed)
    found, best, chosen = [], max(kept.values()), ""
    keys: dict[tuple[int, ...], str] = {}
    while len(found) < EVALUATIONS and (proposals := searcher.propose(1)):
        tokens = proposals[0].tokens
        key = keys[tokens] = keys.get(tokens) or space.canonical(tokens)
        chosen = key if not chosen or shown[key] > shown[chosen] else chosen
        found.append(best - kept[chosen])
        searcher.report(proposals[0].id, Result(100 * shown[key]))
    return np.array(found + found[-1:] * (EVALUATIONS - len(found)))


def values() -> np.ndarray:
    """Accuracies [networks, seeds] in the order of `networks()`, of the seeds that all networks have."""
    order = {"-".join(map(str, tokens)): place for place, tokens in enumerate(networks().values())}
    rows = read(OUT / "table.csv")
    found = np.full((len(order), 1 + max(int(row["seed"]) for row in rows)), np.nan)
    for row in rows:
        found[order[row["network"]], int(row["seed"])] = float(row["accuracy"])
    return found[:, ~np.isnan(found).any(0)]


def curves(seeds: int, again: list[str], without: list[str]) -> None:
    """Lets each strategy search the table where it has not, draws its regret and writes the page."""
    chosen = [name for name in strategies() if name not in without]
    table, hashes, path = values(), list(networks()), OUT / "regret.csv"
    if table.shape[1] < 3:
        sys.exit("A regret needs three trainings of each network: one that the strategy is told, others that judge.")
    _mend(path)
    rows = {tuple(row[name] for name in FOUND[:3]): row for row in read(path) if row["strategy"] not in again}
    _save(rows, path)
    means = dict(zip(hashes, table.mean(1).tolist(), strict=True))
    for seed in range(seeds):
        told = seed % table.shape[1]
        shown = dict(zip(hashes, table[:, told].tolist(), strict=True))
        kept = dict(zip(hashes, np.delete(table, told, 1).mean(1).tolist(), strict=True))
        for kind, pair in zip(KINDS, ((shown, kept), (means, means)), strict=True):
            for name, (searcher, space) in strategies().items():
                if name in chosen and (kind, name, str(seed)) not in rows:
                    curve = 100 * regrets(searcher, space, *pair, seed)
                    row = dict(zip(FOUND, (kind, name, str(seed), written(curve)), strict=True))
                    rows[kind, name, str(seed)] = row
                    with open(path, "a", newline="", encoding="utf-8") as file:
                        csv.DictWriter(file, FOUND, lineterminator="\n").writerow(row)
        print(f"seed {seed + 1} of {seeds}", flush=True)
    keys = [(kind, name, str(seed)) for kind in KINDS for name in strategies() for seed in range(seeds)]
    _save({key: rows[key] for key in keys if key in rows}, path)
    found = {
        kind: {name: np.array([curve_of(rows[kind, name, str(seed)]["regret"]) for seed in range(seeds)])
               for name in chosen}
        for kind in KINDS
    }  # fmt: skip
    _draw(found)
    _write(found, table, without)


def written(curve: np.ndarray) -> str:
    """A curve as text: after which evaluations it is what, where it changes."""
    changes = [i for i in range(len(curve)) if not i or curve[i] != curve[i - 1]]
    return " ".join(f"{i + 1}:{curve[i]:.6f}" for i in changes)


def curve_of(text: str) -> np.ndarray:
    """The curve [EVALUATIONS] of such a text."""
    found = np.empty(EVALUATIONS)
    for pair in text.split():
        first, _, value = pair.partition(":")
        found[int(first) - 1 :] = float(value)
    return found


def _save(rows: dict, path: Path) -> None:
    with replace_with(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        file.write("# python tools/search_table.py curves; points of accuracy, evaluation:regret where it changes\n")
        writer = csv.DictWriter(file, FOUND, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())


def _draw(found: dict[str, dict[str, np.ndarray]]) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import ScalarFormatter

    figure = Figure(figsize=(10, 11), dpi=100, layout="constrained")
    count = np.arange(1, EVALUATIONS + 1)
    for axes, (kind, curves) in zip(figure.subplots(2, 1), found.items(), strict=True):
        if kind == KINDS[0]:
            axes.set_ylim(1.0, 3.0)
        else:
            axes.set_ylim(0.01, 4.0)
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(ScalarFormatter())
        draw_lines(axes, {name: curve.mean(0) for name, curve in curves.items()}, thick="random")
        random = curves["random"]
        error = random.std(0, ddof=1) / len(random) ** 0.5
        axes.fill_between(count, random.mean(0) - error, random.mean(0) + error, color="black", alpha=0.1, linewidth=0)
        axes.set_xlabel("evaluations", fontsize=11)
        axes.set_ylabel("regret, points of accuracy", fontsize=11)
        axes.tick_params(labelsize=11)
        axes.grid(alpha=0.3)
        axes.set_title(f"told {kind}: mean of {len(random)} searches; gray: standard error of random", fontsize=12)
    _figures.save(figure, OUT / "regret.png")


def _write(found: dict[str, dict[str, np.ndarray]], table: np.ndarray, without: list[str]) -> None:
    """The page."""
    from scipy.stats import spearmanr

    seeds, means, repeats = table.shape[1], 100 * table.mean(1), len(found[KINDS[0]]["random"])
    triples = [(i, j, k) for k in range(seeds) for i in range(seeds) for j in range(i) if k not in (i, j)]
    rank = np.mean([spearmanr(table[:, i], table[:, j])[0] for i, j, _ in triples])
    count = len(table) // 10
    tops = [(np.argsort(-table[:, k], kind="stable")[:count], i, j) for i, j, k in triples]
    best = np.mean([spearmanr(table[top, i], table[top, j])[0] for top, i, j in tops])
    spread = 100 * np.median(table.std(1, ddof=1))
    words = f" --without {' '.join(without)}" if without else ""
    left_out = f"; nor is {' or '.join(without)}, which was left out of this run" if without else ""
    page = f"""# Searches in a table

`table.csv` has {len(table)} networks, all that differ in the space of cells of one and of two sums of two of identity,
3x3 convolution and 3x3 maximum. Each was trained {seeds} times on half of the 1,437 digits that are no test images and
measured on the other half, among them the validation part; `kerascnn.search.evaluators.OneGraph` says how.

```
python tools/search_table.py record --seeds {seeds}
python tools/search_table.py curves --seeds {repeats}{words}
```

The accuracy of a network, the mean of its trainings, is {means.mean():.2f} % in the mean, {np.median(means):.2f} % in
the median, {means.max():.2f} % at best and {means.min():.2f} % at worst; trainings of one network have a standard
deviation of {spread:.2f} points in the median. Two trainings rank the networks alike with
a correlation of {rank:.2f} (Spearman), but those {count} that a third one has as its best with {best:.2f}.

## Regret

A strategy is told the accuracy of each network that it proposes, in percent. Its regret is how much better the best
network is than the one that looked best to it so far, in points of accuracy. Told one training, a strategy is judged by
the mean of the others, and searches with the same number are told the same training; told the mean, by the mean. All
have {repeats} seeds, mean ± standard error. Options are the defaults but for evolution (population 20, samples of 5),
tournament (20 at first, a quarter takes part) and PNAS (180 kept); none was tuned, but NAO's rate and steps were chosen
by how well its networks give back and rank cells of this table, not by regrets. All but PNAS search the cells of two
sums alone; PNAS begins with those of one. A network that is proposed again counts again. Successive halving and
Hyperband are not here, for the table has one budget{left_out}.
`regret.csv` has the curve of each search.

p is that of Wilcoxon's signed-rank test of the {repeats} differences to random search at {EVALUATIONS} evaluations,
two-sided; the level is 0.05 over the number of tests. It speaks of searches in this table, whose trainings they share,
not of other spaces.
"""
    for kind, curves in found.items():
        page += f"\n### Told {kind}\n\n" + "\n".join(_table(curves)) + "\n"
    (OUT / "README.md").write_text(page + "\n![Regret](regret.png)\n", encoding="utf-8")


def _table(curves: dict[str, np.ndarray]) -> list[str]:
    """Regrets, tests, and what they say."""
    from scipy.stats import wilcoxon

    lines = ["| strategy | 50 | 100 | 200 | difference at 200 | p |", "| --- | --- | --- | --- | --- | --- |"]
    level = 0.05 / (len(curves) - 1)
    verdict: dict[str, list[str]] = {"better": [], "worse": [], "cannot be told from it": []}
    for name, curve in curves.items():
        errors = curve.std(0, ddof=1) / len(curve) ** 0.5
        cells = [f"{curve[:, n - 1].mean():.3f} ± {errors[n - 1]:.3f}" for n in POINTS]
        if name == "random":
            lines.append(f"| {name} | {' | '.join(cells)} | | |")
            continue
        change = curve[:, -1] - curves["random"][:, -1]
        p = 1.0 if not change.any() else float(wilcoxon(change)[1])
        lines.append(f"| {name} | {' | '.join(cells)} | {change.mean():+.3f} | {p:.2g} |")
        told = "cannot be told from it" if p >= level else "better" if change.mean() < 0 else "worse"
        verdict[told].append(name)
    lines += ["", f"Compared with random search, at the level {level:.4f}:", ""]
    return lines + [f"- {told}: {', '.join(names) or 'none'}" for told, names in verdict.items()]


def main() -> None:
    """Reads the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    one = parts.add_parser("record")
    one.add_argument("--seeds", type=int, default=3)
    one.add_argument("--minutes", type=float, default=60.0)
    two = parts.add_parser("curves")
    two.add_argument("--seeds", type=int, default=50)
    two.add_argument("--without", nargs="*", default=[], choices=strategies(), metavar="NAME", help="leave these out")
    two.add_argument("--again", nargs="*", default=[], choices=strategies(), metavar="NAME")
    given = parser.parse_args()
    if given.part == "record":
        record(given.seeds, given.minutes)
    else:
        curves(given.seeds, given.again, given.without)


if __name__ == "__main__":
    main()
