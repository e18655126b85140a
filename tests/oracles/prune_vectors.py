#!/usr/bin/python3
"""Writes prune_vectors.json: masks by torch.nn.utils.prune and schedules by torch.ao.sparsity.

Run it only to change the vectors; the tests read the committed file. Debian package: python3-torch
(1.13). It writes the same file every time: of what torch chooses at random it keeps only counts.

The file is {torch, tensors, cases, rounding, schedules, blocks}:

tensors    name -> {shape, values: base64 of little-endian float32}
cases      {name, tensors: [names], steps}. A step is {method, its options, and what came of it}:
           an amount is {count} or {fraction}, because JSON has no 1.0; n is a number, "inf", "-inf",
           "fro" or "nuc"; scores names the tensor of importance scores; mask is one of the bit
           strings below. What came of it is one of
             masks     [one string of 0 and 1 per tensor], all steps so far together
             zeros     [zeros of each tensor's mask], or [zeros of all] for global_unstructured: the
                       choice was random
             channels  how many channels along dim are wholly zero: the choice was random
             pruned    the sorted magnitudes (or norms) of what was pruned: ties, any of them will do
             error     {type, text}: torch refused. A step after it works on what was there before.
rounding   [fraction, size, count]: how many of so many l1_unstructured prunes
schedules  CubicSL: {options, levels: [level at step 0, 1, ...]}
blocks     WeightNormSparsifier: {name, tensor, norm, level, block, zerosPerBlock, mask or error}
"""
import base64
import json
import math
import pathlib
import warnings

import torch
from torch import nn
from torch.ao import sparsity
from torch.nn.utils import prune

HERE = pathlib.Path(__file__).parent
NORMS = [1, 2, 3, 0.5, -1, 0, "inf", "-inf", "fro", "nuc"]
# A case whose outcome hangs on a smaller relative distance than this is a tie.
MARGIN = 1e-3

torch.set_num_threads(1)
warnings.simplefilter("ignore")
tensors, cases = {}, []


def tensor(name, shape, seed, with_zeros=False):
    """Normal values; with zeros, a fraction of them that grows along every dimension."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(shape, generator=generator)
    if with_zeros:
        keep = torch.ones(shape)
        for dim, size in enumerate(shape):
            share = 1 - torch.arange(size) / (2 * size)
            keep = keep * share.view([-1 if d == dim else 1 for d in range(len(shape))])
        values = values * (torch.rand(shape, generator=generator) < keep)
    tensors[name] = values
    return name


def bits(mask):
    return "".join("1" if value else "0" for value in mask.flatten().tolist())


def from_bits(text, shape):
    return torch.tensor([float(c) for c in text]).view(shape)


def value_of(amount):
    return amount["count"] if "count" in amount else amount["fraction"]


def norm_of(n):
    return float(n) if n in ("inf", "-inf") else n


class Case:
    def __init__(self, name, *names):
        self.modules = [nn.Module() for _ in names]
        for module, key in zip(self.modules, names):
            module.register_parameter("weight", nn.Parameter(tensors[key].clone()))
        self.entry = {"name": name, "tensors": list(names), "steps": []}
        cases.append(self.entry)

    def masks(self):
        ones = [torch.ones_like(module.weight) for module in self.modules]
        return [getattr(m, "weight_mask", one) for m, one in zip(self.modules, ones)]

    def step(self, method, outcome="masks", **options):
        """Runs one method and keeps what came of it; returns self."""
        entry = {"method": method, **options}
        before = [(module.weight.detach().clone(), mask) for module, mask in
                  zip(self.modules, (mask.clone() for mask in self.masks()))]
        try:
            self.run(method, options)
        except Exception as error:  # Whatever torch throws is the vector.
            entry["error"] = {"type": type(error).__name__, "text": str(error)}
        else:
            masks = self.masks()
            for module, mask in zip(self.modules, masks):
                if hasattr(module, "weight_mask"):
                    assert torch.equal(module.weight, module.weight_orig * mask)
            if outcome == "masks":
                if method in ("l1_unstructured", "ln_structured"):
                    ((weight, old),) = before
                    scores = tensors[options["scores"]] if "scores" in options else weight
                    assert not is_tie(scores, old, options), self.entry["name"]
                entry["masks"] = [bits(mask) for mask in masks]
            elif outcome == "zeros":
                entry["zeros"] = [int((mask == 0).sum()) for mask in masks]
            elif outcome == "channels":
                others = [d for d in range(masks[0].dim()) if d != options["dim"] % masks[0].dim()]
                entry["channels"] = int((masks[0].sum(dim=others) == 0).sum())
            else:
                entry["pruned"] = self.pruned(options, before, masks)
        self.entry["steps"].append(entry)
        return self

    def pruned(self, options, before, masks):
        found = []
        for (weight, old), mask in zip(before, masks):
            if "dim" in options:
                others = [d for d in range(mask.dim()) if d != options["dim"] % mask.dim()]
                norms = torch.norm(weight, p=norm_of(options["n"]), dim=others)
                found += norms[mask.sum(dim=others) == 0].tolist()
            else:
                found += weight.abs()[(mask == 0) & (old == 1)].tolist()
        return sorted(found)

    def run(self, method, options):
        amount = value_of(options["amount"]) if "amount" in options else None
        scores = options.get("scores")
        if method == "global_unstructured":
            parameters = [(module, "weight") for module in self.modules]
            if scores is not None:
                scores = {key: tensors[name] for key, name in zip(parameters, scores)}
            kind = {"l1": prune.L1Unstructured, "random": prune.RandomUnstructured}[options["by"]]
            prune.global_unstructured(parameters, kind, importance_scores=scores, amount=amount)
            return
        (module,) = self.modules
        scores = tensors[scores] if scores is not None else None
        if method == "identity":
            prune.identity(module, "weight")
        elif method == "custom_from_mask":
            shape = options.get("maskShape", module.weight.shape)
            prune.custom_from_mask(module, "weight", from_bits(options["mask"], shape))
        elif method == "l1_unstructured":
            prune.l1_unstructured(module, "weight", amount, importance_scores=scores)
        elif method == "random_unstructured":
            prune.random_unstructured(module, "weight", amount)
        elif method == "random_structured":
            prune.random_structured(module, "weight", amount, options["dim"])
        else:
            assert method == "ln_structured"
            prune.ln_structured(module, "weight", amount, norm_of(options["n"]), options["dim"],
                                importance_scores=scores)


def count(number):
    return {"count": number}


def fraction(number):
    return {"fraction": number}


def label(amount):
    (kind,) = amount
    return f"{kind} {amount[kind]}"


def prunes(amount, size):
    return amount["count"] if "count" in amount else round(amount["fraction"] * size)


def is_tie(values, mask, options):
    """Whether a rounding error in a norm, or equal magnitudes, would decide what is pruned."""
    if "dim" in options:
        others = [d for d in range(values.dim()) if d != options["dim"] % values.dim()]
        found = torch.norm(values.double(), p=norm_of(options["n"]), dim=others)
        found = found[mask.sum(dim=others) != 0]
    else:
        found = values.double().abs()[mask == 1]
    found = sorted(found.tolist())
    pruned = prunes(options["amount"], len(found))
    if not 0 < pruned < len(found):
        return False
    margin = MARGIN * found[pruned] if "dim" in options else 0
    return found[pruned] - found[pruned - 1] <= margin


def unstructured():
    for size in (5, 7, 10):
        key = tensor(f"v{size}", [size], size)
        amounts = [fraction(f) for f in (0.0, 0.1, 0.25, 0.3, 0.5, 0.75, 0.9, 0.95, 0.999, 1.0)]
        for amount in amounts + [count(c) for c in (0, 1, 3, size)]:
            Case(f"l1 {label(amount)} of {size}", key).step("l1_unstructured", amount=amount)
    for key in ("m6x5", "t4x5x3", "k6x4x3x3"):
        for amount in (fraction(0.3), fraction(0.5), count(11)):
            Case(f"l1 {label(amount)} of {key}", key).step("l1_unstructured", amount=amount)
    Case("l1 of one value", tensor("v1", [1], 1)).step("l1_unstructured", amount=fraction(0.5))
    Case("l1 of one value, all", "v1").step("l1_unstructured", amount=fraction(0.51))
    for amount in (count(8), count(-1), fraction(1.5), fraction(-0.1)):
        for method in ("l1_unstructured", "random_unstructured"):
            Case(f"refused: {method} {label(amount)} of 7", "v7").step(method, amount=amount)
    scores = tensor("s6x5", [6, 5], 65)
    for amount in (fraction(0.4), count(7)):
        Case(f"l1 {label(amount)} by scores", "m6x5").step(
            "l1_unstructured", amount=amount, scores=scores)
    Case("refused: l1 by scores of another shape", "m6x5").step(
        "l1_unstructured", amount=count(3), scores="t4x5x3")
    tensors["ties10"] = torch.tensor([1.0, -1.0, 2.0, 0.5, -0.5, 1.0, 0.5, -2.0, 0.0, -0.0])
    for amount in (count(1), count(3), count(4), fraction(0.65), fraction(0.9)):
        Case(f"ties-l1 {label(amount)}", "ties10").step(
            "l1_unstructured", outcome="pruned", amount=amount)
    for amount in (fraction(0.0), fraction(0.25), fraction(0.5), fraction(1.0), count(3), count(10)):
        Case(f"random {label(amount)} of 10", "v10").step(
            "random_unstructured", outcome="zeros", amount=amount)
    Case("identity", "v7").step("identity")
    Case("custom mask", "v7").step("custom_from_mask", mask="0110101")
    Case("refused: custom mask of another shape", "v7").step(
        "custom_from_mask", mask="01101", maskShape=[5])


def structured():
    for key, zeros, amount in (("m6x5", "z6x5", 0.4), ("t4x5x3", "z4x5x3", 0.5),
                               ("k6x4x3x3", "z6x4x3x3", 0.35)):
        dims = tensors[key].dim()
        for n in NORMS:
            for dim in range(-dims, dims):
                name = zeros if n == 0 else key
                options = {"amount": fraction(amount), "n": n, "dim": dim}
                tie = n == 0 and is_tie(tensors[name], torch.ones_like(tensors[name]), options)
                Case(f"{'ties-' if tie else ''}ln n={n} dim={dim} of {name}", name).step(
                    "ln_structured", outcome="pruned" if tie else "masks", **options)
    for amount in ([fraction(f) for f in (0.0, 0.1, 0.25, 0.5, 0.7, 0.9, 1.0)]
                   + [count(c) for c in (0, 1, 5)]):
        Case(f"ln {label(amount)} of 5 channels", "m6x5").step(
            "ln_structured", amount=amount, n=2, dim=1)
    Case("ln by scores", "m6x5").step(
        "ln_structured", amount=count(2), n=1, dim=0, scores="s6x5")
    # Every row of five ones has the same norm; so have the columns.
    tensors["ones3x5"] = torch.ones(3, 5)
    for n in (1, 2, 0, "inf"):
        Case(f"ties-ln n={n} of ones", "ones3x5").step(
            "ln_structured", outcome="pruned", amount=count(2), n=n, dim=1)
    for method in ("ln_structured", "random_structured"):
        options = {"n": 2} if method == "ln_structured" else {}
        for amount in (count(6), count(-1), fraction(1.5)):
            Case(f"refused: {method} {label(amount)} of 5", "m6x5").step(
                method, amount=amount, **options, dim=1)
        for dim in (2, -3):
            Case(f"refused: {method} dim={dim} of 2", "m6x5").step(
                method, outcome="channels" if not options else "masks",
                amount=count(1), **options, dim=dim)
        Case(f"refused: {method} of a vector", "v7").step(
            method, amount=count(1), **options, dim=0)
    for key in ("m6x5", "t4x5x3", "k6x4x3x3"):
        for dim in (0, 1, -1):
            for amount in (fraction(0.5), count(2), fraction(0.0), fraction(1.0)):
                Case(f"random {label(amount)} dim={dim} of {key}", key).step(
                    "random_structured", outcome="channels", amount=amount, dim=dim)


def across_tensors():
    keys = ["m6x5", "t4x5x3", "k6x4x3x3"]
    for amount in (fraction(0.0), fraction(0.2), fraction(0.5), fraction(1.0), count(17), count(306)):
        Case(f"global l1 {label(amount)}", *keys).step(
            "global_unstructured", by="l1", amount=amount)
    for amount in (fraction(0.25), count(100)):
        Case(f"global random {label(amount)}", *keys).step(
            "global_unstructured", outcome="zeros", by="random", amount=amount)
    # One count for all of them together is what random chooses; how it falls to each is chance.
    for case in cases[-2:]:
        case["steps"][0]["zeros"] = [sum(case["steps"][0]["zeros"])]
    Case("refused: global count of more than all", *keys).step(
        "global_unstructured", by="l1", amount=count(307))
    Case("global l1 by scores of one", "m6x5").step(
        "global_unstructured", by="l1", amount=fraction(0.3), scores=["s6x5"])
    Case("global l1 twice", *keys).step("global_unstructured", by="l1", amount=fraction(0.3)).step(
        "global_unstructured", by="l1", amount=fraction(0.3))


def compositions():
    def l1(case, amount, **options):
        return case.step("l1_unstructured", amount=amount, **options)

    def ln(case, amount, n, dim):
        return case.step("ln_structured", amount=amount, n=n, dim=dim)

    for key in ("m6x5", "t4x5x3"):
        third = fraction(0.3)
        l1(l1(Case(f"l1 then l1 of {key}", key), third), third)
        l1(l1(l1(Case(f"l1 three times of {key}", key), third), third), fraction(0.5))
        l1(ln(Case(f"ln then l1 of {key}", key), fraction(0.4), 2, 0), third)
        ln(l1(Case(f"l1 then ln of {key}", key), third), fraction(0.4), 2, 0)
        ln(l1(Case(f"much l1 then ln n=1 of {key}", key), fraction(0.8)), count(1), 1, 1)
        ln(ln(Case(f"ln then ln of another dim of {key}", key), fraction(0.4), 1, 0), fraction(0.4), 2, 1)
        ln(ln(Case(f"ln then ln of the same dim of {key}", key), fraction(0.4), 1, 0), fraction(0.4), 1, 0)
        ln(ln(Case(f"ln then ln of a negative dim of {key}", key), count(1), 2, -1), count(1), 2, -1)
        l1(l1(Case(f"l1 count then fraction of {key}", key), count(7)), fraction(0.25))
        l1(l1(Case(f"l1 all then l1 of {key}", key), fraction(1.0)), fraction(0.5))
        l1(l1(Case(f"l1 count then more than is left of {key}", key), count(20)),
           count(tensors[key].numel() - 19))
        l1(Case(f"identity then l1 of {key}", key).step("identity"), third)
        mask = ("0110101" * 9)[:tensors[key].numel()]
        l1(Case(f"custom mask then l1 of {key}", key).step("custom_from_mask", mask=mask), third)
        ln(Case(f"custom mask then ln of {key}", key).step("custom_from_mask", mask=mask),
           fraction(0.4), 2, 0)
        wiped = "0" * (tensors[key].numel() // tensors[key].shape[0])
        wiped = wiped + "1" * (tensors[key].numel() - len(wiped))
        ln(Case(f"custom mask without a row then ln of {key}", key).step(
            "custom_from_mask", mask=wiped), fraction(0.5), 2, 0)
        Case(f"l1 then custom mask of {key}", key).step("l1_unstructured", amount=third).step(
            "custom_from_mask", mask=mask)
        Case(f"l1 then identity of {key}", key).step("l1_unstructured", amount=third).step("identity")
        Case(f"l1 then random of {key}", key).step("l1_unstructured", amount=third).step(
            "random_unstructured", outcome="zeros", amount=fraction(0.5))
    l1(l1(Case("l1 by scores then l1", "m6x5"), count(9), scores="s6x5"), fraction(0.3))
    l1(l1(Case("l1 then l1 by scores", "m6x5"), count(9)), fraction(0.3), scores="s6x5")
    ln(ln(Case("ln of all channels then ln", "m6x5"), fraction(1.0), 2, 0), count(1), 2, 0)


def rounding():
    fractions = (0.05, 0.1, 0.15, 0.25, 0.3, 0.35, 0.45, 0.5, 0.55, 0.58, 0.65, 0.7, 0.75, 0.85, 0.95,
                 0.145, 1 / 3)
    found = []
    for size in (1, 2, 3, 5, 10, 30, 50, 100):
        for share in fractions:
            mask = prune.L1Unstructured(share).compute_mask(torch.arange(size) + 1.0, torch.ones(size))
            found.append([share, size, int((mask == 0).sum())])
    return found


def schedules():
    found = []
    for final, steps, options in (
        (0.8, 30, dict(init_sl=0.0, init_t=0, delta_t=1, total_t=20)),
        (0.9, 30, dict(init_sl=0.1, init_t=5, delta_t=2, total_t=10)),
        (0.9, 30, dict(init_sl=0.1, init_t=5, delta_t=2, total_t=10, initially_zero=True)),
        (0.5, 12, dict(init_sl=0.5, init_t=2, delta_t=1, total_t=5)),
        (0.7, 20, dict(init_sl=0.2, init_t=3, delta_t=5, total_t=3)),
    ):
        sparsifier = sparsity.WeightNormSparsifier(sparsity_level=final)
        model = nn.Sequential(nn.Linear(4, 4))
        sparsifier.prepare(model, [{"tensor_fqn": "0.weight"}])
        scheduler = sparsity.CubicSL(sparsifier, **options)
        levels = [scheduler.get_last_sl()[0]]
        for _ in range(steps):
            sparsifier.step()
            scheduler.step()
            levels.append(scheduler.get_last_sl()[0])
        found.append({"options": {"final_sl": final, **options}, "levels": levels})
    return found


def blocks():
    found = []
    tensor("b8x12", [8, 12], 812)
    tensor("b7x10", [7, 10], 710)
    for key in ("b8x12", "b7x10"):
        for norm in (1, 2):
            for level, block, zeros in ((0.5, (1, 4), 4), (0.5, (4, 1), 4), (0.3, (2, 2), 4),
                                        (1.0, (1, 4), 2), (1.0, (2, 2), 1), (0.5, (1, 4), 2),
                                        (0.5, (1, 1), 1), (0.99, (1, 4), 4), (1.0, (1, 4), 4),
                                        (0.0, (1, 4), 4)):
                entry = {"name": f"{key} L{norm} {level} {block[0]}x{block[1]} {zeros}", "tensor": key,
                         "norm": norm, "level": level, "block": list(block), "zerosPerBlock": zeros}
                height, width = tensors[key].shape
                layer = nn.Linear(width, height, bias=False)
                layer.weight.data = tensors[key].clone()
                sparsifier = sparsity.WeightNormSparsifier(level, block, zeros, norm)
                sparsifier.prepare(nn.Sequential(layer), [{"tensor_fqn": "0.weight"}])
                try:
                    sparsifier.step()
                    entry["mask"] = bits(layer.parametrizations.weight[0].mask)
                except Exception as error:
                    entry["error"] = {"type": type(error).__name__, "text": str(error)}
                found.append(entry)
    return found


def encode(values):
    return {"shape": list(values.shape),
            "values": base64.b64encode(values.numpy().astype("<f4").tobytes()).decode()}


def lines(items):
    return "[\n" + ",\n".join(json.dumps(item) for item in items) + "\n]"


def main():
    torch.manual_seed(1)
    for shape, seed in (([6, 5], 6), ([4, 5, 3], 45), ([6, 4, 3, 3], 64)):
        name = "x".join(map(str, shape))
        tensor({2: "m", 3: "t", 4: "k"}[len(shape)] + name, shape, seed)
        tensor("z" + name, shape, seed + 100, with_zeros=True)
    unstructured()
    structured()
    across_tensors()
    compositions()
    parts = {"cases": lines(cases), "rounding": json.dumps(rounding()),
             "schedules": lines(schedules()), "blocks": lines(blocks())}
    named = ",\n".join(f"{json.dumps(key)}: {json.dumps(encode(values))}" for key, values in tensors.items())
    rest = ",\n".join(f'"{key}": {text}' for key, text in parts.items())
    version = ".".join(torch.__version__.split(".")[:2])
    text = f'{{\n"torch": "{version}",\n"tensors": {{\n{named}\n}},\n{rest}\n}}\n'
    parsed = json.loads(text, parse_constant=lambda constant: math.nan)
    assert len({case["name"] for case in parsed["cases"]}) == len(parsed["cases"])
    assert "NaN" not in text and "Infinity" not in text
    (HERE / "prune_vectors.json").write_text(text)


main()
