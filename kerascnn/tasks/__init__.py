"""What a network can be trained for: outputs, losses, measures. Importing this registers the losses and metrics."""

from kerascnn.tasks import losses, metrics
from kerascnn.tasks.task import TASKS, TITLES, Task

__all__ = ["TASKS", "TITLES", "Task", "losses", "metrics"]
