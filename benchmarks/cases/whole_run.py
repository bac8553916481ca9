"""From four files to a measured accuracy, against what importing TensorFlow alone costs."""

from __future__ import annotations

from benchmarks.figures import Target, costs_of, time_row
from benchmarks.measure import Entrant
from benchmarks.setting import Result, Setting


def from_empty_folder(setting: Setting) -> Result:
    """`mnist run` in an empty folder, and the tutorial's own program, against `import tensorflow`."""
    ours = Entrant("mnist run, empty folder", (*setting.mnist, "run", *setting.data.options))
    tutorial = setting.program("tutorial on tf.compat.v1", "peers.tutorial_compat_v1", str(setting.data.folder))
    peer = Entrant('python -c "import tensorflow"', setting.python("-c", "import tensorflow"))
    samples = setting.race(ours, tutorial, peer)
    target = setting.data.target(Target(high=1.0))
    return Result(
        [
            time_row(f"`{ours.name}` / `import tensorflow`", samples[ours.name], samples[peer.name], target),
            time_row(f"{tutorial.name} / `import tensorflow`", samples[tutorial.name], samples[peer.name], None),
        ],
        costs_of(samples),
    )
